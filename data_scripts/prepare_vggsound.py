"""Frames and sounds of VGGSound, from films or from the table of ids: see `uspl.cli.prepare_vggsound`."""

import sys

from uspl.cli.prepare_vggsound import main

if __name__ == "__main__":
    sys.exit(main())
