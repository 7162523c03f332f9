"""A page of HTML, read strictly."""

import re
from html.parser import HTMLParser

from minigrad.results.report import write_html
from tests.results.trained import result

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """The tags of a page, which must be balanced, and its text."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.links, self.text = [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data", "action")]
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)) and not any(name.startswith("on") for name in names)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def written(found, tmp_path, **options):
    path = tmp_path / "report.html"
    write_html(result(found, **options), path)
    source = path.read_text(encoding="utf-8")
    parsed = Page(source)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in parsed.links)
    assert not re.search(r"https?://|url\((?!#)|@import|<script|<link|<iframe", source)
    ids = re.findall(r' id="([^"]*)"', source)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", source)) <= set(ids)
    return source, parsed
