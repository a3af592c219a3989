"""Images without and with a trigger on the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bdshift.audit.exhibit import Exhibit, exhibit
from bdshift.audit.records import Audit
from bdshift.reports.pictures import picture_uri
from bdshift.words import Language


@dataclass(frozen=True)
class BeforeAfter:
    """A clean image without and with the trigger, as addresses, its class, and what the model takes
    it for, without and with the trigger; ``sent`` is whether that is the trigger's class.
    """

    before: str
    after: str
    name: str
    caption: str
    sent: bool


@dataclass(frozen=True)
class ExhibitSection:
    """The picture of why: its words, and its images."""

    words: str
    pairs: tuple[BeforeAfter, ...]


def pairs_of(shown: Exhibit, names: Sequence[str], language: Language) -> tuple[BeforeAfter, ...]:
    """The images of an exhibit, for a page; ``names`` are those of the classes."""
    captions = [one.render(language) for one in shown.captions] or [""] * len(shown.labels)
    return tuple(
        BeforeAfter(picture_uri(before), picture_uri(after), names[label], words, bool(sent))
        for before, after, label, words, sent in zip(
            shown.before, shown.after, shown.labels, captions, shown.sent, strict=True
        )
    )


def exhibit_part(audit: Audit, language: Language) -> ExhibitSection | None:
    """What the window's card shows too; None for nothing, and for a recovered trigger, which has
    its own section.
    """
    shown = exhibit(audit)
    if shown is None or shown.which in [(one.tac.trigger, one.target) for one in audit.recoveries]:
        return None
    pairs = pairs_of(shown, audit.images.class_names, language)
    return ExhibitSection(shown.sentence.render(language), pairs)
