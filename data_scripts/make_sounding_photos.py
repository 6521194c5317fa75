"""Paste Sounding Photos: see `uspl.cli.make_sounding_photos`."""

import sys

from uspl.cli.make_sounding_photos import main

if __name__ == "__main__":
    sys.exit(main())
