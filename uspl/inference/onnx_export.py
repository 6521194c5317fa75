"""A trained model as ONNX: frame and sound in, the coarse map (Eq. 1) and SPS (Eq. 10) out, for any batch."""

import importlib
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uspl import align
from uspl.audio import RATE
from uspl.config import Config
from uspl.core import files
from uspl.data.batch import MEAN, STD
from uspl.gate import Gate
from uspl.inference.optimize import for_inference
from uspl.inference.predict import patches
from uspl.model import USPL

FORMAT = 1  # of the inputs, outputs and metadata; changes when an older reader could not use them
OPSET = 18
OUTPUTS = ("m_crs", "m")


class _Paths(nn.Module):
    """The two maps that need no walk."""

    def __init__(self, model: USPL) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        stages, f_v = self.model.encode_image(image)
        m_crs = align.sounding_map(self.model.encode_sound(sound), f_v)
        return m_crs, self.model.decode(stages, f_v, m_crs, ("m",))["m"]


def export_onnx(model: USPL, file: str | Path) -> Path:
    """Write a model as ONNX, opset 18, with its configuration, gate and version in the metadata.

    Inputs: `image` (B, 3, S, S), ImageNet-normalised; `sound` (B, N, 1, 96, 64) or (B, 1, 257, T), as the front end
    of `cfg` makes it. Outputs: `m_crs` (B, h, w), cosines; `m` (B, S, S) in [0, 1]. B is free.

    Args:
        model: trained; it stays as it is.
        file: its folder is made where it is missing.

    Returns:
        The file.

    Raises:
        RuntimeError: what writes ONNX is not installed.
    """
    _need("onnxscript")
    cfg = model.cfg
    ready = for_inference(model).cpu().to(memory_format=torch.contiguous_format)
    sound = patches(ready, torch.zeros(round(cfg.seconds * RATE)))
    given = torch.zeros(2, 3, cfg.image_size, cfg.image_size), torch.stack([sound, sound])
    batch = torch.export.Dim("batch", min=1, max=4096)
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                _Paths(ready).eval(),
                given,
                input_names=("image", "sound"),
                output_names=OUTPUTS,
                dynamic_shapes={"image": {0: batch}, "sound": {0: batch}},
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    about = {"format": FORMAT, "config": cfg.as_dict(), "mean": MEAN, "std": STD, **model.about}
    proto = program.model_proto
    for key, value in about.items():
        proto.metadata_props.add(key=f"uspl_{key}", value=json.dumps(value))
    files.write_bytes(Path(file), proto.SerializeToString())
    return Path(file)


@dataclass(frozen=True)
class Exported:
    """A model that onnxruntime runs: call it with `image` and `sound` as `export_onnx` describes them."""

    session: Any
    cfg: Config
    gate: Gate

    def __call__(self, image: Float[Tensor, "b 3 s s"], sound: Tensor) -> dict[str, Tensor]:
        """`m_crs` (B, h, w) and `m` (B, S, S)."""
        found = self.session.run(OUTPUTS, {"image": image.numpy(), "sound": sound.numpy()})
        return {name: torch.from_numpy(x) for name, x in zip(OUTPUTS, found, strict=True)}


def load_onnx(file: str | Path) -> Exported:
    """Open a file that `export_onnx` wrote, on the CPU.

    Raises:
        ValueError: no such file, no ONNX, not of this library, or of another version.
        RuntimeError: onnxruntime is not installed.
    """
    onnxruntime: Any = _need("onnxruntime")
    if not Path(file).is_file():
        raise ValueError(f"`{file}` is missing; `uspl export --onnx` writes it.")
    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"`{file}` cannot be read as ONNX ({type(error).__name__}).") from error
    about = session.get_modelmeta().custom_metadata_map
    if "uspl_format" not in about:
        raise ValueError(f"`{file}` is no model of uspl: its metadata lack `uspl_format`.")
    told = {key.removeprefix("uspl_"): json.loads(value) for key, value in about.items() if key.startswith("uspl_")}
    if told["format"] != FORMAT:
        raise ValueError(
            f"`{file}` was exported in format {told['format']}, this version of uspl reads {FORMAT}; export it again."
        )
    return Exported(session, Config.from_dict(told["config"]), Gate.from_dict(told.get("gate") or {}))


def _need(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise RuntimeError(f"ONNX needs the package {package}: `pip install 'uspl[onnx]'` brings it.") from None
