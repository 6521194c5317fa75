"""Parameters and multiply-adds of one clip, without computing anything."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.ratios.network import network

NORM = 0.0507  # 10^9, 4 x the elements that pass a batch norm, as the paper's profiler counts them


def counts() -> dict[str, dict[str, float]]:
    """Parameters in 10^6 and multiply-adds of one clip in 10^9, counted as the paper's profiler does.

    The sound network is left out, the visual projector runs twice (masked and unmasked), batch norm counts. The paper's
    SMR row holds the decoder; "smr-alone" does not.
    """
    with torch.device("meta"):
        model = network()
        image, embedded, m_crs = torch.empty(1, 3, 224, 224), torch.empty(1, 128), torch.empty(1, 14, 14)
        stages, f_v = model.encode_image(image)
        base = macs(model.visual, image) + 2 * macs(model.project_v, stages[3]) + macs(model.project_a, embedded) + NORM
        decoder, affine = macs(model.segment, stages, f_v, m_crs), macs(model.f_aff, stages)
        sound = macs(model.audio, torch.empty(1, 1, 1, 96, 64))
    encoders = [model.visual, model.project_v, model.project_a]
    rows: dict[str, tuple[list[nn.Module], float]] = {
        "coarse": (encoders, base),
        "smr": ([*encoders, model.sps, model.pmv_aff], base + decoder + affine),
        "smr-alone": ([*encoders, model.pmv_aff], base + affine),
        "sps": ([*encoders, model.sps], base + decoder),
        "vggish": ([model.audio], sound),
    }
    return {name: {"parameters": parameters(nets), "multiply_adds": total} for name, (nets, total) in rows.items()}


def macs(call: Callable[..., object], *inputs: object) -> float:
    """Multiply-adds in 10^9."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(*inputs)
    return counter.get_total_flops() / 2e9


def parameters(nets: Sequence[nn.Module]) -> float:
    """Parameters in 10^6."""
    return sum(p.numel() for net in nets for p in net.parameters()) / 1e6
