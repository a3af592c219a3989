"""A trigger that is being recovered, or was: what it looks like, how large it is, what it does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from bdshift.text import figure, grouped
from bdshift_gui.actions.close_page import CLOSE_PAGE
from bdshift_gui.actions.purify import PURIFY
from bdshift_gui.actions.recover import REMOVE_RECOVERY, SAVE_TRIGGER, SHOW_MOVED
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks.gallery import show_gallery
from bdshift_gui.theme import Theme
from bdshift_gui.view import View, view
from bdshift_gui.widgets.before_after import ImagesBeforeAfter
from bdshift_gui.widgets.card import Card, KeyValueRows, Text, look
from bdshift_gui.widgets.class_sizes import ClassSize, ClassSizes, mask_image, smallest_first
from bdshift_gui.widgets.pictures import Picture
from bdshift_gui.widgets.recovery_words import kind_of, pictures_of, spent_on, times, what_it_does
from bdshift_gui.widgets.search_words import best_so_far, kinds_so_far
from bdshift_gui.widgets.size_curve import SizeCurve

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.gallery import Gallery
    from bdshift.jobs import Glimpse
    from bdshift.recovery.recovery import Recovery

_SIDES = ((1400, 288), (1000, 208), (0, 128))
"""Height of a window, in pixels, from which the large pictures have a side."""
_WIDE_WINDOW = 1500  # pixels, for two cards in a row
_NARROW_WINDOW = 1000  # pixels, below which the buttons are under the heading
_KINDS_WIDTH = 230  # beside the classes
_ANY_WIDTH = 2**24 - 1  # as Qt has it
_OF_RESULT = (PURIFY, SHOW_MOVED, SAVE_TRIGGER, REMOVE_RECOVERY)
_BUTTONS = (*_OF_RESULT, CLOSE_PAGE)
_MAX_ROWS = 5  # of classes that are shown without scrolling, once the search is over
_EVERY_CLASS = -1  # instead of a class, where none is asked about or suspected


@view
class RecoveryView(QWidget, View):
    """Replaces the plots while a recovered trigger, or a search for one, is shown."""

    key = "recovery"
    area = "page"
    place = 20
    reads = ("original", "audit", "recovering", "glimpse", "doing", "recovery", "job")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._state = State()
        self._looked_at: int | None = None  # the class whose pictures are large during a search
        self.setObjectName("plain")
        self.heading = Text("finding")
        self.buttons = {one.key: QPushButton() for one in _BUTTONS}
        self._head, head = QBoxLayout(QBoxLayout.Direction.LeftToRight), QHBoxLayout()
        self._head.addWidget(self.heading, 1)
        self._head.addLayout(head)
        head.addStretch(1)
        for one in _BUTTONS:
            self.buttons[one.key].clicked.connect(lambda _=False, one=one: one.trigger(context))
            head.addWidget(self.buttons[one.key])
        self.verdict, self.sentence = Text(), Text()
        self.trigger, self.picture, self.strength = Card(), Picture(), Picture()
        self.rows, self._kinds, self.kinds = KeyValueRows(), Text("muted"), KeyValueRows()
        pictures = QHBoxLayout()
        pictures.setSpacing(12)
        pictures.addWidget(self.picture)
        pictures.addWidget(self.strength)
        pictures.addStretch(1)
        self.trigger.body.addLayout(pictures)
        self._spent = Text("muted")
        self.trigger.body.addWidget(self.rows)
        self.trigger.body.addWidget(self._spent)
        self.trigger.body.addStretch(1)
        self.curve, self.images = SizeCurve(context), ImagesBeforeAfter()
        self._of: Gallery | None = None
        self.images.more.connect(self._show_all)
        self.listed, self.classes, self._axis = Card(), ClassSizes(), Text("muted")
        self.classes.picked.connect(self._look_at)
        self.listed.body.addWidget(self._axis)
        self._by_kind = QWidget()
        self._by_kind.setObjectName("plain")
        by_kind = QVBoxLayout(self._by_kind)
        by_kind.setContentsMargins(12, 0, 0, 0)
        by_kind.addWidget(self._kinds)
        by_kind.addWidget(self.kinds)
        by_kind.addStretch(1)
        self._sizes = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._sizes.addWidget(self.classes, 1)
        self._sizes.addWidget(self._by_kind)
        self.listed.body.addLayout(self._sizes, 1)
        self._middle = QHBoxLayout()
        self._middle.setSpacing(8)
        self._middle.addWidget(self.trigger)
        self._middle.addWidget(self.curve, 1)
        self._lower = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._lower.addWidget(self.images, 3)
        self._lower.addWidget(self.listed, 2)
        self._beside = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        for box in (self._lower, self._beside):
            box.setSpacing(8)
        self._beside.addLayout(self._middle)
        self._beside.addLayout(self._lower)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(self._head)
        column.addWidget(self.verdict)
        column.addWidget(self.sentence)
        column.addLayout(self._beside, 1)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.curve.paint(theme)
        self.classes.paint(theme)

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """While there is something to show."""
        return state.recovery is not None and state.original is not None

    def heightForWidth(self, width: int) -> int:
        """The minimum, as the scroll area asks for it."""
        layout = self.layout()
        assert layout is not None
        return layout.totalMinimumHeightForWidth(width)

    def show_state(self, state: State) -> None:
        """Show the search that is running, or a recovered trigger."""
        before, self._state = self._state, state
        if state.original is None or state.recovery is None:
            return
        same = state.recovery == before.recovery and state.job is before.job
        watched = state.glimpse is not before.glimpse or state.doing is not before.doing
        if state.recovery and same and watched:
            return  # only what a search for another finds is new
        if state.recovering is not before.recovering:
            self._looked_at = None
        words = {
            SHOW_MOVED.key: tr("Its neurons"), SAVE_TRIGGER.key: tr("Save…"),
            REMOVE_RECOVERY.key: tr("Remove"),
        }  # fmt: skip
        for one in _BUTTONS:
            self.buttons[one.key].setText(words.get(one.key, tr(one.text)))
            set_tip(self.buttons[one.key], tr(one.tip))
            self.buttons[one.key].setEnabled(one.enabled(state))
        over = state.recovery > 0
        for one in _OF_RESULT:
            self.buttons[one.key].setVisible(over)
        for part in (self.curve, self.images):
            part.setVisible(over)
        self._arrange()
        if over:
            self._show_recovery(state.original, state.recoveries[state.recovery - 1])
        else:
            self._show_search(state)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Use the room there is: for larger pictures, and for two cards in a row."""
        ways, over = QBoxLayout.Direction, bool(self._state.recovery)
        wide = self.width() >= _WIDE_WINDOW
        height = self.window().height()
        side = next(side for least, side in _SIDES if height >= least)
        self.picture.set_side(side)
        self.strength.set_side(side)
        self.trigger.setFixedWidth(2 * side + 38)
        narrow = self.window().width() < _NARROW_WINDOW
        self._head.setDirection(ways.TopToBottom if narrow else ways.LeftToRight)
        below = narrow and not over
        self._sizes.setDirection(ways.TopToBottom if below else ways.LeftToRight)
        self._by_kind.setMinimumWidth(0 if below else _KINDS_WIDTH)
        self._by_kind.setMaximumWidth(_ANY_WIDTH if below else _KINDS_WIDTH)
        self._lower.setDirection(ways.LeftToRight if over and wide else ways.TopToBottom)
        self._beside.setDirection(ways.TopToBottom if over else ways.LeftToRight)
        self._beside.setStretch(0, int(over and wide))
        self._beside.setStretch(1, int(not (over and wide)))

    def _look_at(self, index: int) -> None:
        self._looked_at = index
        if self._state.recovery == 0:
            self._show_search(self._state)
        else:
            self._context.selection.select_class(index)

    # While it runs

    def _show_search(self, state: State) -> None:
        """Every class with its smallest change so far; large, the one that was clicked."""
        audit, glimpse, request = state.original, state.glimpse, state.recovering
        assert audit is not None
        names = audit.images.class_names
        target = next(iter(audit.finding.classes), _EVERY_CLASS)
        if request is not None and request.target is not None:
            target = request.target
        source = None if request is None else request.source
        if target == _EVERY_CLASS:
            heading = tr("Recovering a trigger: every class is tried")
        elif source is not None and source >= 0:
            heading = tr("Recovering a trigger from “{source}” to “{name}”",
                         source=names[source], name=names[target])  # fmt: skip
        else:
            heading = tr("Recovering a trigger for “{name}”", name=names[target])
        self.heading.show_text(heading)
        self.sentence.show_text("" if state.doing is None else say(state.doing))
        look(self.verdict, "")
        if glimpse is None:
            self.listed.title.show_text(tr("Smallest change so far, by class"))
            self.verdict.show_text(tr("What the search finds appears here while it runs."))
            self.trigger.hide()
            self._by_kind.hide()
            self.classes.show_sizes((), target, "")
            self._axis.show_text("")
            return
        kind, unit = kind_of(glimpse.kind)
        self.listed.title.show_text(tr("{kind}: smallest change so far, by class", kind=kind))
        asked = None if target == _EVERY_CLASS else target
        self.verdict.show_text(best_so_far((*state.glimpsed, glimpse), asked, names))
        finished = kinds_so_far(state.glimpsed, asked, names)
        self._by_kind.setVisible(bool(finished))
        self._kinds.show_text(tr("Others need, by kinds that are finished:"))
        self.kinds.show_rows(finished)
        found = _sizes_in(glimpse, audit)
        self._show_classes(found, target, unit)
        by_index = {one.index: one for one in found}
        first = by_index.get(target) or smallest_first(found, target)[0]
        one = by_index.get(-1 if self._looked_at is None else self._looked_at, first)
        self._show_pictures(one, kind)
        self._spent.show_text("")
        size = tr("not reached yet") if math.isinf(one.size) else _size(one.size)
        self.rows.show_rows(
            [(tr("Smallest size"), size, unit),
             (tr("Recent success"), percent(one.success),
              tr("Share of recent images of other classes that it sends to the class."))]
        )  # fmt: skip

    def _show_classes(self, found: list[ClassSize], target: int, unit: str) -> None:
        self._axis.show_text(
            tr("Smallest first; {unit}, × the first's, on a logarithmic axis · success", unit=unit)
            if target == _EVERY_CLASS
            else tr("The class asked about, then the smallest first; {unit}, × the first's, on a "
                    "logarithmic axis · success", unit=unit)
        )  # fmt: skip
        self.classes.show_sizes(found, target, unit)

    def _show_pictures(self, one: ClassSize, kind: str) -> None:
        self.trigger.show()
        self.trigger.title.show_text(one.name)
        there = one.picture is not None and one.strength is not None
        self.picture.show_pixels(
            one.picture, tr("picture"), tr("What the change looks like: {kind}.", kind=kind)
        )
        self.strength.show_pixels(
            None if one.strength is None else mask_image(one.strength), tr("where it acts"),
            tr("How much it changes every pixel: white is most."),
        )  # fmt: skip
        self.picture.setVisible(there)
        self.strength.setVisible(there)

    # Afterward

    def _show_recovery(self, audit: Audit, found: Recovery) -> None:
        from bdshift.audit.gallery import galleries
        from bdshift.audit.recovered import fact_of
        from bdshift.reports.recovery_words import verdict

        names = audit.images.class_names
        name, attempt = names[found.target], found.attempt
        kind, unit = kind_of(found.kind)
        self.heading.show_text(
            tr("Recovered trigger for “{name}”", name=name)
            if found.source < 0
            else tr("Recovered trigger from “{source}” to “{name}”", source=names[found.source],
                    name=name)
        )  # fmt: skip
        fact = fact_of(found)
        self.verdict.show_text(say(verdict(fact)))
        look(self.verdict, "triggered" if fact.confirms else "muted")
        look(self.buttons[PURIFY.key], "primary" if fact.confirms else "")
        self.sentence.show_text(what_it_does(found, names))
        picture, strength = pictures_of(found)
        ours = ClassSize(
            found.target, name, attempt.target.size, attempt.target.asr, picture, strength
        )
        self._show_pictures(ours, kind)
        self.trigger.title.show_text(kind)
        self.rows.show_rows(self._figures(found, names, unit))
        self._spent.show_text(spent_on(found))
        self._show_kinds(found)
        self.curve.show_attempt(attempt, names, unit)
        known = galleries(audit)
        self._of = next((one for one in known if one.recovery is found), None)
        self.images.show_gallery(self._of, names)
        self.images.all.setEnabled(not self._state.shown)  # the trigger is of the original
        beside = found.pictures_beside() if found.is_known else {}
        controls = [
            ClassSize(
                one.target, names[one.target], one.size, one.asr,
                *beside.get(one.target, (None, None)),
            )
            for one in attempt.controls
        ]  # fmt: skip
        self.listed.title.show_text(tr("The same effort for control classes"))
        self._show_classes([ours, *controls], found.target, unit)
        count = min(len(controls) + 1, _MAX_ROWS)
        self.classes.setMinimumHeight(self.classes.height_of(count))

    def _show_all(self) -> None:
        if self._of is not None and not self._context.state.shown:
            show_gallery(self._context, self._of.which, only=self.images.which.now)

    def _show_kinds(self, found: Recovery) -> None:
        """How each kind that was tried compares with control classes, if there were several."""
        self._by_kind.setVisible(len(found.attempts) > 1)
        self._kinds.show_text(tr("Control classes need, by kind:"))
        about = tr("How many times as much a control class needs as this class.")
        self.kinds.show_rows(
            [(kind_of(one.kind)[0], times(one.drop), about) for one in found.attempts]
        )

    def _figures(self, found: Recovery, names: tuple[str, ...], unit: str) -> list[Row]:
        attempt = found.attempt
        rows = [
            (tr("Attack success"), percent(found.asr),
             tr("On {count:|image|images} of other classes that the search did not use.",
                count=found.images)),
            (tr("Smallest size"), _size(attempt.target.size),
             tr("The smallest that sends 80% of unused images to the class: {unit}.", unit=unit)),
            (tr("Controls"), _size(attempt.control_size(0.8)),
             tr("Median size of the smallest change toward a control class.")),
            (tr("Transfer"), percent(found.transfer),
             tr("Attack success on images of classes that the search did not see.")),
            (tr("On all images"), percent(found.tac.asr),
             tr("Attack success on all clean images of other classes.")),
            (tr("Time"), f"{figure(found.seconds, '.3g')} s",
             tr("{forwards} images forward, {backwards} backward; seed {seed}",
                forwards=grouped(sum(one.forwards for one in found.attempts)),
                backwards=grouped(sum(one.backwards for one in found.attempts)),
                seed=found.seed)),
        ]  # fmt: skip
        if found.source >= 0:
            back = math.nan if found.reverse is None else found.reverse.size
            rows.insert(3, (tr("The other way"), _size(back),
                            tr("The smallest change from the class to the source. It is "
                               "as small if the two are merely alike.")))  # fmt: skip
            rows[1:1] = [
                (tr("Source"), names[found.source], tr("The only class that it was searched on.")),
                (tr("Other classes"), percent(found.elsewhere),
                 tr("Attack success on images of all other classes: low if the trigger is for the "
                    "source alone.")),
            ]  # fmt: skip
        return rows


Row = tuple[str, str, str]


def _sizes_in(glimpse: Glimpse, audit: Audit) -> list[ClassSize]:
    names = audit.images.class_names
    return [
        ClassSize(
            index, names[index], float(glimpse.sizes[row]), float(glimpse.success[row]),
            glimpse.pictures[row], glimpse.strengths[row],
        )
        for row, index in enumerate(glimpse.targets.tolist())
    ]  # fmt: skip


def _size(value: float) -> str:
    return tr("not reached") if math.isinf(value) else figure(value, ".3g")
