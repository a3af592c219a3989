"""The log as text, with the time of each line."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bdshift.jobs import Figures
from bdshift.words import Language, Sentence

if TYPE_CHECKING:
    from bdshift_gui.session import LogLine


def log_text(log: Iterable[LogLine], language: Language) -> str:
    """A line for each entry, after its local time; further lines of an entry are indented."""
    return "\n".join(_line(one, language) for one in log)


def _line(one: LogLine, language: Language) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(one.at))
    first, *others = _said(one.said, language).split("\n")
    return "\n".join([f"{at}  {first}", *(f"{'':10}{line}" for line in others)])


def _said(said: Sentence | Figures, language: Language) -> str:
    from bdshift.purification.quantities import in_words

    if isinstance(said, Sentence):
        return said.render(language)
    figures = in_words(said.values, language)
    values = {"number": said.number + 1, "total": said.total, "figures": figures}
    return "  " + Sentence("step {number} of {total}: {figures}", values).render(language)
