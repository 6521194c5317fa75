"""What a data folder holds, lacks and hides: `uspl check`."""
