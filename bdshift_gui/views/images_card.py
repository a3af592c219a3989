"""The clean images: how many, how well they are classified, how they are preprocessed."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QPushButton

from bdshift.text import grouped
from bdshift_gui.actions.correct import LABELS, PREPROCESSINGS
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.numbers import order_words, percent
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, CornerButton, Elided, KeyValueRows, Text, look
from bdshift_gui.widgets.thumbs import Thumbs

_MAX_THUMBNAILS = 8
_MAX_LISTED = 30  # classes and skipped files in a tooltip


@view
class ImagesCard(Card, View):
    """Counts, accuracy, the preprocessing that was chosen."""

    key = "images"
    area = "cards"
    place = 30
    reads = ("audit", "images", "images_path", "model", "job", "class_doubt")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.correct = CornerButton(self, lambda: LABELS.trigger(context))
        self._name, self._rows = Elided("muted"), KeyValueRows()
        self._note = Text("muted")
        self.ranking = QPushButton()
        self.ranking.clicked.connect(lambda: PREPROCESSINGS.trigger(context))
        self._thumbs = Thumbs()
        for widget in (self._name, self._rows, self._thumbs, self._note, self.ranking):
            self.body.addWidget(widget)

    def show_state(self, state: State) -> None:
        """Show the images of the audit, or those that are open."""
        self.title.show_text(tr("Clean images"))
        self.correct.show_action(tr("classes…"), LABELS, state)
        self.correct.setVisible(state.can_scan and state.labeled)
        audit, opened = state.audit, state.images
        self.setVisible(audit is not None or opened is not None)
        path = "" if state.images_path is None else str(state.images_path)
        self._name.show_text(path.replace("\\", "/").rstrip("/").rpartition("/")[2])
        set_tip(self._name, path)
        self.ranking.setVisible(audit is not None)
        self.ranking.setEnabled(PREPROCESSINGS.enabled(state))
        self._thumbs.setVisible(audit is not None and audit.embedding is not None)
        notes = [] if opened is None else [say(one) for one in opened.collection.notes]
        doubt = None if audit is not None else state.class_doubt
        look(self, "card" if doubt is None else "doubtful")
        if doubt is not None:
            notes.insert(0, say(doubt))
        if audit is not None:
            self._show_audit(state)
            skipped = audit.images.skipped
        elif opened is not None and not opened.collection.labeled:
            self._rows.show_rows(
                [
                    (tr("Images"), grouped(len(opened.collection.files)), ""),
                    (tr("Labels"), tr("missing"), ""),
                ]
            )
            skipped = opened.collection.skipped
        elif opened is not None:
            names = zip(opened.collection.folders, opened.counts, strict=True)
            self._rows.show_rows(
                [
                    (tr("Images"), grouped(sum(opened.counts)), ""),
                    (tr("Classes"), grouped(len(opened.counts)),
                     "\n".join(f"{name}: {grouped(n)}" for name, n in [*names][:_MAX_LISTED])),
                ]
            )  # fmt: skip
            skipped = opened.collection.skipped
        else:
            return
        if skipped:
            notes.append(tr("{count:|file|files} skipped", count=len(skipped)))
        self._note.show_text(" ".join(notes))
        lines = [f"{one.name}: {say(one.reason)}" for one in skipped[:_MAX_LISTED]]
        set_tip(self._note, "\n".join(lines))

    def _show_audit(self, state: State) -> None:
        audit = state.audit
        assert audit is not None
        images, chosen = audit.images, audit.preprocessing
        n = chosen.normalization
        self._rows.show_rows(
            [
                (tr("Used"),
                 tr("{used} of {all}", used=grouped(sum(images.counts)),
                    all=grouped(images.available)),
                 tr("A stratified sample, the same for the same seed.")),
                (tr("Clean accuracy"),
                 percent(audit.accuracy) if images.labeled else tr("unknown, no labels"),
                 tr("Share of these images classified as labeled.")),
                (tr("Normalization"), tr("mean and std 0.5") if n.name == "half" else n.name,
                 f"mean {n.mean}\nstd {n.std}"),
                (tr("Input"), f"{chosen.size} × {chosen.size}, {order_words(chosen.order)}",
                 say(chosen.framing.words)),
            ]
        )  # fmt: skip
        self.ranking.setText(tr("Best of {count} tried: show ranking", count=len(audit.trials)))
        if audit.embedding is not None:
            labels = audit.embedding.labels
            shown = np.unique(labels)[:_MAX_THUMBNAILS]
            first = [int(np.flatnonzero(labels == c)[0]) for c in shown]
            names = ", ".join(images.class_names[labels[i]] for i in first)
            self._thumbs.show_images(audit.embedding.thumbnails[first], names)
