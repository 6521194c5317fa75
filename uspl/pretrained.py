"""A trained model as a folder that can be shared: config.json, model.safetensors and a model card, as on the HF hub."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from uspl import machine, record
from uspl.config import Config
from uspl.gate import Gate, calibrate
from uspl.model import USPL
from uspl.shapes import MARKER, SHAPES

FORMAT = 1  # of the folder; changes when an older reader could not use it
WEIGHTS, CONFIG, CARD, GATE = "model.safetensors", "config.json", "README.md", "gate.json"
SCORES = {"val_m_crs": "m_crs", "val_m_fine": "m_fine", "val_m": "m"}


def from_pretrained(
    name: str | Path,
    *,
    device: str = "auto",
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> USPL:
    """A trained model in eval mode, with what is known of its training in `about`.

    Args:
        name: a folder that `save_pretrained` wrote, or that a training left in `runs/`, which needs no network; or the
            id of a model on the Hugging Face hub, such as "somebody/uspl-tiny".
        device: see `Config.device`.
        revision, cache_dir, force_download, local_files_only, token: for the hub, as in `huggingface_hub`.

    Raises:
        ValueError: no such model, one of another version, or a file with missing or foreign tensors.
    """
    folder = Path(name)
    if not folder.is_dir():
        given: dict[str, Any] = {"revision": revision, "cache_dir": cache_dir, "token": token}
        folder = _fetched(str(name), given | {"force_download": force_download, "local_files_only": local_files_only})
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise ValueError(f"`{name}` holds no model: `{file}` is missing.")
    values = _config(folder)
    cfg = Config.from_dict(values["config"])
    # The weights that a training began with are in the file already.
    model = USPL(replace(cfg, visual_weights="none", audio_weights="none"))
    model.cfg = replace(cfg, device=device)
    _fill(model, folder / WEIGHTS)
    model.about = {k: values[k] for k in ("data", "scores", "gate") if values.get(k)}
    return model.to(machine.choose_device(device)).eval()


def save_pretrained(model: USPL, folder: str | Path, *, repo_id: str | None = None, push_to_hub: bool = False) -> Path:
    """Write config.json, README.md and, last, model.safetensors.

    Args:
        model: a trained model; `about` goes into the card.
        folder: made where it is missing.
        repo_id: with `push_to_hub`, the name on the Hugging Face hub; the folder's name by default.
        push_to_hub: also upload the folder.
    """
    folder = Path(folder)
    values = {"library_name": "uspl", "format": FORMAT, "config": model.cfg.as_dict(), **model.about}
    record.write_text(folder / CONFIG, json.dumps(values, indent=1) + "\n")
    record.write_text(folder / CARD, card(model))
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    record.write_bytes(folder / WEIGHTS, save(state, metadata={"format": "pt", "uspl_format": str(FORMAT)}))
    if push_to_hub:
        from huggingface_hub import HfApi

        api = HfApi()
        url = api.create_repo(repo_id or folder.name, exist_ok=True)
        api.upload_folder(repo_id=url.repo_id, folder_path=folder, commit_message="Push model using uspl.")
    return folder


def trained(cfg: Config, data: str | Path, *, runs: str | Path = "runs") -> USPL:
    """The model of `train_or_load` with its gate, which is calibrated on validation once and kept beside the weights.

    Raises:
        ValueError: as `train_or_load`.
    """
    from uspl import sets
    from uspl.train import train_or_load

    model: USPL
    model, values = train_or_load(cfg, data, runs=runs)
    file = Path(values["folder"]) / GATE
    if not file.is_file():
        gate = calibrate(model, sets.training(cfg, data).val)
        name = SHAPES if (Path(data) / MARKER).is_file() else Path(data).name
        record.write_text(file, json.dumps({"data": name, "gate": gate.as_dict()}, indent=1) + "\n")
    model.about = _about(Path(values["folder"]))
    return model


def gate_of(model: USPL) -> Gate:
    """The gate that was saved with a model; one that shuts silence alone where there is none."""
    return Gate.from_dict(model.about.get("gate") or {})


def card(model: USPL) -> str:
    """The model card: what it is, what it was trained on, how it scores, what the gate lets pass, the licence."""
    about, cfg = model.about, model.cfg
    scores = [f"| `{name}` | {value:.3f} |" for name, value in about.get("scores", {}).items()]
    table = ["Mean IoU at .5 on the validation split:", "", "| map | mIoU |", "|---|---|", *scores]
    gate = gate_of(model)
    told = (
        f"It marks a frame where its sound is louder than {gate.loudness} dB of full scale and the greatest cosine of "
        f"the coarse map is above {gate.cosine}. Of {gate.clips} validation clips {gate.kept:.1%} pass, with silence "
        f"in place of their sound {gate.silence:.1%}, with white or pink noise {gate.noise:.1%}."
        if gate.clips
        else "It was not calibrated: silence alone is shut."
    )
    lines = [
        *("---", "license: mit", "library_name: uspl", "pipeline_tag: image-segmentation"),
        *("tags:", "- sound-source-localization", "- audio-visual-segmentation", "- safetensors", "---", ""),
        *("# Unsupervised Sounding Pixel Learning", ""),
        "A frame of a video and the sound around it go in, the pixels that sound come out; learned without masks.",
        *("", "```python", "from uspl.model import USPL", "", "model = USPL.from_pretrained(FOLDER_OR_ID)", "```", ""),
        *("```bash", "uspl run film.mp4 -o overlay.mp4 --checkpoint FOLDER_OR_ID", "```", ""),
        *("## Training data", "", f"{about.get('data', 'Not recorded')}.", ""),
        *("## Scores", "", *(table if scores else ["Not recorded."]), ""),
        *("## Gate", "", told, ""),
        *("## Architecture", ""),
        f"Image encoder `{cfg.visual}` at {cfg.image_size} x {cfg.image_size} pixels, sound encoder `{cfg.audio}` on "
        f"{cfg.seconds:g} s of sound; all choices are in `config.json`.",
        *("", "## Licence", "", "MIT.", ""),
    ]
    return "\n".join(lines)


def _config(folder: Path) -> dict[str, Any]:
    """config.json, of a saved folder or of a training."""
    file = folder / CONFIG
    try:
        values: dict[str, Any] = json.loads(file.read_text())
    except ValueError:
        raise ValueError(f"`{file}` cannot be read as JSON; save the model again.") from None
    if "format" not in values and "image_size" in values:
        return {"config": values} | _about(folder)
    if values.get("library_name") != "uspl" or "format" not in values:
        raise ValueError(f"`{file}` is not of a model of uspl: `library_name` and `format` do not say so.")
    if values["format"] != FORMAT:
        raise ValueError(
            f"`{folder}` was saved in format {values['format']}, this version of uspl reads {FORMAT}; "
            "save the model again, or take the version of uspl that wrote it."
        )
    return values


def _about(folder: Path) -> dict[str, Any]:
    """What a training left beside its weights."""
    found: dict[str, Any] = {}
    if (folder / GATE).is_file():
        found = json.loads((folder / GATE).read_text())
    history = record.read(folder / "record.json")["history"] if (folder / "record.json").is_file() else []
    scores = {name: history[-1][k] for k, name in SCORES.items() if history and k in history[-1]}
    return found | ({"scores": scores} if scores else {})


def _fill(model: USPL, file: Path) -> None:
    """Put the tensors of a file into a model; one sentence for the first that does not fit."""
    try:
        with safe_open(file, framework="pt") as opened:
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"`{file}` cannot be read as safetensors ({error}).") from None
    wanted = model.state_dict()
    for problem, keys in (("lacks a", wanted.keys() - state.keys()), ("holds a foreign", state.keys() - wanted.keys())):
        if keys:
            raise ValueError(f"`{file}` {problem} tensor, `{min(keys)}`: it belongs to another model or version.")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            shapes = f"{tuple(state[key].shape)}, not {tuple(value.shape)}"
            raise ValueError(f"`{file}` holds `{key}` of shape {shapes}: it belongs to another model or version.")
    model.load_state_dict(state)


def _fetched(name: str, options: dict[str, Any]) -> Path:
    """The folder in the cache to which the hub's files of a model were downloaded."""
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        raise ValueError(f"`{name}` is no folder that is there, and no id of a model on the Hugging Face hub.")
    from huggingface_hub import hf_hub_download

    try:
        files = [Path(hf_hub_download(name, file, library_name="uspl", **options)) for file in (CONFIG, WEIGHTS)]
    except Exception as error:
        why = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise ValueError(
            f"`{name}` is no folder that is there, and the Hugging Face hub gives no model: {why}."
        ) from error
    return files[0].parent


__all__ = ["card", "from_pretrained", "gate_of", "save_pretrained", "trained"]
