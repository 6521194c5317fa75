"""Does it listen? Whose sound a clip hears instead, and what is counted for a map that follows and one that is deaf."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.models import clips, model
from tests.helpers.values import tight
from uspl.data.batch import video_of
from uspl.evaluation import sound_swap
from uspl.evaluation.evaluate import evaluate
from uspl.evaluation.sound_swap import audio_sensitivity, derangement
from uspl.experiments import report
from uspl.inference import predict

# Whose sound is heard


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.integers(0, 99))
def test_a_derangement_crosses_categories_as_often_as_can_be(numbers: list[int], seed: int) -> None:
    n = len(numbers)
    kinds = [f"kind{k}" for k in numbers]
    partner = derangement(kinds, [f"v{i}" for i in range(n)], seed=seed)
    assert sorted(partner) == list(range(n))  # every sound is heard once
    assert all(i != j for i, j in enumerate(partner))
    crossed = sum(kinds[i] != kinds[j] for i, j in enumerate(partner))
    most = max(Counter(kinds).values())
    assert crossed == min(n, 2 * (n - most))  # the largest category can give away no more than the others take


@given(st.integers(2, 8), st.integers(1, 3), st.integers(0, 99))
def test_a_clip_never_hears_its_own_video(videos: int, seconds: int, seed: int) -> None:
    names = [f"v{v}" for v in range(videos) for _ in range(seconds)]
    partner = derangement(["one kind"] * len(names), names, seed=seed)
    assert all(names[i] != names[j] for i, j in enumerate(partner))


def test_a_derangement_follows_its_seed() -> None:
    kinds, videos = [f"k{i % 5}" for i in range(20)], [f"v{i}" for i in range(20)]
    assert derangement(kinds, videos, seed=3) == derangement(kinds, videos, seed=3)
    assert derangement(kinds, videos, seed=3) != derangement(kinds, videos, seed=4)


def test_one_clip_has_no_other() -> None:
    with pytest.raises(ValueError, match="must name the same two clips or more; got 1 and 1"):
        derangement(["dog"], ["a"])


def test_each_sound_reaches_its_clip() -> None:
    """With partners, the batch hears what the partner's own clip would hear."""
    data = clips()
    heard: dict[str, list[Tensor]] = {"own": [], "other": []}
    partner = [(i + 5) % len(data) for i in range(len(data))]
    model().eval()
    for _, found in predict.predict_batches(
        model(), data, sounds=("own", "other"), partners={"other": partner}, maps=("m_cos",), batch_size=5
    ):
        for name in heard:
            heard[name].append(found[name]["m_cos"])
    images = torch.stack([data[i].frame for i in range(len(data))])
    own, other = (torch.cat(parts) for parts in heard.values())
    assert len(own) == len(other) == len(images)
    same = [i for i, j in enumerate(partner) if torch.equal(data[i].wave, data[j].wave)]
    for i in range(len(data)):
        assert torch.allclose(own[i], other[i], atol=1e-6) == (i in same)


def test_unknown_sounds_are_refused() -> None:
    with pytest.raises(ValueError, match="`sound` must be 'own', 'swap', 'silence', 'mine' or 'noise'; got 'music'"):
        next(predict.predict_batches(model(), clips(), sounds=("music",), partners={"mine": [0]}))
    with pytest.raises(ValueError, match="`maps` must be among m_crs, m_fine, m and m_cos; got 'm_rf'"):
        next(predict.predict(model(), clips(), maps=("m_rf",)))


# What is counted


def acted(monkeypatch: pytest.MonkeyPatch, follows: bool) -> dict[str, Any]:
    """`audio_sensitivity` for a map that marks what it is told to, or the first object whatever is heard."""

    def predict_batches(_: Any, dataset: Any, *, sounds: Any, partners: Any, maps: Any, **__: Any) -> Iterator[Any]:
        batch = next(iter(predict.loader(dataset, batch_size=len(dataset), front_end="vggish")))
        shown = {"own": 1, "swap": 2}
        found = {}
        for s in sounds:
            label = shown.get(s, 0) if follows else 1
            m = (batch.objects == label).float() if label else torch.zeros_like(batch.mask)
            found[s] = dict.fromkeys(maps, m)
        yield batch, found

    monkeypatch.setattr(sound_swap, "predict_batches", predict_batches)
    return audio_sensitivity(model(), clips(), maps=["m"])


def test_a_map_that_follows_the_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = acted(monkeypatch, follows=True)
    assert heard["own"] == heard["swap"] == heard["swap_iou"] == {"m": 1.0}
    assert heard["silence"] == heard["noise"] == {"m": 0.0}
    assert all(share == {"m": 1.0} for share in heard["moved"].values())
    assert set(heard["moved"]) == {"swap", "shuffled", "other", "silence", "noise"}
    assert heard["scores"]["own"]["m"]["miou"]["value"] == pytest.approx(1, abs=1e-6)
    assert heard["scores"]["other"]["m"]["miou"]["value"] == 0


def test_a_map_that_is_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = acted(monkeypatch, follows=False)
    assert heard["own"] == {"m": 1.0}
    assert heard["swap"] == heard["swap_iou"] == {"m": 0.0}
    assert all(share == {"m": 0.0} for share in heard["moved"].values())
    assert heard["silence"] == heard["area"]["own"]
    scores = [s["m"]["miou"]["value"] for s in heard["scores"].values()]
    assert scores == pytest.approx([scores[0]] * len(scores))
    text = tight(report.markdown({"n": 1, "missing": [], "data_hash": "", "protocols": {}, "listening": heard}))
    assert "| map | sound | mIoU [avsbench] | area | moved | on the right object |" in text
    assert "| m | swap | |" in text


def test_two_empty_maps_have_not_moved() -> None:
    empty = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert sound_swap._iou(empty, empty).tolist() == [1.0]
    assert sound_swap._iou(empty, ~empty).tolist() == [0.0]


def test_listening_of_a_model_is_whole_and_does_not_depend_on_the_batch() -> None:
    found = [audio_sensitivity(model(), clips(), maps=["m_crs", "m"], batch_size=b) for b in (5, 12)]
    assert found[0] == found[1]
    videos = [video_of(id) for id in clips().ids]
    kinds = sound_swap.categories_of(clips())
    partner = derangement(kinds, videos)
    assert found[0]["other_category"] == sum(kinds[i] != kinds[j] for i, j in enumerate(partner)) / len(kinds)


def test_listening_changes_no_bit_of_the_scores() -> None:
    """The maps under the clip's own sound serve both, and are those of a run that does not listen."""
    judged = [evaluate(model(), clips(), audio_sensitivity=asked, batch_size=5) for asked in (False, True)]
    assert judged[0]["protocols"] == judged[1]["protocols"]
    assert judged[1]["listening"] == audio_sensitivity(model(), clips(), batch_size=7)
