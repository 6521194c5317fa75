"""The other methods of Tables 1 and 2, one a file: only the method differs."""
