"""A folder shaped as AVSBench-S4 is distributed: frames, sounds and masks, nothing that only Sounding Shapes has."""

from pathlib import Path

from uspl.cli import make_sounding_shapes, prepare_avsbench
from uspl.data.sounding_shapes import MARKER

COUNTS = {"train": 8, "val": 6, "test": 4, "negative": 0}


def avsbench_folder(root: Path) -> Path:
    """Draw a few clips; take away films, maps of all objects, second sounds, the report and the marker."""
    given = [str(x) for split, n in COUNTS.items() for x in (f"--{split}", n)]
    assert make_sounding_shapes.main([str(root), *given, "--workers", "1"]) == 0
    assert prepare_avsbench.main([str(root), "--workers", "1"]) == 0
    keep = ("s4_meta_data.csv", "visual_frames", "audio_wav", "gt_masks")
    for path in [p for p in root.rglob("*") if p.is_file()]:
        if not set(path.relative_to(root).parts) & set(keep):
            path.unlink()
    assert not (root / MARKER).exists()
    return root
