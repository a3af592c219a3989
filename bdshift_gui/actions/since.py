"""Compare the audit with another one of the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.tasks.since import compare_audits

if TYPE_CHECKING:
    from bdshift.audit.since import Since


def _compare(context: Context) -> None:
    path = context.ask.file(tr("Compare with another audit"), "HDF5 (*.h5)")
    if path is not None and not context.state.busy:
        compare_audits(context, path, lambda found: _show(context, found))


def _show(context: Context, since: Since) -> None:
    from bdshift_gui.dialogs.since import SincePage

    context.ask.show(SincePage(since, context))


COMPARE_AUDITS = action(
    Action(
        "compare_audits", words("Compare with another audit…", ja="別の監査と比較…"),
        words("What changed since an earlier audit of this model, or until a later one.",
              ja="このモデルの以前（または以後）の監査から何が変わったかを表示します。"),
        "file", 122, _compare, with_audit,
    )
)  # fmt: skip
