"""Draw Sounding Shapes: see `uspl.cli.make_sounding_shapes`."""

import sys

from uspl.cli.make_sounding_shapes import main

if __name__ == "__main__":
    sys.exit(main())
