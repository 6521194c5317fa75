"""What holds the method back: each stage in turn replaced by its oracle, which reads the mask; the others stay."""

import statistics

import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from uspl import align
from uspl.data.batch import Clip
from uspl.inference.predict import loader
from uspl.maps import resize
from uspl.metrics import segmentation
from uspl.model import USPL

STAGES = {
    "none": "as it is",
    "choice": "coarse map cut to the object that sounds",
    "m_crs": "true coarse map",
    "a": "true affinity",
    "m_crs, a": "true coarse map and affinity",
}
APART = 1e3  # features this far apart have no affinity


def replaced(model: USPL, dataset: Dataset[Clip], *, batch_size: int = 50) -> dict[str, dict[str, float]]:
    """mIoU at 0.5 of each map, with stages replaced by oracles.

    "choice": the coarse map keeps its values where the encoder's grid meets the object that sounds, and has its
    lowest value elsewhere: it never errs about the object, only about its extent. "m_crs": the coarse map is the mask
    at the encoder's resolution, the mean over each location. "a": two pixels of the affinity grid belong together
    (1) where the mask says the same of both, otherwise not (0); the coarse map is the model's. SPS knows of no
    affinity, so that "a" leaves it as it is.

    Args:
        model: in any mode; left in eval mode.
        dataset: clips with masks.
        batch_size: clips at once.

    Returns:
        Name in `STAGES` -> "m_crs", "m_fine", "m" -> mIoU, mean over frames.
    """
    model.eval()
    cfg, device = model.cfg, next(model.parameters()).device
    ious: dict[str, dict[str, list[float]]] = {name: {"m_crs": [], "m_fine": [], "m": []} for name in STAGES}
    for batch in loader(dataset, batch_size=batch_size, front_end=cfg.front_end):
        batch = batch.to(device)
        with torch.inference_mode():
            truth = batch.mask.float()
            stages, f_v = model.encode_image(batch.image)
            found = align.sounding_map(model.encode_sound(batch.sound), f_v)
            true = F.adaptive_avg_pool2d(truth, (found.shape[1], found.shape[2]))
            choice = found.where(true > 0, found.amin((1, 2), keepdim=True))
            a = model.affinities(model.f_aff(stages))
            true_a = model.affinities(APART * (resize(truth, cfg.map_size) > 0.5).float().unsqueeze(1))
            settings = {"none": (found, a), "choice": (choice, a), "m_crs": (true, a), "a": (found, true_a)}
            for name, (m_crs, near) in {**settings, "m_crs, a": (true, true_a)}.items():
                for kind, m in model.decode(stages, f_v, m_crs, ("m_crs", "m_fine", "m"), a=near).items():
                    ious[name][kind] += segmentation.iou(resize(m, cfg.image_size) > 0.5, truth > 0.5).tolist()
    return {name: {kind: statistics.fmean(all_) for kind, all_ in by.items()} for name, by in ious.items()}
