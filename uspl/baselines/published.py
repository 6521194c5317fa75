"""Trained models of the peers as their authors published them: EZ-VSL, FNAC, SLAVC and LVS, read and asked for maps.

All four have a ResNet18 for the image and one for the sound, whose first convolution takes one channel. EZ-VSL and FNAC
(the same tensors) and SLAVC end in linear projectors, of which SLAVC has two pairs, with a momentum copy of everything.
LVS has no projector, keeps the resolution of the last stage, and carries layers that it never uses.
"""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import resnet18

from uspl import align
from uspl.config import Config
from uspl.maps import normalise_map, resize

UNUSED = (  # of LVS
    *("imgnet.conv1_a.", "imgnet.conv1_flow.", "imgnet.fc."),
    *("audnet.conv1.", "audnet.conv1_flow.", "audnet.fc."),
)
# Beside the model a file has scores, which may be numpy's: a number and its type, no code.
_SCALAR = np.float64(0).__reduce__()[0]
NUMBERS: list[Any] = [
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *(np.dtype, *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64))),
]


class Published(nn.Module):
    """Two ResNet18 and their projectors, in eval mode; of `load`.

    Args:
        method: "ez-vsl or fnac", "slavc" or "lvs".
        projectors: pairs of them.
        stride: of the last stage.
    """

    MAPS = ("m", "m_cos")

    def __init__(self, method: str, *, projectors: int, stride: int) -> None:
        super().__init__()
        self.method = method
        seconds = 10.0 if method == "lvs" else 3.0
        none = {"visual_weights": "none", "audio_weights": "none"}
        self.cfg = Config.paper(front_end="peers", seconds=seconds, **none)  # what `evaluate` reads and opens
        self.imgnet, self.audnet = _trunk(3, stride), _trunk(1, stride)
        self.img_proj = nn.ModuleList(nn.Conv2d(512, 512, 1) for _ in range(projectors))
        self.aud_proj = nn.ModuleList(nn.Linear(512, 512) for _ in range(projectors))

    def score(self, image: Float[Tensor, "b 3 s s"], spectrogram: Float[Tensor, "b 1 257 t"]) -> Float[Tensor, "b h w"]:
        """Cosine of the sound with every location, mean over the pairs of projectors.

        Args:
            image: (B, 3, 224, 224), ImageNet-normalised.
            spectrogram: (B, 1, 257, T) of `audio.peer_spectrogram`, divided by 12 here as the peers do.

        Returns:
            (B, h, w) in [-1, 1]: 7 x 7, of LVS 14 x 14.
        """
        f_v, f_a = _features(self.imgnet, image), _features(self.audnet, spectrogram / 12).amax((2, 3))
        if not len(self.img_proj):
            return align.sounding_map(f_a, f_v)
        both = zip(self.aud_proj, self.img_proj, strict=True)
        return torch.stack([align.sounding_map(aud(f_a), img(f_v)) for aud, img in both]).mean(0)

    def predict_maps(
        self, image: Float[Tensor, "b 3 s s"], sounds: Mapping[str, Tensor], wanted: Sequence[str]
    ) -> dict[str, dict[str, Tensor]]:
        """As `USPL.predict_maps`: "m" is enlarged and then brought to [0, 1] by its range, as the peers score it."""
        found = {}
        for name, sound in sounds.items():
            cosine = resize(self.score(image, sound), self.cfg.image_size)
            maps = {"m": normalise_map(cosine, "minmax"), "m_cos": (cosine + 1) / 2}
            found[name] = {m: maps[m] for m in wanted}
        return found


def load(path: str | Path, *, momentum: bool = False) -> Published:
    """A published model from its file; nothing but tensors and numbers is unpickled.

    Args:
        path: as the peers' training wrote it: {"model": ..., ...}, of LVS {"model_state_dict": ...}; what is beside
            the model, such as Adam's moments, is ignored, and so is the prefix "module.".
        momentum: take SLAVC's momentum copy.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no file of one of the four, `momentum` for another than SLAVC, or a tensor that is missing, foreign
            or of another shape, with its name.
    """
    path = Path(path)
    state = _read(path)
    known: dict[str, tuple[str, int, int]] = {
        "img_proj1.weight": ("slavc", 2, 2),
        "img_proj.weight": ("ez-vsl or fnac", 1, 2),
        "audnet.conv1_a.weight": ("lvs", 0, 1),
    }
    found = [values for name, values in known.items() if name in state]
    if not found:
        raise ValueError(
            f"'{path.name}' must hold a model of EZ-VSL, FNAC, SLAVC or LVS; got tensors such as {next(iter(state))!r}."
        )
    method, projectors, stride = found[0]
    with torch.device("meta"):  # nothing is drawn for weights that the file has
        net = Published(method, projectors=projectors, stride=stride)
    if momentum and net.method != "slavc":
        raise ValueError(f"`momentum` must be False but for a file of SLAVC; got True for one of {net.method}.")
    net.load_state_dict(_renamed(path.name, state, net, momentum), assign=True)
    return net.eval()


def _trunk(channels: int, stride: int) -> Any:
    """torchvision's ResNet18 without its classifier."""
    net = resnet18(weights=None)
    net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    net.layer4[0].conv1.stride = net.layer4[0].downsample[0].stride = (stride, stride)
    net.fc = nn.Identity()
    return net


def _features(net: Any, x: Tensor) -> Tensor:
    """(B, C, H, W) -> the last stage (B, 512, h, w)."""
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    found: Tensor = net.layer4(net.layer3(net.layer2(net.layer1(x))))
    return found


def _read(path: Path) -> dict[str, Tensor]:
    """Name -> tensor, without "module."."""
    if not path.is_file():
        raise FileNotFoundError(f"`path` must name a file; '{path}' is not there.")
    try:
        with torch.serialization.safe_globals(NUMBERS):
            held = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(
            f"'{path.name}' must be a PyTorch file of tensors and numbers; it cannot be read ({type(error).__name__})."
        ) from error
    held = held if isinstance(held, dict) else {}
    state = held.get("model", held.get("model_state_dict"))
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        names = ", ".join(repr(k) for k in list(held)[:3]) or "nothing"
        raise ValueError(f"'{path.name}' must hold tensors under 'model' or 'model_state_dict'; got {names}.")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _published(ours: str, method: str, momentum: bool) -> str:
    """The published name of a tensor of `Published`."""
    if method == "slavc":
        name = ours.replace("_proj.0.", "_proj1.").replace("_proj.1.", "_proj2.")
        return f"momentum_{name}" if momentum else name
    return ours.replace("audnet.conv1.", "audnet.conv1_a.") if method == "lvs" else ours.replace("_proj.0.", "_proj.")


def _renamed(file: str, state: dict[str, Tensor], net: Published, momentum: bool) -> dict[str, Tensor]:
    """The state dict for `net`; refuses a tensor that is missing, foreign or of another shape."""
    method, wanted = net.method, net.state_dict()
    known = {_published(ours, method, copy) for ours in wanted for copy in (False, True)}
    for name, tensor in state.items():
        if name not in known and not (method == "lvs" and name.startswith(UNUSED)):
            raise ValueError(f"'{file}' must hold nothing foreign to {method}; got `{name}` {tuple(tensor.shape)}.")
    found = {}
    for ours, tensor in wanted.items():
        name, shape = _published(ours, method, momentum), tuple(tensor.shape)
        if name not in state:
            raise ValueError(f"'{file}' must hold `{name}` {shape} of {method}; it is missing.")
        if tuple(state[name].shape) != shape:
            raise ValueError(f"`{name}` in '{file}' must have the shape {shape}; got {tuple(state[name].shape)}.")
        found[ours] = state[name]
    return found
