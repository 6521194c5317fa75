"""What notebooks carry inside their cells, pictures, sounds, arrays, becomes files that a page loads when they are seen.

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

LEAST = 4096  # characters; less is not worth a request
ENDINGS = {"image/webp": "webp", "image/png": "png", "audio/wav": "wav", "video/mp4": "mp4"}
URI = re.compile(r'(<(?P<tag>img|audio|video|source)\b[^>]*?) src="data:(?P<type>[\w/]+);base64,(?P<data>[^"]+)"')
HELD = re.compile(
    r'(?P<open><figure class="uspl uspl-live" id="(?P<id>[\w-]+)")(?P<between>(?:(?!<figure).)*?)'
    r'<script type="application/json" class="held">(?P<held>.*?)</script>',
    re.DOTALL,
)


def lighter(text: str, page: Path, media: Path) -> str:
    """The page with relative addresses in place of what it carried; the files are written to `media`."""
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

    return HELD.sub(arrays, URI.sub(file, text))


def finish(app: Any, exception: Exception | None) -> None:
    """Every page that was written."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for page in [*out.glob("notebooks/*.html"), *out.glob("book/*.html")]:
        text = page.read_text()
        light = lighter(text, page, out / "_static" / "media")
        if light != text:
            page.write_text(light)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True}
