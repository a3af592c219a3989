"""What a recovered trigger is in words and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bdshift.text import figure, grouped
from bdshift_gui.i18n import say, tr
from bdshift_gui.numbers import percent

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.recovery.recovery import Recovery

Pixels = NDArray[np.uint8]


def kind_of(text: str) -> tuple[str, str]:
    """The label of a kind of change and the unit of its size; of an unknown one, its text."""
    from bdshift.changes import CHANGES

    name = text.partition(":")[0]
    if name not in CHANGES:
        return text, ""
    kind = CHANGES[name]
    return tr(kind.label), tr(kind.unit)


def route(found: Recovery, names: tuple[str, ...]) -> str:
    """From its source, if it has one, to its target."""
    return f"{names[found.source] if found.source >= 0 else ''} → {names[found.target]}".strip()


def what_it_does(found: Recovery, names: tuple[str, ...]) -> str:
    """What the trigger does, and how that compares with other classes."""
    parts = [
        tr("Sends {asr} of {count} unused images of other classes to class {index} “{name}”.",
           asr=percent(found.asr), count=grouped(found.images), index=found.target,
           name=names[found.target])
        if found.source < 0
        else tr("Sends {asr} of {count} unused images of class “{source}” to class {index} "
                "“{name}”.",
                asr=percent(found.asr), count=grouped(found.images),
                source=names[found.source], index=found.target, name=names[found.target])
    ]  # fmt: skip
    from bdshift.audit.recovered import about_pair, fact_of

    drop = found.drop
    if math.isnan(drop):
        parts.append(tr("There is nothing to compare it with."))
    elif drop == math.inf:
        parts.append(tr("No change of this kind works for a control class."))
    elif drop > 0:
        parts.append(tr("Control classes need {times} as much.", times=times(drop)))
    else:
        parts.append(tr("Control classes need no more: this is no sign of a backdoor."))
    parts += [say(one) for one in about_pair(fact_of(found), names)]
    if not math.isnan(found.transfer):
        parts.append(
            tr("Found on half of the classes, it sends {share} of the others.",
               share=percent(found.transfer))
        )  # fmt: skip
    return " ".join(parts)


def why_it_differs(audit: Audit, found: Sequence[Recovery]) -> str:
    """Why a scan that has searched for the same kind of change has other figures; "" if none has
    or nothing was ``found``.
    """
    from bdshift.recovery.recovery import LEVELS

    searched = {one.detector.name for one in audit.judged}
    for one in found:
        if one.kind.partition(":")[0] in searched and one.source < 0:
            best = next((tried for tried in one.attempts if tried.kind == one.kind), None)
            if best is not None and best.controls:
                return tr(
                    "The scan’s figures differ: it searches for all classes at once and compares "
                    "with the median of all others. Here it is {controls:|control class|control "
                    "classes}, and the trigger is as large as {share} success takes.",
                    controls=len(best.controls), share=percent(LEVELS[-1], 0),
                )  # fmt: skip
    return ""


def spent_on(found: Recovery) -> str:
    """What its time was spent on; kinds that were finished before an interruption count in full."""
    kinds = tuple(
        tr("{kind} {count} s", kind=kind_of(one.kind)[0], count=_seconds(one.seconds))
        for one in found.attempts
    )
    rest = found.seconds - sum(one.seconds for one in found.attempts)
    if rest < 0:
        return tr("Time by kind: {kinds}.", kinds=kinds)
    return tr("Time by kind: {kinds}; to measure what won: {rest} s.",
              kinds=kinds, rest=_seconds(rest))  # fmt: skip


def _seconds(count: float) -> str:
    return figure(count, ".0f" if count >= 10 else ".2g")


def times(drop: float) -> str:
    """How many times smaller a change is than the controls', from its `Attempt.drop`."""
    if math.isnan(drop):
        return "–"
    if math.isinf(drop):
        return "∞" if drop > 0 else "0"
    return tr("{factor} times", factor=figure(math.exp(drop), ".2g"))


def pictures_of(found: Recovery) -> tuple[Pixels | None, Pixels | None]:
    """Picture and strength of a recovered trigger; None if this version does not know its kind."""
    if not found.is_known:
        return None, None
    return found.picture(), found.strength()
