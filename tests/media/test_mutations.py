"""Damaged films end in a result or a sentence; `benchmarks.mutations` makes two hundred of them from real ones."""

from pathlib import Path

import pytest

from benchmarks.mutations import KINDS, counted, shortened, tried
from tests.helpers.broken_films import make
from tests.helpers.overlays import model
from uspl.inference.localizer import Localizer


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_damaged_films_do_no_harm(name: str, tmp_path: Path) -> None:
    film = shortened(make(tmp_path / f"long-{name}"), tmp_path / name)
    localizer = Localizer(model(), map="m_crs")
    outcomes = [tried(localizer, 1, (number, film)) for number in range(2 * len(KINDS))]
    told = counted(outcomes)
    assert told["faults"] == []
    assert told["films"] == 10
    assert all(kind["films"] == 2 for kind in told["kinds"].values())
    assert all(len(outcome.says) == 5 for outcome in outcomes)
    assert told["sentences"]["result"] < 50


def test_the_same_seed_damages_alike(tmp_path: Path) -> None:
    film, localizer = make(tmp_path / "a.mp4"), Localizer(model(), map="m_crs")
    assert tried(localizer, 3, (0, film)).says == tried(localizer, 3, (0, film)).says


def test_what_a_film_may_not_do_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(film: Path) -> None:
        (film.parent / "half.part").touch()
        raise AttributeError("nobody expected this")

    monkeypatch.setattr("benchmarks.mutations.waveform", crash)
    outcome = tried(Localizer(model(), map="m_crs"), 3, (0, make(tmp_path / "a.mp4")))
    assert outcome.faults[0] == "AttributeError: nobody expected this"
    assert outcome.faults[1].startswith("left ['half.part'")
