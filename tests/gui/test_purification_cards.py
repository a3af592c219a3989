"""What the page of purifications says of each copy, and its curves while one runs."""

from __future__ import annotations

from dataclasses import replace

import pyqtgraph as pg
import pytest
from driving import do, find
from pytestqt.qtbot import QtBot

from bdshift.audit.unfinished import PurificationRequest
from bdshift.jobs import Figures
from bdshift.purification.quantities import ASR
from bdshift.words import Sentence
from bdshift_gui.jobs.events import Progressed, Stepped, SteppedBefore
from bdshift_gui.main_window import MainWindow
from bdshift_gui.models import what_is_found
from bdshift_gui.pages import PurificationsPage
from bdshift_gui.views.purifications import PurificationsView


def test_a_card_says_what_the_copys_scan_found(purified: MainWindow) -> None:
    """A trigger that still works is never called nothing unusual."""
    view, state = find(purified, PurificationsView), purified.session.state
    works, original = state.purifications[1], state.original
    assert original is not None
    assert works.after.asr is not None
    assert works.after.asr > 0.8
    said = {one.verdict.accessibleName() for one in view.cards}
    assert "By the norms: nothing unusual" in said
    assert view.cards[1].verdict.accessibleName() != "By the norms: nothing unusual"
    calm = replace(works, rescan=state.purifications[0].rescan)
    assert str(what_is_found(calm).sentence) == "The trigger still works"
    assert str(what_is_found(replace(calm, after=state.purifications[0].after)).sentence) == (
        "By the norms: nothing unusual"
    )
    assert str(what_is_found(replace(calm, rescan=original)).sentence) == (
        "Still probably backdoored"
    )
    assert works.result.why_kept.render() == "it has one step, which was kept."
    assert "the best on the held-out images" in view.cards[0].toolTip()
    assert "\nIt has one step, which was kept.\n" in f"\n{view.cards[1].toolTip()}"
    for made in (works, calm, replace(works, rescan=original), *state.purifications):
        assert not str(what_is_found(made).sentence).endswith("."), "all in one form"


def test_curves_are_drawn_at_the_numbers_of_the_steps(opened: MainWindow) -> None:
    """After a resume, too; and no axis is drawn around nothing."""
    view, listen = find(opened, PurificationsView), opened._listener._happened
    asked = PurificationRequest("shift-tuning", 9, "", 0.2)
    opened.session.update(purifying=asked, page=PurificationsPage())
    listen(Progressed(0, Sentence("Measuring"), 1, 2, "images", None, 0.0))
    assert not view.curves.view.isVisible()
    assert view.curves._nothing.text().startswith("Measuring …")
    listen(SteppedBefore(0, (Figures(-1, 12, {ASR: 1.0}),)))
    assert view.curves.title.text() == "No step is finished yet"
    assert view.curves.view.isVisible()
    listen(SteppedBefore(0, (Figures(4, 12, {ASR: 0.9}),)))
    listen(Stepped(0, Figures(5, 12, {ASR: 0.8})))
    assert view.curves.title.text() == "Step 6 of 12"
    (curve,) = [one for one in view.curves.plot.items if isinstance(one, pg.PlotDataItem)]
    assert curve.xData.tolist() == [0, 5, 6]
    assert [row.split(",")[0] for row in view.curves.csv().splitlines()] == ["step", "0", "5", "6"]
    opened.session.update(purifying=None, steps=(), page=None)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_is_cut_off_in_the_smallest_window(
    purified: MainWindow, qtbot: QtBot, language: str
) -> None:
    do(purified, language)
    purified.session.update(page=PurificationsPage(), chosen=1)
    purified.resize(900, 600)
    view = find(purified, PurificationsView)
    qtbot.waitUntil(lambda: purified.pages.height() < 500)
    qtbot.wait(50)
    assert view.minimumSizeHint().height() <= purified.pages.height()
    for button in view.cards[0].buttons.values():
        assert button.width() >= button.sizeHint().width(), button.text()
