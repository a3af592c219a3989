"""Tables in pages of the documentation, which commands write between two marks."""

from __future__ import annotations

import re
from collections.abc import Sequence


def table(header: str, rows: Sequence[Sequence[str]]) -> str:
    """Markdown: names to the left, numbers to the right. ``header`` has its titles between bars."""
    titles = header.split("|")
    lines = ["|" + "|".join(f" {one} " for one in titles) + "|"]
    lines.append("|---|" + "---:|" * (len(titles) - 1))
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def with_table(page: str, name: str, found: str) -> str:
    """The page with another table between `<!-- name -->` and `<!-- end -->`. Raises `ValueError`
    unless it has one place for it.
    """
    mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    pieces = mark.split(page)
    if len(pieces) != 4:
        raise ValueError(f"the page does not have one place for the table {name}")
    before, begins, ends, after = pieces
    return f"{before}{begins}{found}\n{ends}{after}"
