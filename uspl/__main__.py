"""`python -m uspl`: the `uspl` command."""

from uspl.cli.main import main

main()
