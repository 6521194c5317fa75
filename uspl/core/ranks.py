"""The processes that train one model together: whose rows of a batch are whose, and what they tell one another."""

import os
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
NEEDED = ("RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun and `accelerate launch` set beside WORLD_SIZE


class Ranks(NamedTuple):
    """One of the processes that share each batch, in equal parts, in the order of their ranks.

    What they learn is that of one process: each returns a loss whose mean over the processes is the loss of the whole
    batch, and the mean of their gradients, which DistributedDataParallel takes, is then the gradient of that loss.

    >>> alone = Ranks()
    >>> alone.rows(torch.tensor([1, 2])).tolist(), alone.mean(torch.tensor(3)).item()
    ([1, 2], 3)
    """

    rank: int = 0
    world: int = 1

    def rows(self, x: Tensor, *, dim: int = 0) -> Tensor:
        """The own part of what was drawn for the whole batch."""
        n = x.shape[dim] // self.world
        return x.narrow(dim, self.rank * n, n)

    def gather(self, x: Tensor) -> Tensor:
        """The rows of all, (b, ...) -> (B, ...), with gradient: that of a row is the sum of what all make of it."""
        gathered: Tensor = x if self.world == 1 else _Gather.apply(x, self)
        return gathered

    def sum(self, x: Tensor) -> Tensor:
        """The sum over the processes, with gradient."""
        total: Tensor = x if self.world == 1 else _Sum.apply(x)
        return total

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the processes, in float64 where `x` is a count; without gradient."""
        if self.world == 1:
            return x.detach()
        total = x.detach().clone() if x.is_floating_point() else x.double()
        dist.all_reduce(total)
        return total / self.world

    def wait(self) -> None:
        """Go on when all are here."""
        if self.world > 1:
            dist.barrier()

    def from_first(self, value: T) -> T:
        """What the first process says, whatever the others think."""
        told = [value]
        if self.world > 1:
            dist.broadcast_object_list(told, src=0)
        return told[0]

    def all(self, value: T) -> list[T]:
        """What each process says."""
        told: list[Any] = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(told, value)
        return told


ALONE = Ranks()


def announced() -> int:
    """How many processes the environment says there are.

    Raises:
        ValueError: WORLD_SIZE is above 1 and nothing says where the others are, as when it is left from another job.
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if not world.isdigit() or int(world) < 1:
        raise ValueError(f"`WORLD_SIZE` must be an integer of at least 1; got {world!r}.")
    missing = [name for name in NEEDED if name not in os.environ]
    if int(world) > 1 and missing:
        raise ValueError(
            f"`WORLD_SIZE` is {world}, but `{missing[0]}` is not set: start with `torchrun`, or unset `WORLD_SIZE`."
        )
    return int(world)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(ranks.world)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return ctx.ranks.rows(total), None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Sum.forward(ctx, grad)
