"""The user's images, without and with each trigger: what the model says, and where neurons look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from bdshift.audit.gallery import PARTS
from bdshift_gui.actions.gallery import CLOSE_GALLERY, SAVE_SHEET
from bdshift_gui.context import Context
from bdshift_gui.gallery_wish import Heat
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks.gallery import looked_at, map_rows
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.full_screen import FullScreenImage
from bdshift_gui.widgets.gallery_bar import GalleryBar
from bdshift_gui.widgets.heat import heated
from bdshift_gui.widgets.image_grid import ImageGrid, Pixels, Shot

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.full_size import FullSizeImages
    from bdshift.audit.gallery import Gallery

_MAX_MAPPED = 64  # images that are mapped at once
_LEAST_HEIGHT = 200  # pixels


@view
class GalleryView(QWidget, View):
    """Replaces the plots while it is looked at."""

    key = "gallery"
    area = "page"
    place = 25
    reads = (
        "audit", "gallery", "heat", "job", "waiting", "selection.neurons", "selection.class_index",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._audit: Audit | None = None
        self._of: Gallery | None = None
        self.rows: list[int] = []
        self._reader: FullSizeImages | None = None
        self.setObjectName("plain")
        self.heading = Text("finding", wrap=False)
        self.map, self.save, self.back = QPushButton(), QPushButton(), QPushButton()
        self.map.clicked.connect(self._map)
        self.save.clicked.connect(lambda: SAVE_SHEET.trigger(context))
        self.back.clicked.connect(lambda: CLOSE_GALLERY.trigger(context))
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        for button in (self.map, self.save, self.back):
            head.addWidget(button)
        self.bar, self.grid = GalleryBar(), ImageGrid(96, wrap=True)
        self.about = Text("muted")
        self.grid.setMinimumHeight(_LEAST_HEIGHT)
        self.bar.asked.connect(lambda wish: context.session.update(gallery=wish))
        self.bar.redrawn.connect(self._draw)
        self.grid.opened.connect(self._enlarge)
        card = Card()
        card.title.hide()
        for part in (self.bar, self.about):
            card.body.addWidget(part)
        card.body.addWidget(self.grid, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(card, 1)

    def wants_page(self, state: State) -> bool:
        """While it is looked at."""
        return state.gallery is not None

    def show_state(self, state: State) -> None:
        """Show a pass of the audit."""
        from bdshift.audit.gallery import galleries

        audit, wish, found = state.audit, state.gallery, looked_at(state)
        if audit is None or wish is None or found is None:
            return
        if audit is not self._audit:
            self._audit, self._reader = audit, None
        neurons = bool(state.selection.neurons)
        self.heading.show_text(tr("Your images"))
        self.bar.show_wish(galleries(audit), wish, self._names, neurons=neurons)
        self.map.setText(tr("Where the neurons look"))
        set_tip(self.map, tr("Map what excites the selected neurons in the first {count} images. "
                             "Runs the network again.", count=_MAX_MAPPED))  # fmt: skip
        self.map.setEnabled(neurons and not state.busy)
        for button, one in ((self.save, SAVE_SHEET), (self.back, CLOSE_GALLERY)):
            button.setText(tr(one.text))
            button.setEnabled(one.enabled(state))
            set_tip(button, tr(one.tip))
        self._of, self.rows = found
        self.bar.count.show_text(
            tr("{shown} of {count:|image|images}", shown=f"{len(self.rows):,}",
               count=len(found[0].clean.labels))
        )  # fmt: skip
        self._draw()

    @property
    def _names(self) -> tuple[str, ...]:
        return () if self._audit is None else self._audit.images.class_names

    @property
    def heat(self) -> Heat | None:
        """The maps of what is shown; None if there are none for these neurons."""
        state, of = self._context.state, self._of
        chosen = tuple(sorted(state.selection.neurons))
        if state.heat is None or of is None:
            return None
        return state.heat if (state.heat.which, state.heat.neurons) == (of.which, chosen) else None

    def _draw(self) -> None:
        of, wish = self._of, self._context.state.gallery
        if of is None or wish is None:
            return
        from bdshift.neurons.spatial import MAP_KINDS

        heat = self.heat
        self.bar.opacity.setVisible(heat is not None)
        if not self.rows:
            self.about.show_text(tr("No image is like that."))
        else:
            self.about.show_text("" if heat is None else tr(MAP_KINDS[heat.kind]))
        pictures = 1 if of.triggered is None else list(PARTS).index(wish.parts) + 1
        self.grid.set_side(round(self.bar.sides.value))
        self.grid.show_shots(len(self.rows), self.shot, pictures)
        self.grid.setAccessibleName(self.bar.count.text())

    def shot(self, place: int) -> Shot:
        """The cell at a place of the grid."""
        of, row = self._of, self.rows[place]
        assert of is not None
        after = None if of.triggered is None else of.triggered.thumbnails[row]
        return self._shot(row, of.clean.thumbnails[row], after)

    def _shot(self, row: int, before: Pixels, after: Pixels | None) -> Shot:
        from bdshift.audit.gallery import caption, describe, pictures_of

        of, heat, wish = self._of, self.heat, self._context.state.gallery
        assert of is not None
        assert wish is not None
        pictures = pictures_of(before, after, wish.parts)
        if heat is not None and row in heat.rows:
            at = 1 if len(pictures) > 1 else 0  # the one of this pass
            own, peak = heat.values[[heat.rows.index(row)]], float(heat.values.max())
            pictures[at] = heated(pictures[at][None], own, self.bar.opacity.value, peak)[0]
        words = say(caption(of, row, self._names)).replace(" → ", "\n→ ")
        return Shot(tuple(pictures), words, say(describe(of, row, self._names)))

    def _map(self) -> None:
        of, state = self._of, self._context.state
        rows = self.rows[:_MAX_MAPPED]
        if of is not None and rows and state.selection.neurons and not state.busy:
            map_rows(self._context, of, tuple(sorted(state.selection.neurons)), rows)

    def _enlarge(self, place: int) -> None:
        """Open an image on the whole screen."""
        shown = FullScreenImage(self._context.ask.parent, len(self.rows), self.shot)
        shown.moved.connect(lambda place: self._read(shown, place))
        shown.finished.connect(lambda _: self._context.quick.forget(self))
        shown.show_place(place)
        shown.setWindowState(Qt.WindowState.WindowFullScreen)
        self._context.ask.show(shown)

    def _read(self, shown: FullScreenImage, place: int) -> None:
        """Read an image again that the network sees larger than its thumbnail is."""
        from bdshift.audit.full_size import FullSizeImages

        audit, of, path = self._audit, self._of, self._context.state.images_path
        if audit is None or of is None or path is None:
            return
        if self._reader is None:
            self._reader = FullSizeImages(audit, path)
        reader, row = self._reader, self.rows[place]
        if not reader.are_larger:
            return

        def failed(error: Exception) -> None:
            shown.explain(place, say(sentence_of(error)))

        self._context.quick.ask(
            self, lambda: reader.read(row, of.trigger),
            lambda found: shown.sharpen(place, self._shot(row, *found)), failed,
        )  # fmt: skip
