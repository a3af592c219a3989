"""The user's images, without and with each trigger: what the model says, and where neurons look."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from bdshift_gui.actions.close_page import CLOSE_PAGE
from bdshift_gui.actions.gallery import SAVE_SHEET
from bdshift_gui.context import Context
from bdshift_gui.gallery_wish import GalleryWish, Heat
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.pages import GalleryPage
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks.gallery import MAX_ON_SHEET, looked_at, map_rows
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, Elided, Text
from bdshift_gui.widgets.full_screen import FullScreenImage
from bdshift_gui.widgets.gallery_shots import GalleryShots
from bdshift_gui.widgets.image_grid import ImageGrid

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.full_size import FullSizeImages
    from bdshift.audit.gallery import Gallery

_MAX_MAPPED = 64  # images that are mapped at once
_MIN_HEIGHT = 200  # pixels


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
        self.shots: GalleryShots | None = None
        self._known: tuple[Gallery, ...] = ()
        self._asked: tuple[GalleryWish, frozenset[int]] | None = None
        self._found: tuple[Gallery, list[int]] | None = None
        self._reader: FullSizeImages | None = None
        self._heat: Heat | None = None
        self._heated = True
        self._is_built = False
        self.setObjectName("plain")

    def _build(self) -> None:
        """Create what is in it, when it is looked at first: that takes the library."""
        from bdshift_gui.widgets.gallery_bar import GalleryBar

        self._is_built, context = True, self._context
        self.heading = Elided("finding")
        self.map, self.save, self.back = QPushButton(), QPushButton(), QPushButton()
        self.map.setCheckable(True)
        self.map.clicked.connect(self._map)
        self.save.clicked.connect(lambda: SAVE_SHEET.trigger(context))
        self.back.clicked.connect(lambda: CLOSE_PAGE.trigger(context))
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        head.addWidget(self.back)
        self.bar, self.grid = GalleryBar((self.map, self.save)), ImageGrid(96, wrap=True)
        self.about = Text("muted")
        self.grid.setMinimumHeight(_MIN_HEIGHT)
        self.bar.asked.connect(lambda wish: context.turn_to(GalleryPage(wish)))
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

    @property
    def rows(self) -> list[int]:
        """The images that are shown, as rows of the pass."""
        return [] if self.shots is None else list(self.shots.rows)

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """While it is looked at."""
        return state.gallery is not None

    def show_state(self, state: State) -> None:
        """Show a pass of the audit."""
        audit, wish = state.audit, state.gallery
        if audit is None or wish is None:
            return
        from bdshift.audit.gallery import galleries

        if audit is not self._audit:
            self._audit, self._known, self._reader = audit, galleries(audit), None
            self._asked = None
        asked = wish, state.selection.neurons
        if asked != self._asked:  # and not for every job that begins or ends
            self._asked, self._found = asked, looked_at(state, self._known)
        found = self._found
        if found is None:
            return
        if not self._is_built:
            self._build()
        of, rows = found
        names, neurons = audit.images.class_names, bool(state.selection.neurons)
        self._heat = self._heat_of(of, state)
        heat = self._heat if self._heated else None
        self.shots = GalleryShots(of, rows, names, wish.parts, heat)
        self.heading.show_text(tr("Your images"))
        self.bar.show_wish(self._known, wish, names, neurons=neurons)
        self.map.setText(tr("Where the neurons look"))
        set_tip(self.map, tr("Map what excites the selected neurons in the first {count} images. "
                             "Runs the network again.", count=_MAX_MAPPED))  # fmt: skip
        self.map.setEnabled(neurons and bool(rows) and (self._heat is not None or not state.busy))
        self.map.setChecked(heat is not None)
        for button, one in ((self.save, SAVE_SHEET), (self.back, CLOSE_PAGE)):
            button.setText(tr(one.text))
            button.setEnabled(one.enabled(state) and (bool(rows) or one is CLOSE_PAGE))
            set_tip(button, tr(one.tip))
        if len(rows) > MAX_ON_SHEET:
            set_tip(self.save, tr("The first {count} of them.", count=MAX_ON_SHEET))
        self.bar.count.show_text(
            tr("{shown} of {count:|image|images}", shown=f"{len(rows):,}",
               count=len(of.clean.labels))
        )  # fmt: skip
        self._draw()

    @staticmethod
    def _heat_of(of: Gallery, state: State) -> Heat | None:
        """The maps of a pass; None if there are none for the selected neurons."""
        heat, chosen = state.heat, tuple(sorted(state.selection.neurons))
        fits = heat is not None and (heat.which, heat.neurons) == (of.which, chosen)
        return heat if fits else None

    def _draw(self) -> None:
        shots = self.shots
        if shots is None:
            return
        from bdshift.audit.gallery import PARTS
        from bdshift.neurons.spatial import MAP_KINDS

        shots = self.shots = replace(shots, opacity=self.bar.opacity.value)
        self.bar.opacity.setVisible(shots.heat is not None)
        if not shots.rows:
            self.about.show_text(tr("No image is like that."))
        else:
            self.about.show_text("" if shots.heat is None else tr(MAP_KINDS[shots.heat.kind]))
        pictures = 1 if shots.of.triggered is None else list(PARTS).index(shots.parts) + 1
        self.grid.set_side(round(self.bar.sides.value))
        self.grid.show_shots(len(shots.rows), shots.shot, pictures)
        self.grid.setAccessibleName(self.bar.count.text())

    def _map(self) -> None:
        """Map them, or hide the maps that there are, or show them again."""
        if self._heat is not None:
            self._heated = not self._heated
            self.show_state(self._context.state)
            return
        self._heated = True
        self.map.setChecked(False)  # until they are there
        shots, state = self.shots, self._context.state
        if shots is not None and shots.rows and state.selection.neurons and not state.busy:
            neurons = tuple(sorted(state.selection.neurons))
            map_rows(self._context, shots.of, neurons, shots.rows[:_MAX_MAPPED])

    def _enlarge(self, place: int) -> None:
        """Open an image on the whole screen."""
        shots = self.shots
        if shots is None:
            return
        shown = FullScreenImage(self._context.ask.parent, len(shots.rows), shots.shot)
        shown.moved.connect(lambda place: self._read(shown, shots, place))
        shown.finished.connect(lambda _: self._context.quick.forget(self))
        shown.show_place(place)
        shown.setWindowState(Qt.WindowState.WindowFullScreen)
        self._context.ask.show(shown)

    def _read(self, shown: FullScreenImage, shots: GalleryShots, place: int) -> None:
        """Read an image again that the network sees larger than its thumbnail is."""
        from bdshift.audit.full_size import FullSizeImages

        audit, of, path = self._audit, shots.of, self._context.state.images_path
        if audit is None or path is None or audit.embedding is not of.clean:
            return
        if self._reader is None:
            self._reader = FullSizeImages(audit, path)
        reader, row = self._reader, shots.rows[place]
        if not reader.are_larger:
            return

        def failed(error: Exception) -> None:
            shown.explain(place, say(sentence_of(error)))

        self._context.quick.ask(
            self, lambda: reader.read(row, of.trigger),
            lambda found: shown.sharpen(place, shots.made_of(row, *found)), failed,
        )  # fmt: skip
