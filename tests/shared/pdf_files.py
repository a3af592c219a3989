"""What is in a PDF file that Qt wrote: its pages, their sizes and words, its pictures."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class PdfPage:
    """A page: its size in points, and its words without spaces in between."""

    width: float
    height: float
    words: str


def pdf_pages(content: bytes) -> list[PdfPage]:
    """The pages, in order."""
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    objects = _objects(content)
    [tree] = [one for one in objects.values() if re.search(rb"/Type\s*/Pages\b", one)]
    kids = re.search(rb"/Kids\s*\[(.*?)\]", tree, re.DOTALL)
    assert kids is not None
    numbers = [int(one) for one in re.findall(rb"(\d+) 0 R", kids[1])]
    count = re.search(rb"/Count (\d+)", tree)
    assert count is not None
    assert len(numbers) == int(count[1])
    return [_page(objects, objects[number]) for number in numbers]


def pdf_pictures(content: bytes) -> int:
    """How many pictures it holds."""
    return len(re.findall(rb"/Subtype\s*/Image\b", content))


def _objects(content: bytes) -> dict[int, bytes]:
    starts = [(int(one[1]), one.end()) for one in re.finditer(rb"(?<!\d)(\d+) 0 obj\b", content)]
    ends = [at for _, at in starts[1:]] + [len(content)]
    return {number: content[at:end] for (number, at), end in zip(starts, ends, strict=True)}


def _stream(one: bytes) -> bytes:
    head, _, rest = one.partition(b"stream\n")
    if b"/FlateDecode" in head:
        return zlib.decompressobj().decompress(rest)
    return rest.partition(b"endstream")[0]


def _page(objects: dict[int, bytes], page: bytes) -> PdfPage:
    box = re.search(rb"/MediaBox\s*\[\s*[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)", page)
    contents = re.search(rb"/Contents (\d+) 0 R", page)
    resources = re.search(rb"/Resources (\d+) 0 R", page)
    assert box is not None
    assert contents is not None
    assert resources is not None
    fonts = {
        name: _unicode(objects, int(number))
        for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", objects[int(resources[1])])
    }
    found, now = [], b""
    for font, glyphs in re.findall(
        rb"/(F\d+) [\d.]+ Tf|<([0-9a-fA-F]+)> Tj", _stream(objects[int(contents[1])])
    ):
        now = font or now
        found += [fonts[now].get(int(glyphs[i : i + 4], 16), "�") for i in range(0, len(glyphs), 4)]
    return PdfPage(float(box[1]), float(box[2]), "".join(found).replace(" ", ""))


def _unicode(objects: dict[int, bytes], number: int) -> dict[int, str]:
    """What the glyphs of a font stand for."""
    told = re.search(rb"/ToUnicode (\d+) 0 R", objects[number])
    assert told is not None
    text, found = _stream(objects[int(told[1])]).decode("latin-1"), {}
    line = re.compile(r"<(\w{4})> <(\w{4})> (?:\[([^\]]*)\]|<(\w+)>)")
    for first, last, several, one in line.findall(text):
        codes = re.findall(r"<(\w+)>", several) or [one]
        start = int(first, 16)
        for glyph in range(start, int(last, 16) + 1):
            code = codes[glyph - start] if several else f"{int(one, 16) + glyph - start:04x}"
            found[glyph] = bytes.fromhex(code).decode("utf-16-be")
    return found
