"""The section of the report's page on recovered triggers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from bdshift.audit.exhibit import exhibit_of, telling
from bdshift.audit.gallery import galleries
from bdshift.audit.records import Audit
from bdshift.recovery.recovery import Recovery
from bdshift.reports.image_pairs import BeforeAfter, pairs_of
from bdshift.reports.pictures import picture_uri
from bdshift.reports.recovery_words import CONTROL, recovery_sentences, title
from bdshift.reports.svg import draw_sizes
from bdshift.words import Language, Sentence, translate

_MAX_PAIRS = 8  # images before and after
_UNREACHED = Sentence("not reached")


@dataclass(frozen=True)
class Look:
    """What a change looks like and where it acts, as addresses, and its class."""

    picture: str
    mask: str
    name: str


@dataclass(frozen=True)
class RecoveredPart:
    """What the page shows of one recovery; ``looks`` are of the change and of those toward control
    classes, none if this version does not know the kind of change.
    """

    title: str
    lines: tuple[str, ...]
    looks: tuple[Look, ...]
    pairs: tuple[BeforeAfter, ...]
    sizes: Markup


def recovered_parts(audit: Audit, language: Language) -> list[RecoveredPart]:
    """One for each recovery of the audit, the newest first."""
    return [_part(audit, one, language) for one in reversed(audit.recoveries)]


def _part(audit: Audit, one: Recovery, language: Language) -> RecoveredPart:
    names = audit.images.class_names
    won = one.attempt
    rows = [(names[one.target], won.target.sizes)]
    rows += [
        (Sentence(CONTROL, {"name": names[control.target]}).render(language), control.sizes)
        for control in won.controls
    ]
    return RecoveredPart(
        title(audit, one).render(language),
        tuple(sentence.render(language) for sentence in recovery_sentences(audit, one)),
        tuple(_looks(one, names, language)), _pairs(audit, one, language),
        draw_sizes(rows, translate(one.unit, language), _UNREACHED.render(language)),
    )  # fmt: skip


def _looks(one: Recovery, names: tuple[str, ...], language: Language) -> Iterator[Look]:
    if not one.is_known:
        return
    overlay = one.overlay().transpose(2, 0, 1)
    yield Look(picture_uri(one.picture()), picture_uri(overlay[[3, 3, 3]]), names[one.target])
    for index, (picture, strength) in one.pictures_beside().items():
        name = Sentence(CONTROL, {"name": names[index]}).render(language)
        yield Look(picture_uri(picture), picture_uri(strength[None].repeat(3, 0)), name)


def _pairs(audit: Audit, one: Recovery, language: Language) -> tuple[BeforeAfter, ...]:
    """Images before and after, if the audit has images."""
    found = next((of for of in galleries(audit) if of.recovery is one), None)
    if found is None:
        return ()
    names = audit.images.class_names
    return pairs_of(exhibit_of(found, telling(found, _MAX_PAIRS), names), names, language)
