"""What the build does to pages: formulas as MathML, and nothing in a page that a reader has not come to yet."""

import base64
import doctest
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "_ext")]

import api_pages  # noqa: E402
import build  # noqa: E402
import lazy  # noqa: E402
import mathml  # noqa: E402
import status  # noqa: E402

SOUND = base64.b64encode(bytes(range(256)) * 40).decode()


@pytest.mark.parametrize("module", [lazy, mathml, status], ids=lambda m: m.__name__)
def test_examples_hold(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


def page(folder: Path) -> Path:
    path = folder / "html" / "notebooks" / "a.html"
    path.parent.mkdir(parents=True)
    return path


def test_large_things_become_files_and_small_ones_stay(tmp_path: Path) -> None:
    at, media = page(tmp_path), tmp_path / "html" / "_static" / "media"
    text = (
        f'<audio controls src="data:audio/wav;base64,{SOUND}"></audio>'
        f'<img alt="a" src="data:image/webp;base64,{SOUND}">'
        '<img alt="b" src="data:image/webp;base64,AAAA">'
    )
    light = lazy.lighter(text, at, media)
    (wav,), (webp,) = media.glob("*.wav"), media.glob("*.webp")
    assert wav.read_bytes() == webp.read_bytes() == base64.b64decode(SOUND)
    assert f'<audio controls src="../_static/media/{wav.name}"></audio>' in light
    assert f'<img alt="a" loading="lazy" src="../_static/media/{webp.name}">' in light
    assert light.endswith('<img alt="b" src="data:image/webp;base64,AAAA">')
    assert lazy.lighter(light, at, media) == light


def test_arrays_of_a_figure_become_a_script(tmp_path: Path) -> None:
    at, media = page(tmp_path), tmp_path / "html" / "_static" / "media"
    figures = [
        f'<figure class="uspl uspl-live" id="live-{k}" data-kind="walk"><div></div>'
        f'<script type="application/json" class="held">{{"k": {k}}}</script><script>go()</script></figure>'
        for k in (1, 2)
    ]
    light = lazy.lighter("<p></p>".join(figures), at, media)
    for k in (1, 2):
        assert (media / f"live-{k}.js").read_text() == f'uspl.held["live-{k}"] = {{"k": {k}}};\n'
        assert f'id="live-{k}" data-held="../_static/media/live-{k}.js" data-kind="walk"><div></div><script>go' in light
    assert "application/json" not in light
    assert "uspl.held[id]" in (ROOT / "uspl" / "viz" / "js" / "base.js").read_text()  # who reads the script


def test_what_no_page_needs_is_left_out(tmp_path: Path) -> None:
    at = page(tmp_path)
    kept = '<script src="../_static/doctools.js?v=1"></script>'
    text = kept + '\n<script defer src="../_static/scripts/fontawesome.js?digest=5"></script>'
    index = '<script src="../searchindex.js"></script>'
    assert lazy.lighter(text + index, at, at.parent) == kept
    assert lazy.lighter(text + index, at.with_name("search.html"), at.parent) == kept + index


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<div role="list" class="citation-list">', '<div class="citation-list">'),
        ('<div class="citation" id="id7" role="doc-biblioentry">', '<div class="citation" id="id7">'),
        ('<summary><span class="toctree-toggle">', '<summary aria-label="pages below"><span class="toctree-toggle">'),
        (
            '<i class="theme-switch fa-sun" data-mode="light" title="Light">',
            '<i class="theme-switch fa-sun" data-mode="light">',
        ),
        ('<summary aria-label="Toggle hidden content"><p>Show</p>', "<summary><p>Show</p>"),
        (
            '<button class="btn search-button-field x" title="Search" aria-label="Search" data-a="b">',
            '<button class="btn search-button-field x" data-a="b">',
        ),
    ],
)
def test_names_and_roles(text: str, expected: str) -> None:
    assert lazy.named(text) == expected
    assert lazy.named(expected) == expected


def test_formulas() -> None:
    shown = mathml.mathml(r"T = D^{-1} A \tag{7}", block=True)
    assert shown.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block" alttext="T = D^{-1} A">')
    assert shown.endswith('<span class="eqno">(7)</span>')
    assert '<mi>log</mi><mspace width="0.17em"/><mn>2</mn>' in mathml.mathml(r"\log 2", block=False)
    assert "<mi>log</mi><mo" in mathml.mathml(r"\log(2)", block=False)
    assert 'alttext="a &lt; b"' in mathml.mathml("a < b", block=False)


def package(folder: Path, says: str = '"""Walks."""') -> Path:
    """A library with a method of three modules and a package of two."""
    library = folder / "uspl"
    (library / "room" / "inner").mkdir(parents=True)
    files = {"walk": 'def go():\n    """Eq. (7): goes."""', "align": 'def go():\n    r"""Eq. (1): looks."""', "a": ""}
    files |= {"room/__init__": says, "room/z": "", "room/inner/__init__": "", "room/inner/b": "", "room/_own": ""}
    for name, text in ({"__init__": "", "__main__": ""} | files).items():
        (library / f"{name}.py").write_text(text)
    return library


def test_pages_of_the_library_follow_its_packages(tmp_path: Path) -> None:
    pages = api_pages.pages(package(tmp_path))
    named = {page: re.findall(r"automodule:: (\S+)", text) for page, text in pages.items()}
    inside = ["uspl.room", "uspl.room.inner", "uspl.room.inner.b", "uspl.room.z"]
    assert named == {"api": ["uspl.align", "uspl.walk", "uspl.a"], "api_room": inside}
    assert "- {doc}`room <api_room>`: Walks." in pages["api"]
    (tmp_path / "uspl" / "room" / "new.py").write_text("")
    assert ".. automodule:: uspl.room.new" in api_pages.pages(tmp_path / "uspl")["api_room"]


def test_a_package_says_what_it_is_for(tmp_path: Path) -> None:
    sentence = "`uspl/room/__init__.py` must say in a docstring what the package is for."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        api_pages.pages(package(tmp_path, says=""))


def test_every_module_stands_on_one_page_and_every_page_in_the_contents() -> None:
    pages = api_pages.pages()
    named = sorted(name for text in pages.values() for name in re.findall(r"automodule:: (\S+)", text))
    files = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "uspl").rglob("*.py")]
    modules = {".".join(f.parts).removesuffix(".__init__") for f in files} - {"uspl", "uspl.__main__"}
    assert named == sorted(modules)
    (api,) = (c for part in build.contents()["parts"] for c in part["chapters"] if c["file"] == "book/api")
    assert [s["file"] for s in api["sections"]] == [f"book/{name}" for name in pages if name != "api"]
