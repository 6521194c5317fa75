"""Names of clips that almost fit a list, and clips that are known to be broken."""

import json
from pathlib import Path

import pytest

from tests.helpers.data_sample import film
from tests.helpers.preparation import prepare
from uspl.cli import prepare_vggsound
from uspl.core.errors import DataError
from uspl.data import VGGSS, VGGSound
from uspl.data.layouts.clip_names import lookalikes, misfit

IDS = ["zpWuikVorYg_000032", "-0YKOo9r_Xs_000010", "tIM5jVPsLHM_000110"]


@pytest.mark.parametrize(
    "name",
    ["zpWuikVorYg", "zpWuikVorYg_32", "zpWuikVorYg_32_42", "zpWuikVorYg-000032", "video_zpWuikVorYg_000032"],
)
def test_names_that_almost_fit(name: str) -> None:
    assert lookalikes(IDS, ["other_name", f"{name}.mp4"]) == {IDS[0]: f"{name}.mp4"}
    says = f"0 of 3 names fit; yours look like `{name}`, the list has `{IDS[0]}`"
    assert misfit(IDS, ["other_name", name]) == says


def test_names_of_another_kind() -> None:
    assert misfit(IDS, ["cat", "dog"]) == "0 of 3 names fit; yours look like `cat`, the list has `-0YKOo9r_Xs_000010`"
    assert misfit(IDS, []) == "0 of 3 names fit; there is none"


def folder(home: Path, *names: str, sounds: bool = True) -> Path:
    for kind, end in (("frames", "jpg"), ("audio", "wav")):
        (home / kind).mkdir(parents=True)
        for name in names if sounds or kind == "frames" else ():
            (home / kind / f"{name}.{end}").write_bytes(b"x")
    return home


def test_readers_show_names_that_almost_fit(tmp_path: Path) -> None:
    root, ids, boxes = folder(tmp_path / "set", "zpWuikVorYg_32"), tmp_path / "ids.txt", tmp_path / "vggss.json"
    ids.write_text("\n".join(IDS))
    boxes.write_text(json.dumps([{"file": id, "class": "bell", "bbox": [[0, 0, 1, 1]]} for id in IDS]))
    says = r"0 of 3 names fit; yours look like `zpWuikVorYg_32`, the list has `zpWuikVorYg_000032`\."
    with pytest.raises(DataError, match=says):
        VGGSS(root, boxes)
    with pytest.raises(DataError, match=says):
        VGGSound(root, ids, keep_leaked=True)
    with pytest.raises(DataError, match="1 frames are there, without their sounds"):
        VGGSS(folder(tmp_path / "mute", IDS[0], sounds=False), boxes)
    ids.write_text(IDS[0])
    with pytest.raises(DataError, match="all 1 are test clips of VGG-SS"):
        VGGSound(root, ids)


def test_the_preparation_shows_names_that_almost_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films/zpWuikVorYg_32_42.mp4").write_bytes(b"x")
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    given = [str(tmp_path / "films"), str(tmp_path / "out"), "--only", str(tmp_path / "ids.txt"), "--workers", "1"]
    assert prepare_vggsound.main(given) == 2
    says = "0 of 3 names fit; yours look like `zpWuikVorYg_32_42.mp4`, the list has `zpWuikVorYg_000032`."
    assert says in capsys.readouterr().err


def test_a_clip_is_named_that_is_known_to_be_broken(tmp_path: Path) -> None:
    film(tmp_path / "films" / f"{IDS[1]}.mp4", seconds=4)
    (tmp_path / "films/l6q7shFb8zs_000041.mp4").write_bytes(b"no film")
    (tmp_path / "films/zpWuikVorYg_32.mp4").write_bytes(b"x")
    (tmp_path / "ids.txt").write_text("\n".join([*IDS[:2], "l6q7shFb8zs_000041"]))
    found = prepare(tmp_path / "films", tmp_path / "out", "--only", str(tmp_path / "ids.txt"))
    assert found["l6q7shFb8zs_000041"][1].endswith("; this clip is known to be broken in the mirrors")
    assert found[IDS[0]][1] == "is listed, and has no video in the folder; is `zpWuikVorYg_32.mp4` meant?"
    assert set(found) == {"l6q7shFb8zs_000041", IDS[0]}
