"""What a page of HTML holds."""

from html.parser import HTMLParser


class Links(HTMLParser):
    """What one page holds: links, ids, what it loads, pictures, controls, headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.ranges: list[str | None] = []
        self.labels: set[str | None] = set()
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = dict(attrs)
        self.ids |= {i for i in (a.get("id"), a.get("name")) if i}
        if tag == "a" and a.get("href"):
            self.links.append(str(a["href"]))
        if tag == "img":
            self.pictures.append(a)
        if tag in {"script", "img", "audio", "video", "iframe", "source"} and a.get("src"):
            self.loads.append(str(a["src"]))
        if tag == "link" and a.get("rel") in {"stylesheet", "preload", "preconnect", "icon"}:
            self.loads.append(str(a.get("href")))
        if tag == "input" and a.get("type") == "range":
            self.ranges.append(a.get("id"))
        if tag == "label":
            self.labels.add(a.get("for"))
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))
