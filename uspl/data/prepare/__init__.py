"""From the videos that people have to folders that the readers read."""
