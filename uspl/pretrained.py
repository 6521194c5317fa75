"""A trained model as a folder that can be shared: config.json, model.safetensors and a model card, as on the HF hub."""

import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from uspl.config import Config
from uspl.core import record
from uspl.core.files import write_bytes, write_text
from uspl.core.tables import markdown_table
from uspl.gate import Gate

FORMAT = 1  # of the folder; changes when an older reader could not use it
WEIGHTS, CONFIG, CARD, GATE = "model.safetensors", "config.json", "README.md", "gate.json"
SHIPPED = Path(__file__).parent / "shipped"  # models that come with the library, each by its folder's name
LICENCES = {
    "Sounding Photos": "MIT for these numbers. They were learned from photographs and recordings under GPL-2, GPL-3, "
    "CC BY-SA 4.0, CC0 and in the public domain, none of which is in the file; the set's manifest names each. The "
    "encoders, which are not in the file either, are under Apache-2.0."
}
SCORES = {"val_m_crs": "m_crs", "val_m_fine": "m_fine", "val_m": "m"}


def locate(
    name: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The folder that holds a model: the one that is named, or the one to which the hub's files were downloaded.

    Args:
        name: a model that comes with the library ("photos"), a folder ("./photos"), or the id of a model on the Hugging
            Face hub.
        revision, cache_dir, force_download, local_files_only, token: for the hub, as in `huggingface_hub`.

    Raises:
        ValueError: no such model, or a folder without one.
    """
    folder = SHIPPED / name if name in shipped() else Path(name)
    if not folder.is_dir():
        given: dict[str, Any] = {"revision": revision, "cache_dir": cache_dir, "token": token}
        folder = _fetched(str(name), given | {"force_download": force_download, "local_files_only": local_files_only})
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise ValueError(f"`{name}` holds no model: `{file}` is missing.")
    return folder


def shipped() -> list[str]:
    """Names of the models that come with the library."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def read_config(folder: Path) -> tuple[Config, dict[str, Any]]:
    """The configuration of a saved model, and what is known of its training: `data`, `scores`, `gate`,
    and `map`, the one to show.

    Raises:
        ValueError: the file cannot be read, or is of another version.
    """
    values = _config(folder)
    return Config.from_dict(values["config"]), {
        k: values[k] for k in ("data", "scores", "gate", "map") if values.get(k)
    }


def save_pretrained(model: Any, folder: str | Path, *, repo_id: str | None = None, push_to_hub: bool = False) -> Path:
    """Write config.json, README.md and, last, model.safetensors.

    Args:
        model: a trained module with `cfg` and `about`; these go into the card.
        folder: made where it is missing.
        repo_id: with `push_to_hub`, the name on the Hugging Face hub; the folder's name by default.
        push_to_hub: also upload the folder.
    """
    folder = Path(folder)
    values = {"library_name": "uspl", "format": FORMAT, "config": model.cfg.as_dict(), **model.about}
    write_text(folder / CONFIG, json.dumps(values, indent=1) + "\n")
    write_text(folder / CARD, card(model))
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(state, metadata={"format": "pt", "uspl_format": str(FORMAT)}))
    if push_to_hub:
        from huggingface_hub import HfApi

        api = HfApi()
        url = api.create_repo(repo_id or folder.name, exist_ok=True)
        api.upload_folder(repo_id=url.repo_id, folder_path=folder, commit_message="Push model using uspl.")
    return folder


def gate_of(model: Any) -> Gate:
    """The gate that was saved with a model; one that shuts silence alone where there is none."""
    return Gate.from_dict(model.about.get("gate") or {})


def card(model: Any) -> str:
    """The model card: what it is, what it was trained on, how it scores, what the gate lets pass, the licence."""
    about, cfg = model.about, model.cfg
    scores = [(f"`{name}`", f"{value:.3f}") for name, value in about.get("scores", {}).items()]
    table = ["Not recorded."]
    if scores:
        table = ["Mean IoU at .5 on the validation split:", "", markdown_table(["map", "mIoU"], scores, right=True)]
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
        *("", "```python", "import uspl", "", "model = uspl.Localizer.from_pretrained(FOLDER_OR_ID)", "```", ""),
        *("```bash", "uspl run film.mp4 -o overlay.mp4 --checkpoint FOLDER_OR_ID", "```", ""),
        *("## Training data", "", f"{about.get('data', 'Not recorded')}.", ""),
        *("## Scores", "", *table, ""),
        *("## Gate", "", told, ""),
        *("## Architecture", ""),
        f"Image encoder `{cfg.visual}` at {cfg.image_size} x {cfg.image_size} pixels, sound encoder `{cfg.audio}` on "
        f"{cfg.seconds:g} s of sound; all choices are in `config.json`.",
        *("", "## Licence", "", LICENCES.get(str(about.get("data")), "MIT."), ""),
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
        return {"config": values} | read_about(folder)
    if values.get("library_name") != "uspl" or "format" not in values:
        raise ValueError(f"`{file}` is not of a model of uspl: `library_name` and `format` do not say so.")
    if values["format"] != FORMAT:
        raise ValueError(
            f"`{folder}` was saved in format {values['format']}, this version of uspl reads {FORMAT}; "
            "save the model again, or take the version of uspl that wrote it."
        )
    return values


def read_about(folder: Path) -> dict[str, Any]:
    """What a training left beside its weights."""
    found: dict[str, Any] = {}
    if (folder / GATE).is_file():
        found = json.loads((folder / GATE).read_text())
    history = record.read(folder / "record.json")["history"] if (folder / "record.json").is_file() else []
    scores = {name: history[-1][k] for k, name in SCORES.items() if history and k in history[-1]}
    return found | ({"scores": scores} if scores else {})


def load_into(module: nn.Module, folder: Path) -> None:
    """Put the saved tensors of a folder into a module.

    Raises:
        ValueError: a file that cannot be read, or the first tensor that does not fit.
    """
    file = folder / WEIGHTS
    try:
        with safe_open(file, framework="pt") as opened:
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"`{file}` cannot be read as safetensors ({error}).") from None
    wanted = module.state_dict()
    for problem, keys in (("lacks a", wanted.keys() - state.keys()), ("holds a foreign", state.keys() - wanted.keys())):
        if keys:
            raise ValueError(f"`{file}` {problem} tensor, `{min(keys)}`: it belongs to another model or version.")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            shapes = f"{tuple(state[key].shape)}, not {tuple(value.shape)}"
            raise ValueError(f"`{file}` holds `{key}` of shape {shapes}: it belongs to another model or version.")
    module.load_state_dict(state)


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
