"""Published weights: from a path, or downloaded once, checked by SHA-256 and kept."""

import os
import re
import tempfile
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights

Kind = Literal["resnet50", "vggish"]

# The digits in a file's name are the first of its SHA-256.
PUBLISHED: dict[str, str] = {
    "resnet50": ResNet50_Weights.IMAGENET1K_V1.url,
    "vggish": "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
}
_NAMES = {"imagenet": "resnet50", "audioset": "vggish"}
_FIELDS = {"resnet50": "visual_weights", "vggish": "audio_weights"}


def load_weights(source: str | Path, kind: Kind) -> dict[str, Tensor] | None:
    """Read the state dict of one published network; nothing but tensors is unpickled.

    Args:
        source: "imagenet" (resnet50) or "audioset" (vggish) for the published file, downloaded when it is
            not in the cache; a web address; a local path; "none" for a random start.
        kind: which network the file belongs to.

    Returns:
        Name -> tensor, or None for "none".

    Raises:
        FileNotFoundError: one sentence that says where the file can be had.
        ValueError: the file is damaged, or `source` names the weights of the other network.

    >>> load_weights("none", "vggish") is None
    True
    >>> load_weights("imagenet", "vggish")
    Traceback (most recent call last):
    ValueError: `audio_weights` must be 'audioset', 'none', a path or a web address; got 'imagenet'.
    """
    text = str(source)
    if text == "none":
        return None
    if _NAMES.get(text, kind) != kind:
        word = next(k for k, v in _NAMES.items() if v == kind)
        raise ValueError(f"`{_FIELDS[kind]}` must be '{word}', 'none', a path or a web address; got '{text}'.")
    if text in _NAMES:
        path = download(PUBLISHED[kind])
    elif text.startswith(("http://", "https://")):
        path = download(text)
    else:
        path = Path(text)
    if not path.is_file():
        raise FileNotFoundError(
            f"`{_FIELDS[kind]}` must name a file with {kind} weights; '{path}' is not there: "
            f"get it from {PUBLISHED[kind]}, or choose 'none' for a random start."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"'{path.name}' must be a PyTorch file of tensors; it cannot be read ({type(error).__name__}): "
            f"get it again from {PUBLISHED[kind]}."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"'{path.name}' must hold a state dict, name -> tensor; got {type(state).__name__}.")
    return dict(state)


def fill(net: nn.Module, source: str | Path, kind: Kind) -> None:
    """Put published weights into a network; "none" leaves it as it is. Raises as `load_weights`."""
    state = load_weights(source, kind)
    if state is None:
        return
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"`{_FIELDS[kind]}` must name a file with the parameters of {kind}; those of '{source}' differ: "
            f"get the file from {PUBLISHED[kind]}."
        ) from error


def random_start_only(field: str, source: str) -> None:
    """Refuse weights for a network that has none published."""
    if source != "none":
        raise ValueError(f"`{field}` must be 'none': the tiny network has no published weights; got '{source}'.")


def cache_folder() -> Path:
    """Where downloads are kept: the folder PyTorch itself uses, moved by TORCH_HOME."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def download(url: str, *, sha256: str | None = None, folder: Path | None = None, progress: bool = True) -> Path:
    """Fetch a file once. It appears under its name only when complete and with the right checksum.

    Args:
        url: address; its last part is the file's name.
        sha256: first digits of the SHA-256, or all 64; read from a name like `vggish-10086976.pth` when None.
        folder: where to keep it; `cache_folder()` when None.
        progress: show a bar.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: it cannot be fetched; the sentence says from where to where.
        ValueError: the checksum differs; nothing is kept.
    """
    import pooch  # with it comes requests, and most runs download nothing

    folder = cache_folder() if folder is None else folder
    name = url.rsplit("/", 1)[-1]
    target = folder / name
    if target.is_file():
        return target
    if sha256 is None:
        found = re.search(r"-([0-9a-f]{8,64})\.", name)
        sha256 = found[1] if found else ""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=folder) as made:
        partial = Path(made) / name
        try:  # torch.hub waits for ever, and keeps half a file where no checksum is known
            pooch.HTTPDownloader(progressbar=progress, timeout=30)(url, str(partial), None)
        except OSError as error:  # what requests raises too
            raise FileNotFoundError(
                f"'{name}' could not be downloaded ({type(error).__name__}): get it from {url} and put it at "
                f"'{target}', or name your copy in the configuration, or choose 'none' for a random start."
            ) from error
        digest = pooch.file_hash(str(partial))
        if not digest.startswith(sha256.lower()):
            raise ValueError(
                f"'{name}' must have a SHA-256 that begins with {sha256}; got {digest[:16]}...: try the download again."
            )
        os.replace(partial, target)
    return target
