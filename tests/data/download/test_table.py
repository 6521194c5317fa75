"""Clips of the official table: their videos asked for once and slowly, what is gone told from what may come."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.data_sample import film
from tests.helpers.preparation import prepare, written
from uspl.cli import prepare_vggsound
from uspl.data.download import fetch
from uspl.data.download.refusals import Unavailable

A, B, C, D = (letter * 11 for letter in "ABCD")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("site") / "film.mp4", seconds=7, side=64)


@pytest.fixture
def site(video: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serves a film of 7 s for A and D, has lost B, is out of reach for C; the list of requests."""
    asked: list[str] = []

    def answer(id: str, home: Path, manners: object) -> Path:
        asked.append(id)
        if id == B:
            raise Unavailable("gone", "Video unavailable")
        if id == C:
            raise Unavailable("network", "HTTP Error 503")
        home.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(video, home / f"{id}.mp4"))

    monkeypatch.setattr(fetch, "fetch", answer)
    return asked


def test_table(site: list[str], tmp_path: Path) -> None:
    table, out = tmp_path / "vggsound.csv", tmp_path / "out"
    table.write_text(f'{A},0,"dog, barking",train\n{B},30,bell,test\n{C},1,bell,test\n{D},40,bell,train\n')
    found = prepare(table, out)
    assert found == {
        f"{B}_000030": ("gone", "Video unavailable"),
        f"{C}_000001": ("network", "HTTP Error 503"),
        f"{D}_000040": ("bad", found[f"{D}_000040"][1]),
    }
    assert found[f"{D}_000040"][1].startswith("is truncated: pictures end at 7.")
    assert sorted(written(out)) == [f"audio/{A}_000000.wav", f"frames/{A}_000000.jpg"]
    level = np.asarray(Image.open(out / f"frames/{A}_000000.jpg")).mean()
    assert abs(level - 5 * 8 * 8 % 256) < 6  # the middle of the ten seconds that begin at 0
    assert not list((out / ".videos").iterdir())
    assert site == [A, B, C, D]
    prepare(table, out)
    assert site == [A, B, C, D, C, D]  # neither what is done nor what is gone
    prepare(table, out, "--again", "gone", "--keep-videos")
    assert site[6:] == [B, C, D]
    assert [p.name for p in (out / ".videos").iterdir()] == [f"{D}.mp4"]


def test_a_site_that_refuses_is_left_alone(site: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vggsound.csv").write_text("".join(f"{C},{i},bell,train\n" for i in range(20)))
    assert prepare_vggsound.main([str(tmp_path / "vggsound.csv"), str(tmp_path / "out"), "--workers", "1"]) == 2
    says = "5 downloads in a row failed (HTTP Error 503): the line or the site is down; then the same command goes on."
    assert says in capsys.readouterr().err
    assert len(site) == 5


def test_fields_that_climb_out(site: list[str], tmp_path: Path) -> None:
    home = tmp_path / "deep/er"
    home.mkdir(parents=True)
    lines = [
        "../../../x,0,a,b",
        "/etc/passwd,0,a,b",
        f"{A},../0,a,b",
        f"{A},-1,a,b",
        f"{A},٣,a,b",
        A,
        ",,",
        "a\\..\\b,1",
    ]
    (home / "vggsound.csv").write_text("\n".join([*lines, f"{A},0,../../label,../split", f"{A},0,a,b"]) + "\n")
    before = set(tmp_path.rglob("*"))
    found = prepare(home / "vggsound.csv", home / "out")
    assert len(found) == 9
    assert all(reason.startswith("is refused: ") for id, (_, reason) in found.items() if id.startswith("line "))
    assert found[f"{A}_000000 again"] == ("bad", "stands twice in the table")
    made = set(tmp_path.rglob("*")) - before
    assert all(home / "out" in (p, *p.parents) for p in made)
    assert site == [A]
