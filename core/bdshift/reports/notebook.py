"""An audit in a notebook or a program: as a cell of HTML, as a table, as drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from markupsafe import Markup

from bdshift.audit.records import Audit
from bdshift.detect.rule import RULES
from bdshift.errors import UsageError
from bdshift.outputs import Output
from bdshift.reports.class_table import class_columns, class_rows
from bdshift.reports.drawings import neurons_drawing, norms_drawing, pair_drawings
from bdshift.reports.svg import as_file
from bdshift.text import one_line
from bdshift.words import Sentence

Drawn = Literal["norms", "neurons", "pairs"]
DRAWINGS: tuple[Drawn, ...] = get_args(Drawn)


class SvgDrawing(str):
    """A drawing as the text of an SVG file; notebooks show it."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"SvgDrawing({len(self):,} characters of SVG)"

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write it. Raises as `bdshift.outputs.Output.write_text` does."""
        Output(Path(path), overwrite).write_text(self)


def drawing_of(audit: Audit, drawn: str, target: int | None) -> SvgDrawing:
    """What `Audit.plot` returns."""
    if drawn == "norms":
        return SvgDrawing(as_file(norms_drawing(audit, _say)))
    if drawn == "neurons":
        toward = audit.most_suspicious if target is None else target
        if not 0 <= toward < audit.model.classes:
            raise UsageError(
                "there is no class {index}; the last is {last}",
                index=toward, last=str(audit.model.classes - 1),
            )  # fmt: skip
        return SvgDrawing(as_file(neurons_drawing(audit, toward, _say, audit.tac_of(toward))[0]))
    if drawn == "pairs":
        found = next(pair_drawings(audit, _say), None)
        if found is None:
            raise UsageError(
                "no detector compared pairs of classes: ask for one, as ScanSettings(search=60) "
                "does, of a model with few enough classes to draw"
            )
        return SvgDrawing(as_file(found[1]))
    raise UsageError("unknown drawing {name}; choose one of {names}", name=repr(drawn),
                     names=DRAWINGS)  # fmt: skip


def frame_of(audit: Audit) -> Any:
    """What `Audit.to_frame` returns."""
    try:
        import pandas
    except ImportError as error:
        raise UsageError(
            "a data frame is one of pandas, which is not installed: pip install pandas"
        ) from error
    first, *others = audit.judged
    statistics = first.judgment.statistics
    suspected = np.isin(np.arange(audit.model.classes), audit.finding.suspected)
    columns = {
        "name": list(audit.images.class_names),
        "images": list(audit.images.counts),
        "l2": audit.shifts.l2,
        **{rule.name: statistics[rule.name] for rule in RULES.kinds()},
        **{one.detector.name: one.evidence.scores for one in others},
        "status": list(audit.shifts.status),
        "suspected": suspected,
    }
    return pandas.DataFrame(columns, index=pandas.RangeIndex(audit.model.classes, name="class"))


def html_of(audit: Audit) -> str:
    """What a notebook shows of an audit: the finding, the bars, the table of classes."""
    finding = audit.finding
    reasons = [str(one.sentence) for one in (*finding.reasons, *finding.cautions)]
    columns = [(_words(one.help), _words(one.head)) for one in class_columns(audit)]
    head = Markup("").join(Markup('<th title="{}">{}</th>').format(*one) for one in columns)
    rows = Markup("").join(
        Markup("<tr{}><td>{}</td>{}</tr>").format(
            Markup(' style="color:#c0392b;font-weight:bold"') if row.flagged else "",
            one_line(row.name),
            Markup("").join(map(Markup("<td>{}</td>").format, row.cells)),
        )
        for row in class_rows(audit)
    )
    return str(
        Markup("<div><p><b>{}</b></p>{}{}<table><thead><tr><th>class</th>{}</tr></thead>"
               "<tbody>{}</tbody></table></div>").format(
            str(finding.headline),
            Markup("").join(map(Markup("<p>{}</p>").format, map(one_line, reasons))),
            Markup(as_file(norms_drawing(audit, _say))), head, rows,
        )
    )  # fmt: skip


def _words(template: str) -> str:
    return str(Sentence(template))


def _say(text: str, **values: Any) -> str:
    return str(Sentence(text, values))
