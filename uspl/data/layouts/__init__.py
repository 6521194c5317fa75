"""Where the files of a clip lie, and which data set a folder holds."""
