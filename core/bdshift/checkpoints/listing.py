"""Lists within a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from bdshift.words import Sentence

Text = str | Sentence


def first_few(names: Sequence[Text], most: int) -> Sentence | tuple[Text, ...]:
    """The first ``most`` of ``names``, as a sentence's value, and how many more there are."""
    shown = tuple(names[:most])
    if len(names) <= most:
        return shown
    return Sentence("{names} and {count} more", {"names": shown, "count": len(names) - most})


def with_semicolons(parts: Sequence[Text]) -> Text:
    """Join ``parts``, at least one, which may themselves contain commas."""

    def join(before: Text, after: Text) -> Text:
        return Sentence("{before}; {after}", {"before": before, "after": after})

    return reduce(join, parts)
