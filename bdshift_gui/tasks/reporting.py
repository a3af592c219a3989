"""The report: its pages to look at, its file, and what people write on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication, QImage

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.i18n import language
from bdshift_gui.printing.paper import PAPERS, usual_paper
from bdshift_gui.tasks.recovering import take
from bdshift_gui.tasks.showing import as_shown
from bdshift_gui.tasks.writing import output

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.cover import Cover
    from bdshift_gui.printing.printed import PrintedReport

MAX_SHOWN_PAGES = 40
_SHARPNESS = 1.5  # pixels for each of the 96 dpi


@dataclass(frozen=True)
class Preview:
    """Pictures of the first pages, and how many there are in all."""

    pages: tuple[QImage, ...]
    count: int


def preview(context: Context, paper: str, cover: Cover, job: JobContext) -> Callable[[], Preview]:
    """What shows the report on ``paper`` with this ``cover`` as it would be written now, for
    another thread.
    """
    printed = _printed(replace(as_shown(context.state), cover=cover), context.state.chosen, paper)

    def run() -> Preview:
        found = printed(job)
        pages = []
        for number in range(min(found.count, MAX_SHOWN_PAGES)):
            job.raise_if_canceled()
            pages.append(found.picture(number, _SHARPNESS))
        return Preview(tuple(pages), found.count)

    return run


def write_report(context: Context, path: Path, paper: str | None = None) -> None:
    """Write the audit as it is shown, and the chosen purification: on pages if the name ends in
    .pdf, else as one page of HTML. ``paper`` is the usual one by default.
    """
    audit = as_shown(context.state)
    number = context.state.chosen
    page, printed = _page(audit, number), _printed(audit, number, paper or usual_paper())

    def run(job: JobContext) -> None:
        if path.suffix.lower() == ".pdf":
            output(audit, path).write(printed(job).pdf(job))
        else:
            output(audit, path).write_text(page(job))

    context.start(Sentence("Writing the report"), run, lambda _: context.say_written(path))


def _page(audit: Audit, number: int) -> Callable[[JobContext], str]:
    """What makes the page of HTML, with the purification of that number; 0 for none."""
    spoken = language()

    def run(job: JobContext) -> str:
        from bdshift.audit.purifying import aligned
        from bdshift.reports.html_report import html_report

        return html_report(aligned(audit, job=job), spoken, number)

    return run


def _printed(audit: Audit, number: int, paper: str) -> Callable[[JobContext], PrintedReport]:
    """What sets the page in type."""
    page, spoken = _page(audit, number), language()
    family = QGuiApplication.font().family()

    def run(job: JobContext) -> PrintedReport:
        from bdshift_gui.printing.printed import PrintedReport

        return PrintedReport(page(job), PAPERS[paper], family, spoken, job)

    return run


def set_cover(context: Context, cover: Cover) -> None:
    """Write author and notes on the audit, if they are others."""
    original = context.state.original
    assert original is not None
    if cover != original.cover:
        take(context, replace(original, cover=cover))
