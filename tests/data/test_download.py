"""uspl.data.prepare.download: the official table, its videos asked for once and slowly, reasons for what is gone."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.data_sample import film
from tests.helpers.preparation import prepare, written
from uspl.cli import prepare_vggsound
from uspl.data.prepare import download

A, B, C, D = (letter * 11 for letter in "ABCD")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("site") / "film.mp4", seconds=7, side=64)


@pytest.fixture
def site(video: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serves a film of 7 s for A and D, has lost B, is out of reach for C; the list of requests."""
    asked: list[str] = []

    def fetch(id: str, home: Path, manners: object) -> Path:
        asked.append(id)
        if id == B:
            raise download.Gone("Private video")
        if id == C:
            raise download.Later("HTTP Error 503")
        home.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(video, home / f"{id}.mp4"))

    monkeypatch.setattr(download, "fetch", fetch)
    return asked


def test_table(site: list[str], tmp_path: Path) -> None:
    table, out = tmp_path / "vggsound.csv", tmp_path / "out"
    table.write_text(f'{A},0,"dog, barking",train\n{B},30,bell,test\n{C},1,bell,test\n{D},40,bell,train\n')
    found = prepare(table, out)
    assert found == {
        f"{B}_000030": ("gone", "Private video"),
        f"{C}_000001": ("bad", "could not be downloaded: HTTP Error 503"),
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
    prepare(table, out, "--again", "--keep-videos")
    assert site[6:] == [B, C, D]
    assert [p.name for p in (out / ".videos").iterdir()] == [f"{D}.mp4"]


def test_a_site_that_refuses_is_left_alone(site: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vggsound.csv").write_text("".join(f"{C},{i},bell,train\n" for i in range(20)))
    assert prepare_vggsound.main([str(tmp_path / "vggsound.csv"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "5 downloads in a row failed (HTTP Error 503); later the same command goes on." in capsys.readouterr().err
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


def test_yt_dlp_is_asked_politely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real `fetch` with a stand-in for yt-dlp."""
    seen: dict[str, object] = {}

    class Site:
        def __init__(self, options: dict[str, object]) -> None:
            seen.update(options)

        def __enter__(self) -> "Site":
            return self

        def __exit__(self, *_: object) -> None: ...

        def download(self, addresses: list[str]) -> None:
            says = {A: None, B: "ERROR: [youtube] B: Private video. Sign in", C: "HTTP Error 429: Too Many Requests"}
            video = addresses[0][-11:]
            if video not in says:
                return  # larger than allowed: yt-dlp says nothing
            if says[video]:
                raise Module.utils.YoutubeDLError(says[video])
            Path(str(seen["outtmpl"]) % {"ext": "mp4"}).write_bytes(b"film")

    class Module:
        YoutubeDL = Site

        class utils:
            YoutubeDLError = type("YoutubeDLError", (Exception,), {})

    monkeypatch.setitem(sys.modules, "yt_dlp", Module)
    manners = download.Manners(sleep=3, rate=1000, largest=5000)
    assert download.fetch(A, tmp_path, manners).read_bytes() == b"film"
    assert (seen["sleep_interval"], seen["max_sleep_interval"], seen["ratelimit"]) == (3, 6, 1000)
    assert seen["max_filesize"] == 5000
    with pytest.raises(download.Gone, match=r"^Private video"):
        download.fetch(B, tmp_path, manners)
    with pytest.raises(download.Later, match="429"):
        download.fetch(C, tmp_path, manners)
    with pytest.raises(download.Gone, match="larger than 5000 bytes"):
        download.fetch(D, tmp_path, manners)
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    assert download.fetch(A, tmp_path, manners).read_bytes() == b"film"
    with pytest.raises(Exception, match=r"`yt-dlp` is missing; `pip install 'uspl\[download\]'` brings it\."):
        download.fetch(B, tmp_path, manners)
