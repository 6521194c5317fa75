"""The command that makes a record again, as the record tells it."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from uspl.config import Config, differences


def nearest(cfg: Config, *, among: Sequence[str] = ("tiny", "photos", "paper")) -> str:
    """The tier from which a configuration differs least."""
    return min(among, key=lambda name: len(differences(Config.tier(name), cfg)))


def flags(cfg: Config, more: Mapping[str, Any]) -> str:
    """The options of the command that asks for a configuration, and for `more` where it is not empty."""
    tier = nearest(cfg, among=("tiny", "best", "photos", "paper"))
    chosen = {k: there for k, (_, there) in differences(Config.tier(tier), cfg).items() if k != "seed"}
    chosen |= {k: v for k, v in more.items() if v}
    words = [f"--tier {tier}"] if tier != "tiny" else []
    words += [_flag(k.replace("_", "-"), v) for k, v in chosen.items()]
    return "".join(f" {w}" for w in words)


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    words = value if isinstance(value, list | tuple) else [value]
    return " ".join([f"--{name}", *(shlex.quote(str(word)) for word in words)])
