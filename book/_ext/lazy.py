"""Pictures, sounds and arrays inside the cells of notebooks become files that a page loads when they are seen.

A notebook holds all that it shows, so that it can be moved as one file. In the book that would make pages of megabytes
of which a reader sees the first screen: after the build each data URI of some size becomes a file beside the page.
Arrays of figures become scripts, since a page opened from the disk may load these and may not fetch.
"""

import base64
import hashlib
import os
import re
from pathlib import Path
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont

# Of the theme: a second copy of its icons, which its sheet also draws; and what only the page of the search needs.
SPARE = re.compile(r'\s*<script[^>]* src="[^"]*fontawesome\.js[^"]*"></script>')
SEARCH = re.compile(r'\s*<script[^>]* src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>')
ICON = re.compile(r"((?:\.fa-[\w-]+:before,?)+)\{content:[^}]*\}")  # a rule of the theme's sheet, one of thousands
# A list of sources that holds links between its items is no list, and its items have a role that browsers gave up.
ROLES = re.compile(r' role="(?:list(?=" class="citation-list)|doc-biblioentry)"')
# The wide button of the search shows its keys too; a label that hides them does not say what is seen.
LABEL = re.compile(r'(<button class="btn search-button-field[^>]*?)\s+title="Search"([^>]*?)\s+aria-label="Search"')
# Likewise what unfolds a cell, and the switch of the colours; and the arrow of a folded list has no name at all.
FOLDED = re.compile(r'<summary aria-label="Toggle hidden content">')
MODES = re.compile(r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"')
ARROW = re.compile(r'<summary>(?=<span class="toctree-toggle")')
# Sphinx puts the list of a package's modules between the items of another list.
NESTED = re.compile(r'(</li>\s*)<ul>((?:<li><a href="uspl/[^"]*">[^<]*</a></li>\s*)+)</ul>')
LEAST = 4096  # characters; less is not worth a request
ENDINGS = {"image/webp": "webp", "image/png": "png", "audio/wav": "wav", "video/mp4": "mp4"}
URI = re.compile(r'(<(?P<tag>img|audio|video|source)\b[^>]*?) src="data:(?P<type>[\w/]+);base64,(?P<data>[^"]+)"')
HELD = re.compile(
    r'(?P<open><figure class="uspl uspl-live" id="(?P<id>[\w-]+)")(?P<between>(?:(?!<figure).)*?)'
    r'<script type="application/json" class="held">(?P<held>.*?)</script>',
    re.DOTALL,
)


def lighter(text: str, page: Path, media: Path) -> str:
    """The page with addresses in place of what it carried, and without what it does not need; files go to `media`."""
    home = Path(os.path.relpath(media, page.parent)).as_posix()

    def store(name: str, data: bytes) -> str:
        media.mkdir(parents=True, exist_ok=True)
        (media / name).write_bytes(data)
        return f"{home}/{name}"

    def file(found: re.Match[str]) -> str:
        if len(found["data"]) < LEAST or found["type"] not in ENDINGS:
            return found[0]
        data = base64.b64decode(found["data"])
        address = store(f"{hashlib.sha256(data).hexdigest()[:16]}.{ENDINGS[found['type']]}", data)
        later = ' loading="lazy"' if found["tag"] == "img" else ""
        return f'{found[1]}{later} src="{address}"'

    def arrays(found: re.Match[str]) -> str:
        script = f'uspl.held["{found["id"]}"] = {found["held"]};\n'.encode()
        return f'{found["open"]} data-held="{store(found["id"] + ".js", script)}"{found["between"]}'

    text = SPARE.sub("", HELD.sub(arrays, URI.sub(file, text)))
    return text if page.name == "search.html" else SEARCH.sub("", text)


def named(text: str) -> str:
    """The page with names and roles as a screen reader needs them, where the theme's are wrong."""
    text = NESTED.sub(r"\1\2", LABEL.sub(r"\1\2", ROLES.sub("", text)))
    return ARROW.sub('<summary aria-label="pages below">', FOLDED.sub("<summary>", MODES.sub(r"\1", text)))


def fewer_icons(sheet: str, used: set[str]) -> str:
    """The theme's sheet without the icons that no page shows.

    >>> fewer_icons('.fa-bars:before,.fa-navicon:before{content:"a"}.fa-cat:before{content:"b"}', {"fa-bars"})
    '.fa-bars:before,.fa-navicon:before{content:"a"}'
    """
    return ICON.sub(lambda rule: rule[0] if used & set(re.findall(r"fa-[\w-]+", rule[1])) else "", sheet)


def fewer_glyphs(font: Path, target: Path, codes: set[int]) -> None:
    """The characters of a font that have these codes, as WOFF."""
    chosen = subset.Subsetter()
    chosen.populate(unicodes=codes)
    small = TTFont(font)
    chosen.subset(small)
    small.flavor = "woff"
    small.save(target)


def finish(app: Any, exception: Exception | None) -> None:
    """Every page that was written."""
    if exception or app.builder.format != "html":
        return
    out, used = Path(app.outdir), set()
    for page in out.rglob("*.html"):
        page.write_text(named(lighter(page.read_text(), page, out / "_static" / "media")))
    for source in [*out.rglob("*.html"), *(p for p in out.rglob("*.js") if p.name != "fontawesome.js")]:
        used |= set(re.findall(r"fa-[\w-]+", source.read_text()))
    for sheet in out.glob("_static/styles/pydata-sphinx-theme.css"):
        light = fewer_icons(sheet.read_text(), used)
        font = out / "_static/vendor/fontawesome/webfonts/fa-solid-900.ttf"
        glyphs = {int(code, 16) for code in re.findall(r'\{content:"\\([0-9a-f]+)"', light)}
        fewer_glyphs(font, font.with_suffix(".woff"), glyphs)
        sheet.write_text(light.replace('fa-solid-900.woff2) format("woff2")', 'fa-solid-900.woff) format("woff")'))


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True}
