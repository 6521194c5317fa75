"""Pure functions of maps and masks, under the names of their sources."""

from uspl.metrics.localization import (
    auc,
    binarise,
    boxes_to_map,
    check_maps,
    ciou,
    ciou_at,
    ciou_curve,
    count_at_or_above,
)
from uspl.metrics.segmentation import (
    avsbench_fscore,
    avsbench_miou,
    f_curves,
    f_curves_of_scores,
    iou,
    iou_curve,
    iou_of_counts,
)
from uspl.metrics.trivial_baselines import centre_box, floors, largest_object

__all__ = [
    "auc",
    "avsbench_fscore",
    "avsbench_miou",
    "binarise",
    "boxes_to_map",
    "centre_box",
    "check_maps",
    "ciou",
    "ciou_at",
    "ciou_curve",
    "count_at_or_above",
    "f_curves",
    "f_curves_of_scores",
    "floors",
    "iou",
    "iou_curve",
    "iou_of_counts",
    "largest_object",
]
