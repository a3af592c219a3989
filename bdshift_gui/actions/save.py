"""Save the audit; write a report."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.dialogs.report import ReportDialog
from bdshift_gui.i18n import tr
from bdshift_gui.tasks import writing
from bdshift_gui.tasks.reporting import write_report


def _report(context: Context) -> None:
    name = writing.suggested(context.state, "report.html")
    path = context.ask.where(tr("Write a report"), name, (".html", ".pdf"))
    if path is not None and not context.state.busy:
        write_report(context, path)


def _preview(context: Context) -> None:
    context.ask.show(ReportDialog(context))


SAVE = action(
    Action(
        "save", words("Save audit", ja="監査を保存"),
        words("Save all results in one .h5 file; the first time it asks where.",
              ja="すべての結果を 1 つの .h5 ファイルに保存します。最初は保存先を尋ねます。"),
        "file", 110, writing.save_document, with_audit, "Ctrl+S", toolbar=60,
        starts=True,
        icon="save",
    )
)  # fmt: skip
SAVE_AS = action(
    Action(
        "save_as", words("Save audit as…", ja="名前を付けて監査を保存…"),
        words("Save all results in another .h5 file.",
              ja="すべての結果を別の .h5 ファイルに保存します。"),
        "file", 111, writing.save_as, with_audit, "Ctrl+Shift+S",
    )
)  # fmt: skip
REPORT = action(
    Action(
        "report", words("Write a report…", ja="レポートを書き出す…"),
        words("Write the audit and the selected purification as a page of HTML, or as PDF.",
              ja="監査を HTML か PDF のレポートにします。選択中の浄化も含みます。"),
        "file", 120, _report, with_audit, "Ctrl+R",
        starts=True,
        icon="report",
    )
)  # fmt: skip
PREVIEW = action(
    Action(
        "preview_report", words("Preview the report…", ja="レポートをプレビュー…"),
        words("Look at the report's pages, and write author and notes on it.",
              ja="レポートのページを確認し、作成者とメモを記入します。"),
        "file", 121, _preview, with_audit, "Ctrl+Shift+V",
    )
)  # fmt: skip
