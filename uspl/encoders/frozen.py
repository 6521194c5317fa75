"""Encoders that are not trained: no gradient, eval mode, not in checkpoints; what they said can be remembered."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Memory(dict[bytes, list[Tensor]]):
    """Image -> its stages, float16 on the CPU; copies of a model share it."""

    def __deepcopy__(self, _: Any) -> "Memory":
        return self


@contextmanager
def remembered(model: nn.Module) -> Iterator[None]:
    """Inside, the frozen image encoder of a model encodes each image once; 0.4 MB are kept for each at 224 pixels."""
    frozen = [part for part in model.modules() if isinstance(part, FrozenStages)]
    for part in frozen:
        part.memory = Memory()
    try:
        yield
    finally:
        for part in frozen:
            part.memory = None


class FrozenStages(nn.Module):
    """A frozen image encoder. While it has a `memory`, an image that was seen before is not encoded again.

    Args:
        net: the encoder, with `widths`.
        published: its weights can be had again, so that checkpoints leave them out.
    """

    def __init__(self, net: nn.Module, *, published: bool) -> None:
        super().__init__()
        self.net, self.widths = net, net.widths
        self.memory: Memory | None = None
        freeze(net, published=published)

    def train(self, mode: bool = True) -> "FrozenStages":
        """As `nn.Module.train`, except that the encoder stays in eval mode."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        """image (B, 3, H, W): ImageNet-normalised. Returns the stages of the encoder, without gradient."""
        with torch.no_grad():
            if self.memory is None:
                return tuple(self.net(image))
            names = [hashlib.blake2b(one.numpy().tobytes(), digest_size=16).digest() for one in image.cpu()]
            fresh = [i for i, name in enumerate(names) if name not in self.memory]
            if fresh:
                found = [stage.half().cpu() for stage in self.net(image[fresh])]
                self.memory |= {names[i]: [stage[k] for stage in found] for k, i in enumerate(fresh)}
            rows = [self.memory[name] for name in names]
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
