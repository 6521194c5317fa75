"""Each published rule of section 4.2 against its source, and the floors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.protocols import up, vsl_golden
from tests.helpers.values import normal, random, reference
from uspl import metrics

CASES = [
    "main",
    "edge_one_empty_gt_one_empty_pred_one_full_pred",
    "all_gt_empty",
    "all_gt_empty_pred_empty",
    "perfect",
    "logit_exactly_zero",
    "full_gt",
]


def case(name: str) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    golden = reference("metrics_avsbench")
    start = f"avs_{name}_"
    found = {k.removeprefix(start): v for k, v in golden.items() if k.startswith(start)}
    return found["logits"], found["gt"], found


# Golden values, AVSBench


@pytest.mark.parametrize("name", CASES)
def test_avsbench_miou_matches(name: str) -> None:
    logits, gt, golden = case(name)
    each = [metrics.avsbench_miou(logits[i : i + 1], gt[i : i + 1]) for i in range(len(logits))]
    assert metrics.avsbench_miou(logits, gt) == pytest.approx(golden["mask_iou"].item(), abs=1e-6)
    assert each == pytest.approx(golden["mask_iou_each"].tolist(), abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_avsbench_fscore_matches(name: str) -> None:
    logits, gt, golden = case(name)
    per_batch = metrics.avsbench_fscore(logits, gt, per="batch")
    each = golden["Fmeasure_each"].tolist()
    assert per_batch == pytest.approx(golden["Fmeasure_batch"].item(), abs=1e-6)
    assert metrics.avsbench_fscore(logits, gt) == pytest.approx(np.mean(each), abs=1e-6)


def test_videos_are_the_peers_batches() -> None:
    logits, gt, _ = case("main")
    batches = [metrics.avsbench_fscore(logits[s], gt[s], per="batch") for s in (slice(0, 3), slice(3, 5))]
    videos = ["a", "a", "a", "b", "b"]
    assert metrics.avsbench_fscore(logits, gt, videos=videos) == pytest.approx(np.mean(batches), abs=1e-7)


def test_one_video_is_one_batch() -> None:
    logits, gt, golden = case("main")
    together = metrics.avsbench_fscore(logits, gt, videos=[1] * 5)
    assert together == pytest.approx(golden["Fmeasure_batch"].item(), abs=1e-6)


# Golden values, VGG-SS


def test_boxes_match() -> None:
    golden, gt = vsl_golden()
    for boxes, n, expected in zip(golden["boxes_raw_f64"], golden["n_boxes"].tolist(), gt, strict=True):
        assert torch.equal(metrics.boxes_to_map(boxes[:n]), expected)
        assert torch.equal(metrics.boxes_to_map(boxes[:n].tolist()), expected)


@pytest.mark.parametrize(
    ("name", "mode", "corners"),
    [("ezvsl_test_bilinear_ac", "bilinear", True), ("ezvsl_val_bicubic", "bicubic", False)],
)
def test_ciou_matches(name: str, mode: str, corners: bool) -> None:
    golden, gt = vsl_golden()
    maps = up(golden["heat"], mode, corners)
    cious = metrics.ciou(maps, gt)
    torch.testing.assert_close(cious, golden[f"{name}_ciou"], rtol=0, atol=1e-4)
    summary = [metrics.ciou_at(cious, 0.5), cious.mean().item(), metrics.auc(cious)]
    assert summary == pytest.approx(golden[f"{name}_AP50_meanciou_AUC"].tolist(), abs=1e-6)


def test_ciou_at_a_fixed_threshold_matches() -> None:
    golden, gt = vsl_golden()
    maps = up(golden["heat"], "bilinear", True)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    cious = metrics.ciou((maps - low) / (high - low), gt, rule=0.5)
    torch.testing.assert_close(cious, golden["ezvsl_fixed0.5_ciou"], rtol=0, atol=1e-4)
    adaptive = metrics.ciou(metrics.binarise(maps, how="minmax").float(), gt, rule=0.5)
    torch.testing.assert_close(adaptive, cious, rtol=0, atol=1e-3)


# The formulas, slowly


def slow_fscore(scores: Tensor, truth: Tensor) -> float:
    best = 0.0
    for threshold in np.linspace(0, 1 - 1e-10, 255, dtype=np.float32):
        total = 0.0
        for score, mask in zip(scores.numpy(), truth.numpy() > 0, strict=True):
            pred = score >= threshold
            precision = (pred & mask).sum() / (pred.sum() + 1e-20)
            recall = (pred & mask).sum() / (mask.sum() + 1e-20)
            total += 1.3 * precision * recall / (0.3 * precision + recall) if precision + recall > 0 else 0.0
        best = max(best, total / len(scores))
    return best


@given(st.integers(0, 999))
def test_fscore_is_the_loop_over_thresholds(seed: int) -> None:
    logits, masks = normal(seed, 2, 6, 5), (random(seed + 1, 2, 6, 5) > 0.6).float()
    masks[:, 0, 0] = 1
    expected = slow_fscore(logits.sigmoid(), masks)
    assert metrics.avsbench_fscore(logits, masks, per="batch") == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 999))
def test_ciou_is_the_loop_over_pixels(seed: int) -> None:
    maps, gt = random(seed, 1, 6, 6), (random(seed + 1, 1, 6, 6) > 0.5).float()
    gt[0, 0, 0] = 1
    threshold = sorted(maps.flatten().tolist())[18]
    hit = beside = 0.0
    for value, weight in zip(maps.flatten().tolist(), gt.flatten().tolist(), strict=True):
        if value >= threshold:
            hit += weight
            beside += weight == 0
    assert metrics.ciou(maps, gt).item() == pytest.approx(hit / (gt.sum().item() + beside), abs=1e-6)


# By hand


def test_logit_zero_is_background() -> None:
    assert metrics.avsbench_miou(torch.zeros(1, 2, 2), torch.ones(1, 2, 2)) == 0


def test_fscore_counts_a_score_on_its_threshold() -> None:
    """Only the last threshold, 1, parts these two pixels: sigmoid(100) is 1, sigmoid(7) lies between the last two."""
    logits = torch.tensor([[[100.0, 7.0]]])
    assert metrics.avsbench_fscore(logits, torch.tensor([[[1, 0]]])) == pytest.approx(1)
    assert metrics.avsbench_fscore(logits, torch.tensor([[[0, 1]]])) == pytest.approx(1.3 * 0.5 / (0.3 * 0.5 + 1))


def test_an_empty_truth_scores_the_share_left_empty() -> None:
    logits = torch.tensor([[[9.0, -9.0], [-9.0, -9.0]]])
    assert metrics.avsbench_miou(logits, torch.zeros(1, 2, 2)) == pytest.approx(0.75)


def test_half_of_the_image_is_marked_whatever_the_object() -> None:
    maps = torch.arange(16.0).view(1, 4, 4)
    assert metrics.binarise(maps, how="half_image").sum() == 8
    assert metrics.binarise(maps, how="half").sum() == 15
    assert metrics.binarise(maps, how="minmax").sum() == 8


def test_auc_of_three_images() -> None:
    """Shares over 0, .05, ..., 1: 1 at 0, then 2/3 up to .5, then 1/3 up to 1."""
    expected = 0.05 * (1 / 2 + 10 * 2 / 3 + 9 * 1 / 3 + 1 / 6)
    assert metrics.auc(torch.tensor([0.0, 0.5, 1.0])) == pytest.approx(expected)


def test_boxes_are_clipped_and_truncated() -> None:
    filled = metrics.boxes_to_map([[-2.0, 0.3, 0.49, 7.0], [0.9, 0.9, 0.1, 0.1]], size=4)
    assert filled.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]


def test_floors_by_hand() -> None:
    """Two objects of 4 and 6 pixels in 36; the small one sounds."""
    objects = torch.zeros(1, 6, 6, dtype=torch.uint8)
    objects[0, 2:4, 2:4] = 1
    objects[0, 0, :] = 2
    found = metrics.floors(objects == 1, objects)
    assert found == pytest.approx(
        {"whole_image": 4 / 36, "centre_box": 1.0, "every_object": 0.4, "largest_object": 0.0}, abs=1e-6
    )
    assert metrics.centre_box(objects == 1)[1] == 2


def test_largest_object_of_an_empty_frame_is_nothing() -> None:
    objects = torch.zeros(2, 3, 3, dtype=torch.uint8)
    objects[1, 0, 0] = 4
    assert metrics.largest_object(objects).flatten(1).sum(1).tolist() == [0, 1]


# Properties


@given(st.integers(0, 999))
def test_iou_is_symmetric_where_neither_is_empty(seed: int) -> None:
    a, b = random(seed, 3, 5, 5) > 0.5, random(seed + 1, 3, 5, 5) > 0.5
    a[:, 0, 0] = b[:, 1, 1] = True
    torch.testing.assert_close(metrics.iou(a, b), metrics.iou(b, a))
    torch.testing.assert_close(metrics.iou(a, a), torch.ones(3))


@given(st.integers(0, 999), st.permutations(range(4)))
def test_order_of_frames_does_not_matter(seed: int, order: list[int]) -> None:
    logits, masks = normal(seed, 4, 5, 5), random(seed + 1, 4, 5, 5) > 0.5
    videos = [0, 0, 1, 1]
    shuffled = [videos[i] for i in order]
    assert metrics.avsbench_miou(logits[order], masks[order]) == pytest.approx(metrics.avsbench_miou(logits, masks))
    assert metrics.avsbench_fscore(logits[order], masks[order], videos=shuffled) == pytest.approx(
        metrics.avsbench_fscore(logits, masks, videos=videos), abs=1e-6
    )


@given(st.integers(0, 999), st.floats(0.1, 9), st.floats(-5, 5))
def test_half_rule_ignores_the_range_of_the_map(seed: int, scale: float, shift: float) -> None:
    maps, gt = random(seed, 1, 6, 6), (random(seed + 1, 1, 6, 6) > 0.5).float()
    torch.testing.assert_close(metrics.ciou(scale * maps + shift, gt), metrics.ciou(maps, gt))


# Refused


@pytest.mark.usefixtures("unchecked")
def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"must have one shape .*got \(1, 2, 2\) and \(1, 3, 3\)"):
        metrics.avsbench_miou(torch.zeros(1, 2, 2), torch.zeros(1, 3, 3))
    with pytest.raises(ValueError, match="N >= 1"):
        metrics.avsbench_fscore(torch.zeros(0, 2, 2), torch.zeros(0, 2, 2))


def test_unknown_rules() -> None:
    maps = torch.zeros(1, 2, 2)
    with pytest.raises(ValueError, match=r"`rule` must be 'half', 'half_strict' or a threshold in \(0, 1\); got 1\.5"):
        metrics.ciou(maps, maps, rule=1.5)
    with pytest.raises(ValueError, match="`videos` must name the video of each of the 1 frames; got 2"):
        metrics.avsbench_fscore(maps, maps, videos=[1, 2])
