"""``bdshift-gui AUDIT.h5 --pdf OUT.pdf``: the report on pages, without a window or a screen. The
library cannot do it, since Qt sets the pages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PySide6.QtGui import QGuiApplication

from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.text import one_line
from bdshift.words import Language
from bdshift_gui.fonts import load_fonts

EXIT_USAGE, EXIT_INPUT = 2, 3  # as those of ``bdshift``


def write_pdf(
    audit_file: Path, out: Path, *, run: int | None, language: Language, paper: str, overwrite: bool
) -> int:
    """Write the report of an audit file, with its purification ``run`` as `html_report` takes it.
    Says on stdout what was written, or on stderr why it was not; returns the exit status.
    """
    try:
        said = _write(audit_file, out, run, language, paper, overwrite=overwrite)
    except (InputError, UsageError) as error:
        print(one_line(f"bdshift-gui: {error}"), file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_INPUT
    print(one_line(said))
    return 0


def _write(
    audit_file: Path, out: Path, run: int | None, language: Language, paper: str, *, overwrite: bool
) -> str:
    from bdshift.reports.html_report import html_report
    from bdshift.store import load_audit
    from bdshift_gui.printing.paper import PAPERS
    from bdshift_gui.printing.printed import PrintedReport

    audit = load_audit(audit_file)
    output = Output(out, overwrite, (audit_file, *audit.inputs))
    output.check()
    if QGuiApplication.instance() is None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        _running.append(QGuiApplication(sys.argv[:1]))
        load_fonts()
    family = QGuiApplication.font().family()
    printed = PrintedReport(html_report(audit, language, run), PAPERS[paper], family, language)
    output.write(printed.pdf())
    return f"{out}: {printed.count} pages"


_running: list[QGuiApplication] = []
"""Qt's, which must outlive what it draws."""
