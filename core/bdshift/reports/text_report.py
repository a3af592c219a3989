"""An audit as text for a terminal: the finding, the table behind it, what limits it."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence

import numpy as np

from bdshift.audit import Audit, ModelRecord
from bdshift.audit.elsewhere import suspected_elsewhere
from bdshift.audit.facts import BESIDE_CLEAN_MODELS
from bdshift.audit.finding import LIMITS
from bdshift.audit.rankings import method_rankings
from bdshift.audit.readings import reading_of
from bdshift.checkpoints.layout import IN_MEMORY
from bdshift.detect.rule import RULES
from bdshift.files import KeptPath
from bdshift.images.framing import USUAL
from bdshift.neurons.rankings import agreement, compare_with_tac, cosine
from bdshift.neurons.tac import Tac
from bdshift.reports.class_table import class_columns
from bdshift.reports.recovery_words import recovery_sentences, title
from bdshift.spec import shortened
from bdshift.text import columns, figure, grouped, joined, one_line
from bdshift.words import Sentence

_WIDTH = 88
_MAX_PARAGRAPH = 4000  # characters: a name in it may be of any length
_TAC_LEGEND = "; TAC: mean |change| of φ under the trigger; signed: mean change"
_MAX_ROWS = 20  # of a table of many classes: the lowest norms, which decide
_MAX_SKIPPED = 3  # files named


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell; the first to the left, the rest to the right."""
    widths = [max(columns(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        space = [" " * (w - columns(cell)) for cell, w in zip(cells, widths, strict=True)]
        rest = (before + cell for before, cell in zip(space[1:], cells[1:], strict=True))
        return "  ".join([cells[0] + space[0], *rest]).rstrip()

    return [line(head), *(line(row) for row in rows)]


def wrapped(text: str, first: str = "") -> list[str]:
    """Lines of a paragraph; ``first`` begins the first of them."""
    return textwrap.wrap(
        text[:_MAX_PARAGRAPH], _WIDTH, initial_indent=first, subsequent_indent=" " * len(first)
    )


def audit_text(audit: Audit) -> str:
    """What ``bdshift scan`` prints."""
    model, images, shifts, finding = audit.model, audit.images, audit.shifts, audit.finding
    chosen = audit.preprocessing
    norm = chosen.normalization
    framed = "" if chosen.framing == USUAL else f"{chosen.framing.words}, "
    mean, std = (" ".join(f"{value:g}" for value in part) for part in (norm.mean, norm.std))
    lines = [str(finding.headline).upper()]
    for reason in finding.reasons:
        lines += wrapped(str(reason.sentence))
    lines += [
        "",
        *wrapped(
            f"{model.architecture}, {grouped(model.classes)} classes, "
            f"{grouped(model.embedding_dim)}-d embedding, {_head(model)}; {_origin(model)}",
            "model   ",
        ),
        f"        SHA-256 {model.sha256}",
        *wrapped(
            f"{grouped(sum(images.counts))} of {grouped(images.available)} used, {chosen.size} px, "
            f"{framed}{chosen.order.upper()}, normalization {norm.name} (mean {mean}, std {std}), "
            f"the best of {len(audit.trials)} tried: {_accuracy(audit)}",
            "images  ",
        ),
        *wrapped(
            f"α {shifts.alpha:g}, {shifts.solver} in {shifts.seconds:.3g} s after "
            f"{audit.seconds_embed:.3g} s of embedding ({_arithmetic(audit)}); KKT "
            f"residual {figure(shifts.kkt_max, '.1g')}, duality gap "
            f"{figure(shifts.gap_max, '.1g')}",
            "shift   ",
        ),
        *wrapped(
            f"cosine with the head-only direction w − μ (needs no images): {_data_free(audit)}",
            "        ",
        ),
    ]
    for reading in audit.readings:
        words = f"{reading_of(reading.preprocessing)}: {_accuracy(reading)}, "
        lines += wrapped(f"{words}{_by_what(reading)}: {reading.finding.headline}", "under   ")
    if audit.reference is not None:
        lines += _reference(audit.reference)
    for one in audit.judged[1:]:
        lines += wrapped(f"{one.detector.label}: {one.evidence.cost}", "also    ")
        if (pairs := one.pairs(images.class_names)) is not None:
            lines += wrapped(str(pairs), "        ")
    for recovery in audit.recoveries:
        lines += wrapped(f"{title(audit, recovery)}", "found   ")
        lines += wrapped(f"{recovery_sentences(audit, recovery)[0]}", "        ")
    if images.skipped:
        first = images.skipped[:_MAX_SKIPPED]
        shown = "; ".join(f"{skip.name}: {skip.reason}" for skip in first)
        rest = len(images.skipped) - len(first)
        more = f"; {rest} more" if rest else ""
        counted = Sentence("{count:|file|files}", {"count": len(images.skipped)})
        lines += wrapped(f"{counted} ({shown}{more})", "skipped ")
    lines += ["", *_class_table(audit)]
    for caution in finding.cautions:
        lines += ["", *wrapped(str(caution.sentence), "! ")]
    if audit.proposal is not None:
        lines += ["", "The order that explains the predictions, as a class-name file (--labels):"]
        order = sorted(audit.proposal.of_folder.items(), key=lambda item: item[1])
        lines += json.dumps(dict(order), ensure_ascii=False, indent=1).splitlines()
    lines += ["", *wrapped(f"{_judge(audit)}. {LIMITS}")]
    return joined(lines)


def _origin(model: ModelRecord) -> str:
    """Where the model was."""
    if model.container == IN_MEMORY:
        return "a module in memory, whose own code was run"
    return f"read from a {model.container} file without running code in it"


def _by_what(audit: Audit) -> str:
    """What a finding under another preprocessing rests on."""
    return "searched" if audit.is_searched else "by the norms alone"


def _accuracy(audit: Audit) -> str:
    known = audit.images.labeled
    return f"{audit.accuracy:.1%} clean accuracy" if known else "no labels, accuracy unknown"


def _reference(audit: Audit) -> list[str]:
    """Which model is the reference."""
    model, norm = audit.model, audit.preprocessing.normalization
    return [
        *wrapped(
            f"{KeptPath(model.path).name}, {model.architecture}, normalization {norm.name}: "
            f"{_accuracy(audit)}",
            "beside  ",
        ),
        f"        SHA-256 {model.sha256}",
    ]


def _judge(audit: Audit) -> str:
    """What decided, and its threshold."""
    rule = audit.settings.rule
    if audit.verdict is None:
        return f"Rule: {rule.label}, threshold {rule.line_label}"
    return f"{BESIDE_CLEAN_MODELS}: a class is suspected up to p = {audit.verdict.limit:.2g}"


def _arithmetic(audit: Audit) -> str:
    """What the last digits depend on."""
    batch = "" if audit.embedding is None else f", batches of {audit.embedding.batch}"
    return f"{audit.device}, {audit.precision}{batch}"


def _head(model: ModelRecord) -> str:
    if model.prompts is None:
        return f"head {model.head}"
    count = len(model.prompts.templates)
    templates = f"{count} prompt templates" if count > 1 else "a prompt template"
    return f"head made of the class names in {templates}, such as “{model.prompts.text(0, 0)}”"


def _data_free(audit: Audit) -> str:
    """How nearly parallel the shifts are to the direction that the head alone gives."""
    shifts = audit.shifts
    cosines = [
        cosine(shifts.shift[i], audit.model.data_free(i))
        for i, status in enumerate(shifts.status)
        if status == "solved"
    ]
    cosines = [one for one in cosines if not math.isnan(one)]
    if not cosines:
        return "–"
    return f"{figure(min(cosines), '.3f')} to {figure(max(cosines), '.3f')} over the classes"


def _class_table(audit: Audit) -> list[str]:
    judged = audit.judged
    norms, flagged = audit.shifts.l2, audit.finding.suspected
    form = ".3f" if np.nanmax(norms[np.isfinite(norms)], initial=0) < 100 else ".4g"
    wide = len(str(len(norms) - 1))
    order = np.argsort(norms, kind="stable").tolist()
    shown = order[: _MAX_ROWS if len(order) > _MAX_ROWS + 5 else len(order)]
    shown += [i for i in flagged if i not in shown]
    rules, others = RULES.kinds(), judged[1:]
    rows = []
    for i in shown:
        mark = "◆ " if i in flagged else "  "
        statistics = judged[0].judgment.statistics
        rows.append(
            [
                f"{mark}{i:{wide}} {audit.images.class_names[i]}",
                figure(norms[i], form),
                *(figure(float(statistics[rule.name][i]), rule.form) for rule in rules),
                *(figure(float(one.evidence.scores[i])) for one in others),
                "" if audit.shifts.status[i] == "solved" else audit.shifts.status[i],
            ]
        )
    heads = class_columns(audit)
    lines = table(["  class", *(one.head for one in heads), ""], rows)
    if len(shown) < len(order):
        rest = {"count": len(order) - len(shown)}
        lines.append(str(Sentence("  … and {count:|other class|other classes}", rest)))
    if flagged:
        lines.append("◆ suspected")
    for one in heads:
        lines += wrapped(one.help, f"{one.head}: ")
    if (elsewhere := suspected_elsewhere(audit, judged[0])) is not None:
        lines += wrapped(f"{elsewhere}.")
    return lines


def neurons_text(audit: Audit, target: int, tac: Tac | None, top: int) -> str:
    """What ``bdshift neurons`` prints: the strongest neurons, and how the rankings agree."""
    shift = audit.shifts.shift[target]
    free = audit.model.data_free(target)
    length = float(np.linalg.norm(free))
    head = ["neuron", "shift", "w − μ"]
    columns = [shift, free * (float(np.linalg.norm(shift)) / length if length else 1.0)]
    if audit.embedding is not None:
        head.append("clean φ")
        columns.append(audit.embedding.mean)
    if tac is not None:
        head += ["TAC", "signed"]
        columns += [tac.change, tac.signed]
    order = np.argsort(-shift, kind="stable")[:top]
    rows = [[str(k), *(figure(values[k], ".3f") for values in columns)] for k in order]
    name = audit.images.class_names[target]
    lines = [f"Neurons for class {target} “{name}”, strongest shift first", ""]
    legend = (
        "w − μ: the head's row minus the mean row μ, scaled to the shift's length; clean φ: mean "
        "activation"
    )
    lines += [*table(head, rows), "", *wrapped(legend + (_TAC_LEGEND if tac is not None else ""))]
    if tac is None:
        how = "TAC needs a trigger: --trigger, or bdshift recover, which searches for one"
        return joined([*lines, "", *wrapped(how)])
    recovery = audit.recovery_of(tac)
    lines += [
        "",
        *wrapped(
            f"Trigger {shortened(tac.trigger)}: of the images of other classes, "
            f"{figure(tac.asr, '.1%')} are sent to “{name}” and {figure(tac.ra, '.1%')} are still "
            f"classified as labeled ({grouped(tac.images)} images in all)."
            if recovery is None
            else f"No trigger is known. TAC is a proxy, under the trigger that was recovered "
            f"({recovery.label}): of the images of other classes, {figure(tac.asr, '.1%')} are "
            f"sent to “{name}” ({grouped(tac.images)} images in all)."
        ),
        "",
    ]
    rows = [
        [
            label,
            *(
                figure(value, ".3f")
                for value in (found.cosine, found.cosine_abs, found.pearson, found.spearman)
            ),
            f"{found.overlap_at(0.1):.0%}",
        ]
        for label, found in [
            *zip(
                (
                    "shift, TAC", "w − μ, TAC", "shift, signed change",
                    "w − μ, signed change",
                ),
                compare_with_tac(shift, free, tac).values(),
                strict=True,
            ),
            *(
                (f"{one_line(name)}, TAC", agreement(values, tac.change))
                for name, values in method_rankings(audit, target).items()
            ),
        ]
    ]  # fmt: skip
    lines += table(["", "cosine", "of |·|", "Pearson", "Spearman", "top-10% overlap"], rows)
    return joined(lines)
