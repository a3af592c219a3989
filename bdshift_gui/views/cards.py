"""What was opened: the model, and the clean images."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton

from bdshift_gui.i18n import tr
from bdshift_gui.numbers import grouped, order_words, percent
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Card, Elided, Rows, Text, plain
from bdshift_gui.widgets.thumbs import Thumbs

_THUMBS = 8


class ModelCard(Card):
    """Architecture, head and hash: what a person can check; ``architecture_asked`` to set right,
    ``details_asked`` for all that the file says.
    """

    architecture_asked = Signal()
    details_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.correct = _corner_button(self)
        self.details = _corner_button(self)
        self.correct.clicked.connect(self.architecture_asked)
        self.details.clicked.connect(self.details_asked)
        self._name = Elided("muted")
        self._rows = Rows()
        self._safe = Text("muted", wrap=False)
        line = QHBoxLayout()
        line.addWidget(self._name, 1)
        line.addWidget(self._safe)
        self.body.addLayout(line)
        self.body.addWidget(self._rows)

    def show_state(self, state: State) -> None:
        """Show the audited model, or the one that is open."""
        self.title.show_text(tr("Model"))
        self.correct.setText(tr("change…"))
        self.correct.setToolTip(tr("Say which architecture it is."))
        self.details.setText(tr("details…"))
        self.details.setToolTip(tr("Layers, what else fits, what was ignored, what it names."))
        self.details.setVisible(state.model is not None)
        audit, told = state.audit, state.model
        self.setVisible(audit is not None or told is not None)
        if audit is not None:
            model = audit.model
            path, sha = model.path, model.sha256
            classes, dim = model.classes, model.embedding_dim
            architecture, head, container = model.architecture, model.head, model.container
        elif told is not None:
            path, sha, container = told["path"], told["sha256"], told["format"]
            classes, dim, head = int(told["classes"]), int(told["embedding_dim"]), str(told["head"])
            architecture = state.corrections.get("arch") or told["architectures"][0]
        else:
            return
        name = path.replace("\\", "/").rpartition("/")[2]
        if state.shown:
            name = tr("{name}, purified ({number})", name=name, number=state.shown)
        self._name.show_text(name)
        self._name.setToolTip(plain(path))
        self._safe.show_text(tr("no code run"))
        self._safe.setToolTip(
            tr("The file's pickle is read by bdshift itself, which calls nothing in it.")
        )
        self._rows.show_rows(
            [
                (tr("Architecture"), architecture, architecture),
                (tr("Embedding"), f"{dim}-d", tr("Length of φ(x), the input of the head.")),
                (tr("Head"), tr("{name}, {count} classes", name=head, count=classes),
                 tr("Name of the last linear layer, and its rows.")),
                ("SHA-256", f"{sha[:6]}…{sha[-4:]}", f"{sha}\n{container}"),
            ]
        )  # fmt: skip


class ImagesCard(Card):
    """Counts, accuracy, the preprocessing chosen; ``ranking_asked`` for all that were tried,
    ``labels_asked`` to set right which folder is which class.
    """

    ranking_asked = Signal()
    labels_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.correct = _corner_button(self)
        self.correct.clicked.connect(self.labels_asked)
        self._rows = Rows()
        self._note = Text("muted")
        self.ranking = QPushButton()
        self.ranking.clicked.connect(self.ranking_asked)
        self._thumbs = Thumbs()
        for widget in (self._rows, self._thumbs, self._note, self.ranking):
            self.body.addWidget(widget)

    def show_state(self, state: State) -> None:
        """Show the images of the audit, or those that are open."""
        self.title.show_text(tr("Clean images"))
        self.correct.setText(tr("classes…"))
        self.correct.setToolTip(tr("Say which folder is which of the network's classes."))
        self.correct.setVisible(state.audit is not None or state.can_scan)
        audit, listed = state.audit, state.images
        self.setVisible(audit is not None or listed is not None)
        self.ranking.setVisible(audit is not None)
        self._thumbs.setVisible(audit is not None and audit.embedding is not None)
        if audit is not None:
            images, chosen = audit.images, audit.preprocessing.preprocessing
            n = chosen.normalization
            self._rows.show_rows(
                [
                    (tr("Used"),
                     tr("{used} of {all}", used=grouped(sum(images.counts)),
                        all=grouped(images.available)),
                     tr("A stratified sample, the same for the same seed.")),
                    (tr("Clean accuracy"), percent(audit.accuracy),
                     tr("Share of them classified as labeled.")),
                    (tr("Normalization"), tr("mean and std 0.5") if n.name == "half" else n.name,
                     f"mean {n.mean}\nstd {n.std}"),
                    (tr("Input"),
                     f"{chosen.size} × {chosen.size}, {order_words(chosen.order)}", ""),
                ]
            )  # fmt: skip
            self.ranking.setText(tr("Best of {count} tried: show ranking", count=len(audit.trials)))
            skipped = [(skip.name, skip.reason) for skip in images.skipped]
            if audit.embedding is not None:
                labels = audit.embedding.labels
                first = [int(np.flatnonzero(labels == c)[0]) for c in np.unique(labels)[:_THUMBS]]
                names = ", ".join(images.class_names[labels[i]] for i in first)
                self._thumbs.show_images(audit.embedding.thumbnails[first], names)
        elif listed is not None:
            self._rows.show_rows(
                [
                    (tr("Images"), grouped(sum(count for _, count in listed.counts)), ""),
                    (tr("Classes"), str(len(listed.counts)),
                     "\n".join(f"{name}: {count}" for name, count in listed.counts[:30])),
                ]
            )  # fmt: skip
            skipped = list(listed.skipped)
        else:
            return
        notes = list(listed.notes) if listed is not None else []
        if skipped:
            notes.append(tr("{count} files skipped", count=len(skipped)))
        self._note.show_text(" ".join(notes))
        lines = "\n".join(f"{name}: {reason}" for name, reason in skipped[:30])
        self._note.setToolTip(plain(lines))


def _corner_button(card: Card) -> QToolButton:
    button = QToolButton()
    button.setObjectName("link")
    card.corner.addWidget(button)
    return button
