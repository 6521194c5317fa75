"""Say what a data folder holds, lacks and hides, and whether scores on it compare with published ones: `uspl check`.

python data_scripts/check.py data/sounding-shapes
python data_scripts/check.py data/sounding-shapes --json --out report.json
"""

from __future__ import annotations

import sys

from uspl.cli import main as cli


def main(argv: list[str] | None = None) -> int:
    try:
        cli.main(["check", *(sys.argv[1:] if argv is None else argv)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
