"""What stands beside a score: no number depends on the batch; intervals resample videos; the share is of the way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.values import random, tight
from uspl.evaluation.protocols.registry import named
from uspl.evaluation.scorer import ProtocolScorer
from uspl.evaluation.scorer import _draws as draws
from uspl.experiments import report

NAMES = ["avsbench", "avsbench-batch(2)", "vggss-half", "vggss-absolute(0.4)", "vggss-adaptive", "slavc-extended"]
IDS = [f"v{i // 3}_{i % 3}" for i in range(12)]


def clips(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    maps, truth = random(seed, 12, 16, 16), (random(seed + 1, 12, 16, 16) > 0.6).float()
    truth[7] = 0
    return 0.6 * maps + 0.4 * truth * random(seed + 2, 12, 16, 16), truth


def tallied(name: str, parts: list[list[int]], **given: int) -> dict:
    maps, truth = clips()
    tally = ProtocolScorer(named(name))
    for some in parts:
        tally.add([IDS[i] for i in some], {"m": maps[some]}, truth[some])
    return tally.result(IDS, **{"resamples": 50, **given})


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5)
@given(size=st.integers(1, 12), order=st.permutations(range(12)))
def test_nothing_depends_on_the_batch_or_the_order_of_arrival(name: str, size: int, order: list[int]) -> None:
    whole = tallied(name, [list(range(12))], resamples=3)
    parts = [order[i : i + size] for i in range(0, 12, size)]
    assert tallied(name, parts, resamples=3) == whole


def test_a_batch_of_videos_follows_the_order_of_the_table() -> None:
    """The peers' number pairs neighbours: another order of the table is another number."""
    maps, truth = clips()
    found = []
    for order in (IDS, [f"v{v}_{k}" for v in (0, 2, 1, 3) for k in range(3)]):
        tally = ProtocolScorer(named("avsbench-batch(2)"))
        tally.add(IDS, {"m": maps}, truth)
        found.append(tally.result(order, resamples=2)["scores"]["m"]["fscore"]["value"])
    assert found[0] != pytest.approx(found[1], abs=1e-6)


def test_batches_of_videos_by_hand() -> None:
    """Three videos in batches of two: the mean of a mean curve's maximum and of a single maximum."""
    maps, truth = clips()
    truth[7, 0, 0] = 1

    def best(frames: list[int]) -> float:
        from uspl.metrics import avsbench_fscore

        return avsbench_fscore(torch.logit(maps[frames]), truth[frames], per="batch")

    tally = ProtocolScorer(named("avsbench-batch(2)"))
    tally.add(IDS[:9], {"m": maps[:9]}, truth[:9])
    found = tally.result(resamples=2)["scores"]["m"]["fscore"]["value"]
    assert found == pytest.approx((best(list(range(6))) + best([6, 7, 8])) / 2, abs=1e-6)


def test_the_interval_is_seeded_and_holds_the_value() -> None:
    a, b, c = (tallied("avsbench", [list(range(12))], seed=s) for s in (0, 0, 1))
    assert a == b
    assert a["scores"] != c["scores"]
    s = a["scores"]["m"]["miou"]
    assert s["low"] < s["value"] < s["high"]


@pytest.mark.parametrize("video", [[0, 1, 2, 3], [0, 0, 0, 1, 1, 2]])
def test_videos_are_drawn_whole(video: list[int]) -> None:
    """A drawn video brings all its clips, as often as it is drawn."""
    of = np.array(video)
    for rows in draws(of, 20, 0):
        times = np.bincount(rows, minlength=len(of))
        for v in set(video):
            assert len(set(times[of == v])) == 1
        assert sum(times[list(of).index(v)] for v in set(video)) == len(set(video))


def test_repeating_every_frame_does_not_narrow_the_interval() -> None:
    """Frames of a video are not independent: the same frame three times tells no more than once."""
    maps, truth = clips()
    found = []
    for times in (1, 3):
        tally = ProtocolScorer(named("vggss-absolute(0.4)"))
        for k in range(times):
            tally.add([f"v{i}_{k}" for i in range(12)], {"m": maps}, truth)
        s = tally.result(resamples=200)["scores"]["m"]["mean_ciou"]
        found.append((s["value"], s["low"], s["high"]))
    assert found[1] == pytest.approx(found[0])


def test_the_share_is_of_the_way_from_floor_to_ceiling() -> None:
    maps, truth = clips()
    tally = ProtocolScorer(named("vggss-absolute(0.4)"))
    tally.add(IDS, {"m": maps, "truth": truth, "all": torch.ones_like(truth)}, truth)
    found = tally.result(resamples=2)
    assert found["scores"]["truth"]["mean_ciou"]["share"] == pytest.approx(1)
    s = found["scores"]["all"]["mean_ciou"]
    assert s["value"] == pytest.approx(found["floors"]["whole_image"]["mean_ciou"])
    assert s["share"] == pytest.approx((s["value"] - s["floor"]) / (s["ceiling"] - s["floor"]))
    assert s["share"] <= 0


def test_a_share_is_left_out_where_there_is_no_way() -> None:
    tally = ProtocolScorer(named("avsbench"))
    tally.add(["v_1"], {"m": torch.ones(1, 4, 4)}, torch.ones(1, 4, 4))
    s = tally.result(resamples=2)["scores"]["m"]["miou"]
    assert s["floor"] == s["ceiling"]
    assert s["share"] is None
    assert "| m | mIoU | 1.000 |" in tight(report.markdown(record(avsbench=tally.result(resamples=2))))


# In words


def record(**protocols: dict) -> dict:
    return {"n": 12, "missing": [], "data_hash": "abc", "partial": False, "protocols": protocols, "listening": {}}


def test_no_column_holds_two_protocols() -> None:
    halves, absolute = (tallied(n, [list(range(12))]) for n in ("vggss-half", "vggss-absolute(0.4)"))
    text = tight(report.markdown(record(half=halves, absolute=absolute)))
    sections = text.split("### ")[1:]
    assert [s.split("\n")[0] for s in sections] == ["half", "absolute"]
    assert all(s.count("| map | score | value |") == 1 for s in sections)
    rows = {"ours": record(half=halves), "theirs": record(absolute=absolute)}
    head, _, ours, theirs = tight(report.compare(rows)).split("\n")
    assert head.count("cIoU@0.5 [half]") == head.count("cIoU@0.5 [absolute]") == 1
    assert ours.endswith("| not run | not run | not run |")
    assert theirs.startswith("| theirs | 12 | not run | not run | not run |")


def test_a_report_names_what_is_missing() -> None:
    values = record() | {"missing": [f"v{i}" for i in range(7)], "partial": True}
    assert report.markdown(values) == (
        "N = 12 pairs, data abc. Missing: 7 (v0, v1, v2, v3, v4 and 2 more). "
        "Partial: not comparable with scores of the whole set."
    )


# Refused


@pytest.mark.usefixtures("unchecked")
def test_maps_that_cannot_be_judged() -> None:
    tally, truth = ProtocolScorer(named("avsbench")), torch.ones(2, 4, 4)
    maps = torch.zeros(2, 4, 4)
    maps[1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="the map `m` of 'b_1' holds a value that is no number"):
        tally.add(["a_1", "b_1"], {"m": maps}, truth)
    with pytest.raises(ValueError, match="`ids` must name each of the 2 clips; got 1"):
        ProtocolScorer(named("avsbench")).add(["a_1"], {}, truth)
    with pytest.raises(ValueError, match=r"must have one shape .*got \(2, 3, 3\) and \(2, 4, 4\)"):
        ProtocolScorer(named("avsbench")).add(["a_1", "b_1"], {"m": torch.zeros(2, 3, 3)}, truth)
    with pytest.raises(ValueError, match="`vggss-half` needs at least one clip with a ground truth; got none"):
        ProtocolScorer(named("vggss-half")).result()


def test_slavc_needs_both_kinds_of_pairs() -> None:
    for truth, lack in ((torch.ones(2, 4, 4), "silent"), (torch.zeros(2, 4, 4), "sounding")):
        tally = ProtocolScorer(named("slavc-extended"))
        tally.add(["a_1", "b_1"], {"m": random(0, 2, 4, 4)}, truth)
        with pytest.raises(ValueError, match=f"needs sounding and silent pairs; got no {lack} one among 2"):
            tally.result()
