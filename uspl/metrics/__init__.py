"""Pure functions of maps and masks, under the names of their sources."""

from uspl.metrics.localization import auc, binarise, boxes_to_map, ciou, ciou_at, ciou_curve
from uspl.metrics.segmentation import avsbench_fscore, avsbench_miou, f_curves_of_scores, iou, iou_curve
from uspl.metrics.trivial_baselines import centre_box, floors, largest_object

__all__ = [
    "auc",
    "avsbench_fscore",
    "avsbench_miou",
    "binarise",
    "boxes_to_map",
    "centre_box",
    "ciou",
    "ciou_at",
    "ciou_curve",
    "f_curves_of_scores",
    "floors",
    "iou",
    "iou_curve",
    "largest_object",
]
