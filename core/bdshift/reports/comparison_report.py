"""The models of an audit side by side: a table of all, and two in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from bdshift.audit.comparison import Change, Comparison, measured_alike
from bdshift.audit.records import Audit, Purification
from bdshift.csv_data import csv_text
from bdshift.detect.rule import z_scores
from bdshift.measure import Measured, der
from bdshift.reports.json_schema import with_schema
from bdshift.spec import shortened
from bdshift.text import figure, joined, json_number, one_line
from bdshift.words import Sentence, words

_MAX_CLASSES = 12  # in words
_METHOD_WIDTH = 40  # of the column, in characters

HELD_OUT = words("{count:|held-out clean image|held-out clean images}",
                 ja="ホールドアウトのクリーン画像 {count} 枚")  # fmt: skip
OTHER_IMAGES = words("{count:|image|images} of {path}", ja="{path} の画像 {count} 枚")


@dataclass(frozen=True)
class ModelRow:
    """A model of an audit; None where nothing is known.

    Attributes:
        number: 0 for the original, 1 and up for the purifications.
        method: its text, or "original".
        target: name of the class that was purified, or is the most suspicious.
        acc, asr, ra: shares in [0, 1]; no ``acc`` without labels.
        norm, z: of the shift to the target.
        alpha: for which the shift was solved.
        flagged: whether the scan flags the target.
        der: against the original.
        complete: whether the method ran to its end.
        seconds, forwards, backwards: its cost.
        trigger, reported_on: what ``acc``, ``asr`` and ``ra`` were measured with.
    """

    number: int
    method: str
    target: str | None
    acc: float | None
    asr: float | None
    ra: float | None
    norm: float | None
    z: float | None
    alpha: float
    flagged: bool | None
    der: float | None = None
    complete: bool | None = None
    seconds: float | None = None
    forwards: int | None = None
    backwards: int | None = None
    trigger: str | None = None
    reported_on: str | None = None


def reported_on(made: Purification) -> Sentence:
    """Which images the figures were measured on."""
    if made.test is None:
        return Sentence(HELD_OUT, {"count": made.count})
    return Sentence(OTHER_IMAGES, {"count": made.count, "path": made.test})


def models_table(audit: Audit) -> list[ModelRow]:
    """The original and every purification, one row each.

    The original's row has what was measured before the purifications only if that is the same for
    all: one class, trigger and set of images.
    """
    all_made = audit.purifications
    alike = all(measured_alike(all_made[0], one) for one in all_made)
    before = all_made[0].before if all_made and alike else None
    target = all_made[0].result.target if all_made and alike else None
    if not all_made:
        target = audit.most_suspicious
    rows = [_row(0, "original", audit, target, before)]
    for number, made in enumerate(all_made, 1):
        rows.append(
            _row(number, made.result.method, made.rescan, made.result.target, made.after, made)
        )
    return rows


def _row(
    number: int,
    method: str,
    audit: Audit,
    target: int | None,
    measured: Measured | None,
    made: Purification | None = None,
) -> ModelRow:
    row = ModelRow(
        number=number,
        method=one_line(method),
        target=None,
        acc=json_number(audit.accuracy if measured is None else measured.acc),
        asr=None if measured is None else measured.asr,
        ra=None if measured is None else measured.ra,
        norm=None,
        z=None,
        alpha=audit.shifts.alpha,
        flagged=None,
    )
    if target is not None:
        norms = audit.shifts.l2
        row = replace(
            row,
            target=one_line(audit.images.class_names[target]),
            norm=json_number(float(norms[target])),
            z=json_number(float(z_scores(norms)[target])),
            flagged=target in audit.finding.suspected,
        )
    if made is None:
        return row
    result = made.result
    return replace(
        row,
        der=der(made.before, made.after),
        complete=result.complete,
        seconds=result.seconds,
        forwards=result.forwards,
        backwards=result.backwards,
        trigger=one_line(made.trigger or ""),
        reported_on=one_line(str(reported_on(made))),
    )


def models_json(audit: Audit) -> dict[str, Any]:
    """`models_table` as ``bdshift compare --json`` prints it."""
    return with_schema("compare", {"models": [asdict(row) for row in models_table(audit)]})


def table_csv(rows: Sequence[ModelRow]) -> str:
    """Rows as CSV, with the field names as header."""
    names = [one.name for one in fields(ModelRow)]
    return csv_text([names, *(asdict(row).values() for row in rows)])


def share(value: float | None) -> str:
    """A share in percent; – where it is not known."""
    return figure(value, ".2%")


def models_text(audit: Audit) -> str:
    """`models_table` for a terminal, with a note on rows that are not comparable."""
    lines = [
        f"{'':>3} {'method':{_METHOD_WIDTH}}{'ACC':>9}{'ASR':>9}{'RA':>9}{'DER':>7}{'norm':>9}"
        f"{'z':>7}"
    ]
    for row in models_table(audit):
        fits = len(row.method) < _METHOD_WIDTH
        method = row.method if fits else row.method[: _METHOD_WIDTH - 2] + "…"
        lines.append(
            f"{row.number:>3} {method:{_METHOD_WIDTH}}{share(row.acc):>9}{share(row.asr):>9}"
            f"{share(row.ra):>9}{figure(row.der, '.3f'):>7}{figure(row.norm):>9}"
            f"{figure(row.z, '.2f'):>7}"
        )
    all_made = audit.purifications
    if any(not measured_alike(all_made[0], one) for one in all_made):
        lines += ["", "These were measured differently and are not all comparable:"]
        lines += [
            f"{number:>3} class {audit.images.class_names[one.result.target]}, "
            f"{shortened(one.trigger or 'no trigger')}, {reported_on(one)}"
            for number, one in enumerate(all_made, 1)
        ]
    return joined(lines)


def compared_text(found: Comparison) -> str:
    """Two models side by side, for a terminal."""
    first, second = found.measured
    names, target = found.audit.images.class_names, found.target
    sides = found.a, found.b
    heads = [f"purified {one.number}" if one.number else "original" for one in sides]
    lines = [f"{'':24}{heads[0]:>14}{heads[1]:>14}"]

    def line(name: str, was: str, now: str) -> None:
        lines.append(f"{name:24}{was:>14}{now:>14}")

    if first is not None and second is not None:
        line("ACC, clean accuracy", share(first.acc), share(second.acc))
        if first.asr is not None or second.asr is not None:
            line("ASR, attack success", share(first.asr), share(second.asr))
            line("RA, recovery accuracy", share(first.ra), share(second.ra))
    norms = [one.audit.shifts.l2 for one in sides]
    line(f"norm of class {target}", *(figure(float(one[target])) for one in norms))
    line("z of its norm", *(figure(float(z_scores(one)[target]), ".2f") for one in norms))
    if found.der is not None:
        line("DER", "", f"{found.der:.4f}")
    if not found.comparable:
        lines.append("Measured differently (class, trigger or images): not comparable.")
    if first is not None and second is not None:
        moves = [now - was for was, now in zip(first.by_class, second.by_class, strict=True)]
        order = sorted((i for i in range(len(moves)) if moves[i] == moves[i]),
                       key=lambda i: -abs(moves[i]))  # fmt: skip
        lines += ["", "accuracy by class, the largest changes first"]
        for i in order[:_MAX_CLASSES]:
            line(f"  {names[i]}"[:24], share(first.by_class[i]), share(second.by_class[i]))
    for title, changed in (("clean", found.clean), ("triggered", found.triggered)):
        if changed is not None:
            kinds: list[Change] = ["fixed", "broken", "other"]
            fixed, broken, other = (sum(one.kind == kind for one in changed) for kind in kinds)
            counted = Sentence(
                "{count:|image is|images are} classified differently ({which}): {fixed} now "
                "correct, {broken} now wrong, {other} still wrong",
                {"count": len(changed), "which": title, "fixed": fixed, "broken": broken,
                 "other": other},
            )  # fmt: skip
            lines += ["", str(counted)]
    return joined(lines)
