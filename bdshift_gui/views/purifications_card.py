"""The purified models of the audit, each in one line."""

from __future__ import annotations

from bdshift_gui.actions.purifications import SHOW_PURIFICATIONS
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.models import measured_on, name_of
from bdshift_gui.numbers import percent
from bdshift_gui.session import State
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, CornerButton, KeyValueRows, Text


@view
class PurificationsCard(Card, View):
    """Leads to their page; also while the first one is running."""

    key = "purified"
    area = "cards"
    place = 17
    reads = ("original", "purifying", "job")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.show_it = CornerButton(self, lambda: SHOW_PURIFICATIONS.trigger(context))
        self._rows, self._running = KeyValueRows(long_keys=True), Text("muted")
        self.body.addWidget(self._rows)
        self.body.addWidget(self._running)

    def show_state(self, state: State) -> None:
        """Show what was made of the original."""
        all_made, runs = state.purifications, state.purifying is not None
        self.setVisible(runs or bool(all_made))
        self.title.show_text(tr("Purifications"))
        self.show_it.show_action(tr("Show"), SHOW_PURIFICATIONS, state)
        rows = []
        for number, made in enumerate(all_made, 1):
            before, after = made.before, made.after
            told = f"ASR {percent(before.asr)[:-1]} → {percent(after.asr)}"
            if after.asr is None:
                told = f"ACC {percent(before.acc)[:-1]} → {percent(after.acc)}"
            about = tr("Before and after, on {images}.", images=measured_on(made))
            rows.append((f"{number} · {name_of(made)}", told, about))
        self._rows.setVisible(bool(rows))
        self._rows.show_rows(rows)
        self._running.show_text(tr("A purification is running.") if runs else "")
