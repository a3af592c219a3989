"""Which images are shown, in what order, how large, and with what over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from bdshift.audit.gallery import FILTERS, ORDERS, PARTS, USUAL_ORDER
from bdshift_gui.i18n import tr
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.heat import USUAL_OPACITY
from bdshift_gui.widgets.number_slider import NumberSlider
from bdshift_gui.widgets.recovery_words import kind_of

if TYPE_CHECKING:
    from bdshift.audit.gallery import Gallery
    from bdshift_gui.gallery_wish import GalleryWish

SIDES = 64, 256
"""Sides of a picture, in pixels."""
_USUAL_SIDE = 96


class GalleryBar(QWidget):
    """``asked`` carries a `GalleryWish`; ``redrawn`` says that the same images are wanted in
    another size, or with a fainter map.
    """

    asked = Signal(object)
    redrawn = Signal()

    def __init__(self, buttons: Sequence[QWidget]) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._known: Sequence[Gallery] = ()
        self._wish: GalleryWish | None = None
        self._filters: list[str] = []
        self._orders: list[str] = []
        self.which, self.only, self.label, self.order = (ChoiceBox() for _ in range(4))
        grid = QGridLayout()
        for at, box in enumerate((self.which, self.only, self.label, self.order)):
            box.setSizeAdjustPolicy(
                ChoiceBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(8)
            grid.addWidget(box, 0, at)
            grid.setColumnStretch(at, 3 if box is self.which else 2)
        self.which.activated.connect(lambda at: self._ask(which=self._known[at].which))
        self.only.activated.connect(lambda at: self._ask(only=self._filters[at]))
        self.label.activated.connect(lambda at: self._ask(label=at - 1))
        self.order.activated.connect(lambda at: self._ask(order=self._orders[at]))
        self.parts = Choices(tuple(PARTS))
        self.parts.chosen.connect(lambda key: self._ask(parts=key))
        self.sides = NumberSlider("", *SIDES, _USUAL_SIDE, form=".0f")
        self.opacity = NumberSlider("", 0, 1, USUAL_OPACITY)
        self.count = Text("muted", wrap=False)
        how, more = QHBoxLayout(), QHBoxLayout()
        for row, parts in ((how, (self.count, self.parts)), (more, (*buttons, self.sides))):
            for part in parts:
                if part is parts[-1]:
                    row.addStretch(1)
                row.addWidget(part)
        for slider in (self.sides, self.opacity):
            slider.moved.connect(slider.show_value)
            slider.moved.connect(lambda _: self.redrawn.emit())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(grid)
        column.addLayout(how)
        column.addLayout(more)
        column.addWidget(self.opacity, 0, Qt.AlignmentFlag.AlignRight)

    def show_wish(
        self, known: Sequence[Gallery], wish: GalleryWish, names: Sequence[str], *, neurons: bool
    ) -> None:
        """Show what is wanted, and offer what else makes sense: the passes ``known``, the classes
        ``names``; ``neurons`` says whether some are selected.
        """
        self._known, self._wish = known, wish
        of = next(one for one in known if one.which == wish.which)
        with_trigger = of.triggered is not None
        self._filters = [key for key, one in FILTERS.items() if one.fits(of)]
        self._orders = [key for key in ORDERS if neurons or key != "neurons"]
        order = wish.order if wish.order in self._orders else USUAL_ORDER
        _offer(self.which, [_title(one, names) for one in known], known.index(of), tr("Trigger"))
        _offer(self.only, [tr(FILTERS[key].label) for key in self._filters],
               self._filters.index(wish.only), tr("Which images"))  # fmt: skip
        _offer(self.label, [tr("all classes"), *names], wish.label + 1, tr("Labeled as"))
        _offer(self.order, [tr(ORDERS[key].label) for key in self._orders],
               self._orders.index(order), tr("Order"))  # fmt: skip
        self.parts.setVisible(with_trigger)
        self.parts.choose(wish.parts)
        about = {
            "after": tr("Images with the trigger."),
            "both": tr("Images without and with the trigger."),
            "change": tr("And what the trigger changes: after minus before, on gray, as clear as "
                         "it can be made."),
        }  # fmt: skip
        self.parts.label("", {key: (tr(PARTS[key]), about[key]) for key in PARTS})
        self.sides.describe(tr("Picture size"), tr("Side of a picture, in pixels."))
        self.opacity.describe(tr("Map"), tr("How much the map covers where the neurons look most."))
        for slider in (self.sides, self.opacity):
            slider.show_value(slider.value)

    def _ask(self, **parts: Any) -> None:
        """Ask for something else; of a pass without a trigger, not for what a trigger does."""
        assert self._wish is not None
        wish = replace(self._wish, **parts)
        of = next(one for one in self._known if one.which == wish.which)
        if not FILTERS[wish.only].fits(of):
            wish = replace(wish, only="all")
        self.asked.emit(wish)


def _title(one: Gallery, names: Sequence[str]) -> str:
    if one.triggered is None:
        return tr("without a trigger")
    name = names[one.target]
    if one.recovery is not None:
        kind = kind_of(one.recovery.kind)[0]
        return tr("recovered for “{name}”: {kind}", name=name, kind=kind)
    return tr("{trigger}, for “{name}”", trigger=one.key, name=name)


def _offer(box: ChoiceBox, texts: Sequence[str], at: int, name: str) -> None:
    """Show choices without a signal."""
    shown = [lines(text) for text in texts]
    if shown != [box.itemText(row) for row in range(box.count())]:
        box.clear()
        box.addItems(shown)
    box.setCurrentIndex(at)
    box.setAccessibleName(name)
    set_tip(box, f"{name}: {shown[at]}")
