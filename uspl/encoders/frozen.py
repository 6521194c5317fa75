"""Encoders that are not trained: no gradient, eval mode, not in checkpoints; what they said can be remembered."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Memory = dict[tuple[str, bytes], list[Tensor]]  # (network, image) -> its stages, float16 on the CPU
_memory: ContextVar[Memory | None] = ContextVar("memory", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Inside, frozen image encoders encode each image once; 0.4 MB are kept for each at 224 pixels.

    All models with the same published network share what is known. Blocks may be nested; the outermost forgets.
    """
    token = _memory.set({}) if _memory.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _memory.reset(token)


class FrozenStages(nn.Module):
    """A frozen image encoder; what `remembered` says holds for it.

    Args:
        net: the encoder, with `widths`.
        published: its weights can be had again, so that checkpoints leave them out.
    """

    def __init__(self, net: nn.Module, *, published: bool) -> None:
        super().__init__()
        self.net, self.widths = net, net.widths
        self.name = type(net).__name__ if published else f"{type(net).__name__} {id(net)}"
        freeze(net, published=published)

    def train(self, mode: bool = True) -> "FrozenStages":
        """As `nn.Module.train`, except that the encoder stays in eval mode."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        """image (B, 3, H, W): ImageNet-normalised. Returns the stages of the encoder, without gradient."""
        with torch.no_grad():
            memory = _memory.get()
            if memory is None:
                return tuple(self.net(image))
            keys = [(self.name, hashlib.blake2b(one.numpy().tobytes(), digest_size=16).digest()) for one in image.cpu()]
            fresh = [i for i, key in enumerate(keys) if key not in memory]
            if fresh:
                found = [stage.half().cpu() for stage in self.net(image[fresh])]
                memory |= {keys[i]: [stage[k] for stage in found] for k, i in enumerate(fresh)}
            rows = [memory[key] for key in keys]
            return tuple(torch.stack(stage).to(image) for stage in zip(*rows, strict=True))


def freeze(net: nn.Module, *, published: bool) -> None:
    """No gradient and eval mode; `published` weights stay out of state dicts, and loading one leaves them alone."""
    net.requires_grad_(False).eval()
    if published:
        net.register_state_dict_post_hook(_drop)
        net.register_load_state_dict_pre_hook(_keep)


def _drop(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: Any) -> None:
    for name in [name for name in state if name.startswith(prefix)]:
        del state[name]


def _keep(net: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        state.setdefault(prefix + name, tensor.detach())
