"""One phase of a training: prepared, taught epoch by epoch, and kept; it goes on where it was interrupted."""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import Subset
from tqdm.auto import tqdm

from uspl.config import Config
from uspl.core.progress import TrainingProgress
from uspl.core.ranks import Ranks
from uspl.data import splits
from uspl.data.batch import Batch
from uspl.evaluation import validation
from uspl.inference import predict
from uspl.train import checkpoint, embedding_cache, interruption, schedule
from uspl.train.step import Step, TrainingStopped, run_epoch

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """One phase, prepared: what its epochs need."""

    model: Any
    cfg: Config
    plan: schedule.Plan
    folder: Path
    clips: splits.Training
    val: Any
    accelerator: Accelerator
    ranks: Ranks
    objective: nn.Module
    optimizer: Any
    rates: Any
    loader: Any
    batches: schedule.Batches
    generator: torch.Generator  # of flips, hidden locations and offsets
    state: dict[str, Any]  # epoch, step, sums, history, seconds: what a checkpoint resumes
    save_every: int
    heard: set[str]  # signals
    bar: Any


def prepared(
    model: Any,
    objective: nn.Module,
    plan: schedule.Plan,
    folder: Path,
    *,
    cfg: Config,
    clips: splits.Training,
    accelerator: Accelerator,
    ranks: Ranks,
    progress: bool,
    save_every: int,
    heard: set[str],
) -> Run:
    """What `trained` needs, from the start of the phase or from its checkpoint; arguments as `loop.fit`."""
    # Weights, and where an interrupted run stopped
    model.to(accelerator.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(schedule.groups(model, model.heads(), cfg))
    generator = torch.Generator()
    resumed = checkpoint.load_resume(folder, model, optimizer, generator) or {}
    state: dict[str, Any] = {"epoch": 0, "step": 0, "sums": {}, "history": [], "seconds": 0.0} | resumed
    # Clips: a frozen sound encoder runs once over all of them
    with accelerator.main_process_first():
        data, val = (
            embedding_cache.cache_embeddings(x, model.audio, cfg, folder.parent, progress=progress)
            for x in (clips.train, clips.val)
        )
    draw = schedule.Draw(data.ids, seconds=plan.seconds, generator=torch.Generator())
    batches = schedule.Batches(draw, batch_size=cfg.batch_size, ranks=ranks)
    if not len(batches):
        raise ValueError(
            f"`batch_size` must be at most the number of training videos, {len(draw)}; got {cfg.batch_size}."
        )
    loader = predict.loader(
        data,
        batch_sampler=batches,
        front_end=cfg.front_end,
        num_workers=cfg.workers,
        persistent_workers=cfg.workers > 0,
        pin_memory=accelerator.device.type == "cuda",
    )
    # Learning rates, from the step at which the run stands
    done, total = state["epoch"] * len(batches) + state["step"], plan.epochs * len(batches)
    factor = schedule.factor(cfg, total, joint=plan.joint)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, factor, last_epoch=done - 1)
    objective, optimizer = accelerator.prepare(objective, optimizer)
    bar = tqdm(total=total, initial=done, desc=plan.name, disable=not progress)
    if accelerator.is_main_process:
        checkpoint.cut_log(folder, done)
    given = (accelerator, ranks, objective, optimizer, rates, loader, batches, generator, state, save_every, heard, bar)
    return Run(model, cfg, plan, folder, clips, val, *given)


def trained(run: Run) -> dict[str, Any]:
    """Every epoch that is left, then the record; each step can be resumed."""
    cfg, plan, state, ranks = run.cfg, run.plan, run.state, run.ranks
    for epoch in range(state["epoch"], plan.epochs):
        start = time.perf_counter()
        means = _learned(run, epoch, start)
        # Look
        means |= validation.validate(run.model, run.val, maps=plan.maps, loss=_held_out(run), ranks=ranks)
        if run.accelerator.is_main_process:
            few = Subset(run.val, range(min(8, len(run.val))))
            _, maps_now = next(predict.predict(run.model, few, maps=plan.maps))
            checkpoint.save_snapshot(run.folder, epoch + 1, maps_now)
        # Keep
        state["history"].append({k: round(v, 6) for k, v in means.items()})
        state |= {"epoch": epoch + 1, "step": 0, "sums": {}, "seconds": state["seconds"] + time.perf_counter() - start}
        run.bar.set_postfix({k: f"{v:.3f}" for k, v in means.items()})
        log.info("%s epoch %d/%d: %s", plan.name, epoch + 1, plan.epochs, state["history"][-1])
        score = schedule.selection_score(cfg, means)
        if plan.joint and cfg.keep == "best" and score > state.get("merit", -math.inf):
            state |= {"merit": score, "kept": epoch + 1}
            if run.accelerator.is_main_process:
                checkpoint.save_best(run.folder, run.model)
        _tell(run, {"step": (epoch + 1) * len(run.batches), "epoch": epoch + 1, **state["history"][-1]})
        _save(run, state)
    run.bar.close()
    ranks.wait()
    checkpoint.load_best(run.folder, run.model)
    ranks.wait()
    told = {k: v for k, v in state.items() if k not in ("step", "sums")}
    values = {"config": cfg.as_dict(), **run.clips.about(), **told, "processes": processes(cfg, ranks)}
    if run.accelerator.is_main_process:
        checkpoint.save_model(run.folder, run.model, cfg, values)
        checkpoint.drop_resume(run.folder)
    ranks.wait()
    for tracker in run.accelerator.trackers:
        tracker.finish()
    run.accelerator.free_memory()
    return values | {"folder": str(run.folder)}


def processes(cfg: Config, ranks: Ranks) -> dict[str, int]:
    """How a batch was shared out; "negatives" are the sounds that each image is compared with beside its own."""
    return {"world": ranks.world, "batch": cfg.batch_size // ranks.world, "negatives": cfg.batch_size - 1}


def _learned(run: Run, epoch: int, start: float) -> dict[str, float]:
    """One pass over the clips, or what is left of it; returns the mean of each loss over all of it."""
    cfg, plan, state, total = run.cfg, run.plan, run.state, len(run.batches)
    seed = schedule.seed(cfg.seed, plan.joint, epoch)
    run.batches.draw.generator.manual_seed(seed)
    run.batches.first = state["step"]
    if not state["step"]:
        run.generator.manual_seed(seed + 1)
    moment = TrainingProgress(plan.joint, schedule.delta(cfg, plan.joint, epoch), epoch / plan.epochs)
    step = Step(run.accelerator, run.objective, run.optimizer, run.rates, run.generator, moment, run.ranks)
    first, before = epoch * total, state["seconds"]

    def seen(done: int, rows: Sequence[dict[str, float]]) -> None:
        earlier, state["step"] = state["step"], done - first
        for row in rows:
            state["sums"] = {k: state["sums"].get(k, 0.0) + v for k, v in row.items()}
        for back, row in enumerate(rows, 1 - len(rows)):
            _tell(run, {"step": done + back, "epoch": epoch + 1, "lr": run.rates.get_last_lr()[0], **row})
        run.bar.update(len(rows))
        run.bar.set_postfix({k: f"{v:.3f}" for k, v in rows[-1].items()}, refresh=False)
        asked = run.heard if run.ranks.world == 1 else set().union(*run.ranks.all(set(run.heard)))
        due = run.save_every and state["step"] // run.save_every > earlier // run.save_every
        if asked or due:
            _save(run, state | {"seconds": before + time.perf_counter() - start})
        run.heard.discard(interruption.SAVE)
        if interruption.STOP in asked:
            raise TrainingStopped(
                f"stopped by {interruption.STOP} after step {done} of {plan.epochs * total} of {plan.name}; "
                "the same command goes on from there."
            )

    span: dict[str, int] = {"first": first + state["step"], "last": first + total}
    run_epoch(step, run.loader, flip=cfg.flip, **span, kept=run.folder, seen=seen)
    return {k: v / total for k, v in state["sums"].items()}


def _held_out(run: Run) -> Callable[[Batch], Tensor]:
    """The loss of a batch that is not learned from: nothing hidden, and the same draws after every epoch."""
    objective = run.accelerator.unwrap_model(run.objective)
    return partial(_loss, objective, TrainingProgress(run.plan.joint, 0.0, 1.0))


def _loss(objective: nn.Module, moment: TrainingProgress, batch: Batch) -> Tensor:
    found: Tensor = objective(batch, torch.Generator().manual_seed(0), moment)["loss"]
    return found


def _save(run: Run, state: dict[str, Any]) -> None:
    if run.accelerator.is_main_process:
        checkpoint.save_resume(run.folder, run.model, run.optimizer, state, run.generator)


def _tell(run: Run, line: dict[str, Any]) -> None:
    """A line of log.jsonl, and the same for a tracker if there is one."""
    if run.accelerator.is_main_process:
        run.folder.mkdir(parents=True, exist_ok=True)
        with (run.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    run.accelerator.log({k: v for k, v in line.items() if k != "step"}, step=line["step"])
