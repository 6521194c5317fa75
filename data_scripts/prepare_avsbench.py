"""Cut frames and sound from the videos of a folder in AVSBench-S4's layout: see `uspl.cli.prepare_avsbench`."""

import sys

from uspl.cli.prepare_avsbench import main

if __name__ == "__main__":
    sys.exit(main())
