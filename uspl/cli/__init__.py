"""The `uspl` command."""
