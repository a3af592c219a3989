"""The report's page as a tree. Only what that page is made of is known: nothing here renders HTML
in general, and nothing is loaded.
"""

from __future__ import annotations

import html.parser
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_EMPTY_ELEMENTS = frozenset(("img", "meta", "br"))
_DRAWING = re.compile(r"(<svg .*?</svg>)", re.DOTALL)
_SPACE = re.compile(r"[ \t\r\n]+")


@dataclass
class Element:
    """A part of the page: its tag, attributes and children, text among them. A drawing has its
    source as its only child.
    """

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """Names of its styles."""
        return set(self.attributes.get("class", "").split())

    @property
    def elements(self) -> list[Element]:
        """Children that are no text."""
        return [one for one in self.children if isinstance(one, Element)]

    def all(self, tag: str) -> Iterator[Element]:
        """Those with this tag in it, in order."""
        for one in self.elements:
            if one.tag == tag:
                yield one
            yield from one.all(tag)

    @property
    def count(self) -> int:
        """How many elements are in it."""
        return sum(1 + one.count for one in self.elements)

    @property
    def text(self) -> str:
        """Its words, with those of its children."""
        parts = (one if isinstance(one, str) else one.text for one in self.children)
        return "" if self.tag == "svg" else "".join(parts)


class _Builder(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("page")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(found)
        if tag not in _EMPTY_ELEMENTS:
            self._open.append(found)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> ends <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

    def draw(self, source: str) -> None:
        """A drawing: the parser would change its attributes to lower case."""
        self._open[-1].children.append(Element("svg", {}, [source]))


def page_tree(page: str) -> Element:
    """The body of the page that `bdshift.reports.html_report` makes."""
    builder = _Builder()
    for place, part in enumerate(_DRAWING.split(page)):
        if place % 2:
            builder.draw(part)
        else:
            builder.feed(part)
    builder.close()
    return next(builder.root.all("body"))


def colors(page: str) -> dict[str, str]:
    """The colors that its style sheet names."""
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", page))


def closed_up(text: str) -> str:
    """Text as a browser shows it: one space where the source has several, or begins a line."""
    return _SPACE.sub(" ", text)
