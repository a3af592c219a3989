"""The pages that people read, taken apart: fenced blocks, commands in them, links and anchors."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "tools/**/*.md", "packaging/**/*.md")
    for path in sorted(ROOT.glob(pattern))
)  # fmt: skip

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, empty for a shell's, and its text."""

    language: str
    text: str


def page(name: str) -> str:
    """A page's text."""
    return (ROOT / name).read_text("utf-8")


def blocks(name: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(*found) for found in _BLOCK.findall(page(name))]


def links(name: str) -> list[str]:
    """Targets of relative links and pictures, outside of code."""
    return _LINK.findall(_INLINE.sub("", _BLOCK.sub("", page(name))))


def anchors(name: str) -> set[str]:
    """What code hosts call the headings of a page."""
    heads = _HEADING.findall(_BLOCK.sub("", page(name)))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in heads}


@dataclass(frozen=True)
class Command:
    """A ``bdshift …`` on a page: its arguments, and whether it is a line of a block, complete."""

    words: tuple[str, ...]
    complete: bool


def commands(name: str) -> list[Command]:
    """Every command on a page, in order. A comment in a line is left out, and what reads its
    output.
    """
    found = []
    for match in re.finditer(f"{_BLOCK.pattern}|{_INLINE.pattern}", page(name), _BLOCK.flags):
        language, block, inline = match.groups()
        if language:
            continue
        text = inline.replace("\n", " ") if inline else block.replace("\\\n", " ")
        for line in text.splitlines():
            if line.startswith("bdshift "):
                words = shlex.split(line.split(" | ")[0], comments=True)[1:]
                found.append(Command(tuple(words), complete=inline is None))
    return found
