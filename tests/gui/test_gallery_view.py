"""The page of the images, the whole screen, and the picture of why on the finding's card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import audit_of, do, find, recovered, wait_well, workspace
from known import TARGET
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from bdshift.audit.gallery import FILTERS, ORDERS, PARTS
from bdshift.words import Sentence
from bdshift_gui.ask import Ask
from bdshift_gui.gallery_wish import GalleryWish
from bdshift_gui.main_window import MainWindow
from bdshift_gui.pages import GalleryPage
from bdshift_gui.tasks.gallery import show_gallery
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.gallery import GalleryView
from bdshift_gui.widgets.full_screen import FullScreenImage
from bdshift_gui.widgets.gallery_shots import GalleryShots


def gallery(window: MainWindow) -> GalleryView:
    """The page, open at the trigger that was measured."""
    do(window, "show_gallery")
    view = find(window, GalleryView)
    assert window.pages.currentWidget() is workspace(window).pages["gallery"]
    return view


def shots(view: GalleryView) -> GalleryShots:
    assert view.shots is not None
    return view.shots


def wish(window: MainWindow) -> GalleryWish:
    found = window.session.state.gallery
    assert found is not None
    return found


def test_it_opens_at_what_the_trigger_does(opened: MainWindow) -> None:
    view = gallery(opened)
    tac = audit_of(opened).tac[-1]
    assert (wish(opened).which, wish(opened).only) == ((tac.trigger, TARGET), "sent")
    assert tac.triggered is not None
    labels = tac.triggered.labels
    sent = np.flatnonzero((labels != TARGET) & (tac.triggered.logits.argmax(1) == TARGET))
    assert sorted(view.rows) == sent.tolist()
    assert view.rows[0] == sent[0]
    classes = len(np.unique(labels[sent]))
    assert len(np.unique(labels[view.rows[:classes]])) == classes, "the first are of all classes"
    assert view.grid.shots.rowCount() == len(sent)
    shot = shots(view).shot(0)
    assert len(shot.pictures) == 2
    assert np.array_equal(shot.pictures[1], tac.triggered.thumbnails[sent[0]])
    assert shot.caption.endswith("\n→ speed_80")
    assert f"{len(sent):,} of {len(labels):,} images" in view.bar.count.text()
    do(opened, "close_page")
    assert opened.pages.currentWidget() is workspace(opened).plots


def test_every_wish_can_be_made(opened: MainWindow) -> None:
    view = gallery(opened)
    for at, name in enumerate(FILTERS):
        view.bar.only.setCurrentIndex(at)
        view.bar.only.activated.emit(at)
        assert wish(opened).only == name
        assert (view.about.text() == "No image is like that.") == (not view.rows)
    view.bar.only.activated.emit(0)
    view.bar.label.activated.emit(3)
    clean = audit_of(opened).embedding
    assert clean is not None
    assert set(clean.labels[view.rows].tolist()) == {2}
    for place, name in enumerate(PARTS):
        view.bar.parts._buttons[name].click()
        assert len(shots(view).shot(0).pictures) == place + 1
    view.bar.which.activated.emit(0)
    assert (wish(opened).which[0], len(shots(view).shot(0).pictures)) == ("clean", 1)
    view.bar.which.activated.emit(1)
    view.bar.only.activated.emit(list(FILTERS).index("sent"))
    view.bar.which.activated.emit(0)
    assert wish(opened).only == "all", "clean images are sent nowhere"


def test_neurons_sort_the_images(opened: MainWindow) -> None:
    view = gallery(opened)
    opened.context.selection.select_neurons([7], primary=7)
    view.bar.order.activated.emit(list(ORDERS).index("neurons"))
    tac = audit_of(opened).tac[-1]
    assert tac.triggered is not None
    assert np.all(np.diff(tac.triggered.phi[view.rows, 7]) <= 0)
    opened.context.selection.select_neurons([], primary=None)
    assert view.bar.order.count() == len(ORDERS) - 1
    of_each = len(np.unique(tac.triggered.labels[view.rows]))
    first = tac.triggered.labels[view.rows[:of_each]]
    assert len(np.unique(first)) == of_each, "no neuron is left to sort by: one of each class"


def test_pictures_are_as_large_as_wanted(opened: MainWindow) -> None:
    view = gallery(opened)
    sizes = []
    for side in (64, 256):
        view.bar.sides.moved.emit(side)
        assert view.grid.side == side
        sizes.append(view.grid.cell_size())
    assert sizes[0].width() >= 2 * 64
    assert sizes[1].width() >= 2 * 256


def test_where_neurons_look(opened: MainWindow, qtbot: QtBot) -> None:
    view = gallery(opened)
    plain = shots(view).shot(0)
    neuron = int(audit_of(opened).shifts.shift[TARGET].argmax())
    opened.context.selection.select_neurons([neuron], primary=neuron)
    view.bar.order.activated.emit(list(ORDERS).index("neurons"))
    view.map.click()
    wait_well(qtbot, opened)
    heat = opened.session.state.heat
    assert heat is not None
    assert list(heat.rows) == view.rows[: len(heat.rows)]
    assert not view.bar.opacity.isHidden()
    first = shots(view).shot(0)
    assert first.about != plain.about
    _, after = first.pictures
    tac = audit_of(opened).tac[-1]
    assert tac.triggered is not None
    unheated = tac.triggered.thumbnails[view.rows[0]].astype(int)
    assert (after != unheated).any()
    assert view.map.isChecked()
    view.map.click()
    assert np.array_equal(shots(view).shot(0).pictures[1], unheated), "without the map"
    assert not view.map.isChecked()
    assert not opened.session.state.busy
    view.map.click()
    assert not opened.session.state.busy, "the maps are still there"
    assert np.array_equal(shots(view).shot(0).pictures[1], after)
    view.bar.opacity.moved.emit(0.0)
    assert np.array_equal(shots(view).shot(0).pictures[1], unheated)
    opened.context.selection.select_neurons([neuron, 3], primary=neuron)
    assert shots(view).heat is None, "that was of another selection"


def test_the_images_are_written(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery(opened)
    path = tmp_path / "images.png"
    monkeypatch.setattr(Ask, "where", lambda *_: path)
    do(opened, "save_sheet")
    wait_well(qtbot, opened)
    with Image.open(path) as drawn:
        assert drawn.width > 200
    assert opened.session.state.written == path


# --- on the whole screen


def enlarged(window: MainWindow, place: int) -> FullScreenImage:
    gallery(window).grid.opened.emit(place)
    [found] = window.findChildren(FullScreenImage)
    return found


def test_keys_lead_through_the_images(opened: MainWindow) -> None:
    shown, view = enlarged(opened, 2), find(opened, GalleryView)
    assert shown.shot.about == shots(view).shot(2).about
    for key, place in (
        (Qt.Key.Key_Right, 3), (Qt.Key.Key_Left, 2), (Qt.Key.Key_Home, 0), (Qt.Key.Key_Left, 0),
        (Qt.Key.Key_End, len(view.rows) - 1), (Qt.Key.Key_Right, len(view.rows) - 1),
    ):  # fmt: skip
        QTest.keyClick(shown, key)
        assert shown.place == place
    assert shown.windowTitle() == shots(view).shot(shown.place).caption.replace("\n", " ")
    pictures = [shown._alone]
    for _ in range(3):
        QTest.keyClick(shown, Qt.Key.Key_Tab)
        pictures.append(shown._alone)
    assert pictures == [-1, 0, 1, -1]
    shown.grab()
    QTest.keyClick(shown, Qt.Key.Key_Escape)
    assert not shown.isVisible()


def test_what_is_read_too_late_is_not_shown(opened: MainWindow) -> None:
    shown, view = enlarged(opened, 2), find(opened, GalleryView)
    late = replace(shots(view).shot(2), about="sharp")
    shown.sharpen(2, late)
    assert shown.shot.about == "sharp"
    shown.show_place(3)
    shown.sharpen(2, late)
    shown.explain(2, "gone")
    assert shown.shot.about == shots(view).shot(3).about
    assert not shown._why_not
    shown.reject()


def test_what_is_shown_stays_whole_when_the_gallery_closes(opened: MainWindow) -> None:
    shown = enlarged(opened, 2)
    before = shown.shot.about
    do(opened, "close_page")
    show_audit(opened.context, replace(audit_of(opened), tac=(), recoveries=()))
    QTest.keyClick(shown, Qt.Key.Key_Right)
    QTest.keyClick(shown, Qt.Key.Key_Left)
    assert shown.shot.about == before
    shown.grab()
    shown.reject()


def test_the_place_that_is_looked_at_stays(opened: MainWindow, qtbot: QtBot) -> None:
    view = gallery(opened)
    view.bar.sides.moved.emit(256.0)
    qtbot.wait(50)  # it is laid out, and scrolled to where it was
    assert view.grid.verticalScrollBar().maximum() > 600
    view.grid.verticalScrollBar().setValue(500)
    view.grid.setCurrentIndex(view.grid.shots.index(3, 0))
    was = view.grid.verticalScrollBar().value()
    opened.context.start(Sentence("Scanning"), lambda _: None, lambda _: None)
    wait_well(qtbot, opened)
    assert view.grid.verticalScrollBar().value() == was
    assert view.grid.currentIndex().row() == 3


def test_a_removed_trigger_takes_its_page_along(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recovered(opened)
    show_gallery(opened.context, (found.tac.trigger, TARGET))
    assert wish(opened).which[0] == found.tac.trigger
    monkeypatch.setattr(opened.context.ask, "confirm", lambda _: True)
    do(opened, "remove_recovery")
    assert opened.session.state.gallery is None


def test_nothing_is_saved_of_an_empty_page(
    opened: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery(opened)
    opened.session.update(page=GalleryPage(replace(wish(opened), label=TARGET)))
    assert find(opened, GalleryView).rows == []
    assert not find(opened, GalleryView).save.isEnabled()
    monkeypatch.setattr(Ask, "where", lambda *_: tmp_path / "images.png")
    do(opened, "save_sheet")
    assert opened.message.text() == "No image is like that."
    assert not (tmp_path / "images.png").exists()


def test_a_wish_that_fits_no_trigger_shows_all(opened: MainWindow) -> None:
    show_gallery(opened.context, ("clean", -1), only="stay")
    assert wish(opened).only == "all"


# --- on the finding's card


def test_the_finding_shows_why(opened: MainWindow) -> None:
    card = find(opened, FindingView)
    assert card.picture.isVisible()
    assert "without and with the trigger" in card.shows.text()
    assert "→ speed_80" in card.picture.accessibleName()
    QTest.mouseClick(card.picture, Qt.MouseButton.LeftButton)
    assert wish(opened).which[1] == TARGET
    assert opened.pages.currentWidget() is workspace(opened).pages["gallery"]


def test_without_a_trigger_there_is_no_picture(opened: MainWindow) -> None:
    original = opened.session.state.original
    assert original is not None
    show_audit(opened.context, replace(original, tac=(), recoveries=()))
    card = find(opened, FindingView)
    assert not card.picture.isVisible()
    assert not card.shows.isVisible()
