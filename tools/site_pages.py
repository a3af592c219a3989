"""A hook of mkdocs: the site has the repository's pages, wherever they are.

README.md, CONTRIBUTING.md and others are at the top, where code hosts look for them, and link to
``docs/`` by relative paths. On the site ``docs/`` is the root. So what pages link to outside of
``docs/`` is brought in under its own path, and relative links are rewritten.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
FONTS = ("NotoSansJP-Regular.otf", "NotoSansJP-Bold.otf", "OFL.txt")
"""For Japanese where the reader's system has no font for it; loaded only then."""

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")


def on_files(files: Any, config: Any) -> Any:
    """Add what is linked outside of ``docs/``, and what is linked from there, and so on."""
    waiting = [*TOP, *(f"docs/{one.src_uri}" for one in files if one.src_uri.endswith(".md"))]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
        if path.endswith(".md"):
            found = {one for one in _linked(path) if not one.startswith("docs/")} - seen
            waiting += sorted(found)
            seen |= found
    for name in FONTS:
        source = str(ROOT / "resources" / "fonts" / name)
        files.append(File.generated(config, f"fonts/{name}", abs_src_path=source))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as they have to be where ``docs/`` is the root."""
    uri = page.file.src_uri
    outside = files.get_file_from_path(uri).generated_by is not None
    folder = posixpath.dirname(uri if outside else f"docs/{uri}")

    def moved(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[1])).removeprefix("docs/")
        return posixpath.relpath(target, posixpath.dirname(uri) or ".")

    kept, end = [], 0
    for code in _FENCED.finditer(markdown):
        kept += [_LINK.sub(moved, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*kept, _LINK.sub(moved, markdown[end:])])


def _linked(path: str) -> Iterator[str]:
    """Files that a page links to, by their paths in the repository."""
    text = _FENCED.sub("", (ROOT / path).read_text("utf-8"))
    for found in _LINK.finditer(text):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))
        if (ROOT / target).is_file():
            yield target
