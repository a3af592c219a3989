"""What people write on an audit's report: who made it, and their notes."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.errors import UsageError
from bdshift.words import words

MAX_AUTHOR, MAX_NOTES = 200, 20_000  # characters

_LONG_AUTHOR = words(
    "the author has {count:,} characters; {most:,} are allowed",
    ja="作成者の欄は {most:,} 文字までです（現在 {count:,} 文字）",
)
_LONG_NOTES = words(
    "the notes have {count:,} characters; {most:,} are allowed",
    ja="メモは {most:,} 文字までです（現在 {count:,} 文字）",
)


@dataclass(frozen=True)
class Cover:
    """Plain text, "" where nothing was written. ``author`` is one line; ``notes`` may have several.

    Raises `UsageError` if one is too long.
    """

    author: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if len(self.author) > MAX_AUTHOR:
            raise UsageError(_LONG_AUTHOR, count=len(self.author), most=MAX_AUTHOR)
        if len(self.notes) > MAX_NOTES:
            raise UsageError(_LONG_NOTES, count=len(self.notes), most=MAX_NOTES)
