"""Checkpoints: safetensors written whole or not at all, with the configuration beside them; never a pickle."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from uspl.config import MACHINE, Config, differences, fields_of
from uspl.core import record
from uspl.core.files import write_bytes, write_text


def save_model(folder: Path, model: nn.Module, cfg: Config, values: dict[str, Any]) -> None:
    """Write model.safetensors, config.json and record.json to `folder`; the record last, as the sign of completion."""
    write_bytes(folder / "model.safetensors", _weights(model))
    write_text(folder / "config.json", json.dumps(cfg.as_dict(), indent=1) + "\n")
    record.write(folder / "record.json", values)


def load_model(folder: Path, model: nn.Module, cfg: Config, *, ignore: tuple[str, ...] = ()) -> dict[str, Any]:
    """Load `folder` into `model` and return its record.

    Args:
        folder: as `save_model` wrote it.
        model: built from `cfg`.
        cfg: the configuration asked for.
        ignore: fields that may differ.

    Raises:
        ValueError: no checkpoint there, or one of another configuration; the sentence names the first field.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ValueError(f"`{folder}` holds no checkpoint: `model.safetensors` is missing.")
    stored = Config.from_dict(json.loads((folder / "config.json").read_text()))
    other = {k: v for k, v in differences(stored, cfg).items() if k not in {*fields_of(MACHINE), *ignore}}
    if other:
        name, (have, want) = next(iter(other.items()))
        raise ValueError(
            f"`{path}` was trained with `{name}` = {have!r}, not {want!r}; train again or change `{name}`."
        )
    model.load_state_dict(load_file(path))
    return record.read(folder / "record.json")


def stored(folder: Path, asked: Config) -> Config:
    """The configuration of a trained model; where it runs and how it is judged is as asked.

    Raises:
        ValueError: no checkpoint there.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"`{folder}` holds no checkpoint: `config.json` is missing.")
    fields = {name: getattr(asked, name) for name in fields_of(MACHINE)}
    return replace(Config.from_dict(json.loads(file.read_text())), **fields)


def save_snapshot(folder: Path, epoch: int, maps: dict[str, torch.Tensor]) -> None:
    """Keep a few maps as they were after `epoch` (from 1), for the book's sliders."""
    data = save({name: m.detach().cpu().half().contiguous() for name, m in maps.items()})
    write_bytes(folder / "snapshots" / f"epoch-{epoch:03d}.safetensors", data)


def snapshots(folder: str | Path) -> list[dict[str, torch.Tensor]]:
    """What `save_snapshot` kept, epoch by epoch: name -> maps (n, S, S) in [0, 1]."""
    files = sorted((Path(folder) / "snapshots").glob("epoch-*.safetensors"))
    return [{name: m.float() for name, m in load_file(f).items()} for f in files]


def save_best(folder: Path, model: nn.Module) -> None:
    """Keep the weights of the best epoch so far."""
    write_bytes(folder / "best.safetensors", _weights(model))


def load_best(folder: Path, model: nn.Module) -> None:
    """Load what `save_best` kept, if it kept any."""
    if (folder / "best.safetensors").is_file():
        model.load_state_dict(load_file(folder / "best.safetensors"))


def save_resume(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    generator: torch.Generator,
) -> None:
    """Write one file from which the phase goes on: weights, Adam's moments, the state of the random draws, and `state`
    as JSON in the header."""
    tensors = {f"model.{k}": v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{k}": v.detach().cpu().contiguous() for k, v in moments.items()}
    tensors["draws.generator"] = generator.get_state()
    write_bytes(folder / "resume.safetensors", save(tensors, metadata={"state": json.dumps(state)}))


def load_resume(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> dict[str, Any] | None:
    """Load what `save_resume` wrote and return its `state`; None where there is nothing."""
    path = folder / "resume.safetensors"
    if not path.is_file():
        return None
    from safetensors import safe_open

    moments: dict[int, dict[str, torch.Tensor]] = {}
    weights = {}
    with safe_open(path, framework="pt") as file:
        state: dict[str, Any] = json.loads(file.metadata()["state"])
        for key in file.keys():  # noqa: SIM118
            kind, rest = key.split(".", 1)
            if kind == "model":
                weights[rest] = file.get_tensor(key)
            elif kind == "draws":
                generator.set_state(file.get_tensor(key))
            else:
                i, name = rest.split(".", 1)
                moments.setdefault(int(i), {})[name] = file.get_tensor(key)
    model.load_state_dict(weights)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return state


def drop_resume(folder: Path) -> None:
    """Remove what a finished phase no longer needs."""
    for name in ("resume.safetensors", "best.safetensors"):
        (folder / name).unlink(missing_ok=True)


def drop_parts(folder: Path) -> None:
    """Remove files that a process was writing when it was killed; none may be writing there."""
    for part in (*folder.glob(".*.part"), *folder.glob("snapshots/.*.part")):
        part.unlink(missing_ok=True)


def cut_log(folder: Path, step: int) -> None:
    """Take from log.jsonl what came after `step`: a resumed run says it again."""
    file = folder / "log.jsonl"
    if file.is_file():
        lines = [line for line in file.read_text().splitlines() if _step_of(line) <= step]
        write_text(file, "".join(f"{line}\n" for line in lines))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except ValueError:  # cut off by a kill
        return math.inf


def _weights(model: nn.Module) -> bytes:
    return save({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()})
