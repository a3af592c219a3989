"""Purify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.i18n import say
from bdshift_gui.tasks import purifying

if TYPE_CHECKING:
    from bdshift.audit.unfinished import PurificationRequest


def _purify(context: Context) -> None:
    state = context.state
    original, pending = state.original, frozenset(state.pending)
    assert original is not None
    if not original.images.labeled:
        from bdshift.images.collection import needs_labels

        context.ask.tell(say(needs_labels(original.images.path)))
        return

    def find() -> PurificationRequest | None:
        from bdshift.audit.unfinished import Unfinished

        return Unfinished().find(original, pending)

    def show(interrupted: PurificationRequest | None) -> None:
        from bdshift_gui.dialogs.purify import PurifyDialog

        def is_current() -> bool:
            return not context.state.busy and context.state.goes_on_from(state)

        def start(requests: tuple[PurificationRequest, ...]) -> None:
            if is_current():
                purifying.purify(context, requests)

        if not is_current():
            return

        dialog = PurifyDialog(context, interrupted)
        dialog.chosen.connect(start)
        context.ask.show(dialog)

    context.quick.ask("purify", find, show)


PURIFY = action(
    Action(
        "purify", words("Purify…", ja="浄化…"),
        words("Remove the backdoor from a copy of the model.",
              ja="モデルのコピーからバックドアを取り除きます。"),
        "purification", 10, _purify, with_audit, "Ctrl+P", toolbar=50,
        icon="purify",
    )
)  # fmt: skip
