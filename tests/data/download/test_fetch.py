"""The real `fetch`, with a stand-in for yt-dlp: what it asks for, what it makes of the answers, when it stops."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import pytest

from tests.helpers.broken_films import make
from tests.helpers.data_sample import film
from tests.helpers.preparation import prepare, trouble
from uspl.cli import prepare_vggsound
from uspl.data.download.fetch import Manners, fetch
from uspl.data.download.refusals import Unavailable
from uspl.data.prepare.jobs import Refused
from uspl.media import waveform

A, B, C, D = (letter * 11 for letter in "ABCD")
LIMIT = "Video unavailable. This content isn't available, try again later. The current session has been rate-limited"
POLITE = Manners(sleep=0, rate=1000, largest=5000)
Answer = Callable[[Path], None]  # puts files into the folder that yt-dlp was told, or raises


class Site:
    """Stands for yt-dlp: answers by video, "*" for the others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, str | Answer] = {}
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}
        self.engines: dict[str, tuple[str, bool]] = {"deno": ("2.9", True)}  # version; is it new enough?
        site = self

        class YoutubeDL:
            def __init__(self, options: dict[str, Any]) -> None:
                site.options = options

            def __enter__(self) -> "YoutubeDL":
                return self

            def __exit__(self, *_: object) -> None: ...

            def download(self, addresses: list[str]) -> None:
                video = addresses[0][-11:]
                site.asked.append(video)
                answer = site.answers.get(video, site.answers.get("*", "Video unavailable"))
                if isinstance(answer, str):
                    raise whole.utils.YoutubeDLError(f"ERROR: [youtube] {video}: {answer}")  # type: ignore[attr-defined]
                place = Path(site.options["outtmpl"]).parent
                place.mkdir(parents=True, exist_ok=True)
                answer(place)

        whole, inner = ModuleType("yt_dlp"), ModuleType("yt_dlp.globals")
        whole.YoutubeDL = YoutubeDL  # type: ignore[attr-defined]
        whole.utils = SimpleNamespace(YoutubeDLError=type("YoutubeDLError", (Exception,), {}))  # type: ignore[attr-defined]
        inner.supported_js_runtimes = SimpleNamespace(value=Engines(self))  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "yt_dlp", whole)
        monkeypatch.setitem(sys.modules, "yt_dlp.globals", inner)


class Engines:
    """The JavaScript runtimes that the stand-in knows."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def items(self) -> list[tuple[str, Callable[[], Any]]]:
        found = {name: SimpleNamespace(version=v, supported=new) for name, (v, new) in self.site.engines.items()}
        return [(name, lambda name=name: SimpleNamespace(info=found.get(name))) for name in ("deno", "node")]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One film with pictures and sound, and its two halves; 11 s."""
    home = tmp_path_factory.mktemp("site")
    film(home / "both.mp4", seconds=11, side=64)
    make(home / "pictures.mp4", seconds=11, size=(64, 64), layout=None, container="mp4")
    make(home / "sound.m4a", seconds=11, pictures=False, container="mp4")
    return home


def gives(*files: Path) -> Answer:
    return lambda place: [shutil.copy(file, place / file.name) for file in files] and None


def test_the_site_is_asked_politely(site: Site, films: Path, tmp_path: Path) -> None:
    site.answers = {A: gives(films / "both.mp4"), B: "Private video. Sign in", C: LIMIT, D: gives()}
    manners = Manners(sleep=3, rate=1000, largest=5000)
    assert fetch(A, tmp_path, manners) == tmp_path / f"{A}.mp4"
    assert (site.options["sleep_interval"], site.options["max_sleep_interval"], site.options["ratelimit"]) == (
        3,
        6,
        1000,
    )
    assert (site.options["max_filesize"], site.options["js_runtimes"]) == (5000, {"deno": {}})
    for video, kind, says in (
        (B, "private", "^Private video"),
        (C, "rate", "rate-limited"),
        (D, "large", "^larger than"),
    ):
        with pytest.raises(Unavailable, match=says) as refused:
            fetch(video, tmp_path, manners)
        assert refused.value.kind == kind
    assert fetch(A, tmp_path, manners) == tmp_path / f"{A}.mp4"
    assert site.asked == [A, B, C, D]


def test_separate_streams_are_joined(site: Site, films: Path, tmp_path: Path) -> None:
    site.answers = {A: gives(films / "pictures.mp4", films / "sound.m4a")}
    joined = fetch(A, tmp_path, POLITE)
    assert [p.name for p in tmp_path.iterdir()] == [f"{A}.mkv"]
    with av.open(str(joined)) as box, av.open(str(films / "pictures.mp4")) as alone:
        assert [s.type for s in box.streams] == ["video", "audio"]
        first = [p for p in box.demux() if p.dts is not None]
        assert sum(p.stream.type == "video" for p in first) == sum(p.dts is not None for p in alone.demux(video=0))
    assert abs(waveform(joined).abs().max() - waveform(films / "sound.m4a").abs().max()) < 1e-3
    table = tmp_path / "vggsound.csv"
    table.write_text(f"{A},0,bell,train\n")
    assert prepare(table, tmp_path / "out") == {}


@pytest.mark.parametrize(("half", "lacks"), [("pictures.mp4", "sound"), ("sound.m4a", "pictures")])
def test_half_a_film_is_no_film(site: Site, films: Path, tmp_path: Path, half: str, lacks: str) -> None:
    site.answers = {A: gives(films / half)}
    with pytest.raises(Unavailable, match=f"came without its {lacks}"):
        fetch(A, tmp_path, POLITE)
    assert not list(tmp_path.glob(f"{A}*"))
    site.answers = {A: gives(films / "both.mp4")}
    assert fetch(A, tmp_path, POLITE).name == f"{A}.mp4"


@pytest.mark.parametrize(
    ("engines", "says"),
    [
        ({}, "A JavaScript runtime is missing, without which YouTube shows yt-dlp no film; `pip install deno` brings"),
        ({"node": ("18.1", False)}, "no film; node 18.1 is too old; `pip install deno` brings one."),
    ],
)
def test_without_javascript_nothing_is_asked(
    site: Site, engines: dict[str, tuple[str, bool]], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.engines = engines
    table = tmp_path / "vggsound.csv"
    table.write_text(f"{A},0,bell,train\n")
    assert prepare_vggsound.main([str(table), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert says in capsys.readouterr().err
    assert not site.asked


def test_an_old_node_does_no_harm_beside_deno(site: Site, films: Path, tmp_path: Path) -> None:
    site.engines = {"node": ("18.1", False), "deno": ("2.9", True)}
    site.answers = {A: gives(films / "both.mp4")}
    fetch(A, tmp_path, POLITE)
    assert site.options["js_runtimes"] == {"deno": {}}


def test_without_yt_dlp(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    shutil.copy(films / "both.mp4", tmp_path / f"{A}.mp4")
    assert fetch(A, tmp_path, POLITE).is_file()
    with pytest.raises(
        Refused, match=r"^`yt-dlp` 2025\.11\.12 or later is missing; `pip install -U 'uspl\[download\]'`"
    ):
        fetch(B, tmp_path, POLITE)


def rows(file: Path, many: int = 10) -> Path:
    file.write_text("".join(f"{chr(97 + i) * 11},0,bell,train\n" for i in range(many)))
    return file


def test_a_rate_limit_stops_the_run_and_files_nothing_as_gone(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.answers = {"*": LIMIT}
    given = [str(rows(tmp_path / "vggsound.csv")), str(tmp_path / "out"), "--workers", "1"]
    for run in (1, 2):  # the second run asks again
        assert prepare_vggsound.main(given) == 2
        error = capsys.readouterr().err
        assert "the site has had enough of us; after " in error
        assert ", an hour from now, the same command goes on." in error
        assert len(site.asked) == 5 * run
    assert "gone" not in (tmp_path / "out/ledger.jsonl").read_text()


def test_clips_that_are_gone_do_not_stop_the_run(site: Site, tmp_path: Path) -> None:
    site.answers = {"*": "Video unavailable", "a" * 11: LIMIT, "j" * 11: LIMIT}
    found = prepare(rows(tmp_path / "vggsound.csv"), tmp_path / "out")
    assert [kind for kind, _ in found.values()].count("gone") == 8
    assert len(site.asked) == 10
    prepare(rows(tmp_path / "vggsound.csv"), tmp_path / "out")
    assert site.asked[10:] == ["a" * 11, "j" * 11]


def test_only_one_class_is_asked_again(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.answers = {A: "Private video", B: "This video is not available in your country", C: "Video unavailable"}
    table = tmp_path / "vggsound.csv"
    table.write_text(f"{A},0,bell,train\n{B},0,bell,train\n{C},0,bell,train\n")
    prepare(table, tmp_path / "out")
    assert "Not asked for again: 1 blocked, 1 gone, 1 private; --again CLASS does." in capsys.readouterr().out
    for again, asked in (([], []), (["blocked"], [B]), (["gone", "private"], [A, C]), (["all"], [A, B, C])):
        site.asked.clear()
        prepare(table, tmp_path / "out", *(word for kind in again for word in ("--again", kind)))
        assert site.asked == asked


def test_a_poisoned_ledger_is_repaired(
    site: Site, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a version wrote it that knew one class only."""
    said = {A: LIMIT, B: "Requested format is not available", C: "Private video", D: "Video unavailable"}
    ledger = tmp_path / "out" / "ledger.jsonl"
    ledger.parent.mkdir()
    lines = [json.dumps({"id": f"{id}_000000", "status": "gone", "reason": reason}) for id, reason in said.items()]
    ledger.write_text("\n".join(lines) + "\n")
    table = tmp_path / "vggsound.csv"
    table.write_text("".join(f"{id},0,bell,train\n" for id in said))
    site.answers = {"*": gives(films / "both.mp4")}
    found = prepare(table, tmp_path / "out")
    assert site.asked == [A, B]
    assert {id: kind for id, (kind, _) in found.items()} == {f"{C}_000000": "private", f"{D}_000000": "gone"}
    assert json.loads((tmp_path / "out/report.json").read_text())["repaired"] == {"format": 1, "private": 1, "rate": 1}
    assert "repaired" not in json.loads(_again(table, tmp_path / "out").read_text())
    assert trouble(tmp_path / "out") == found


def _again(table: Path, out: Path) -> Path:
    prepare(table, out)
    return out / "report.json"
