"""The map of all pairs of classes, linked to the rest of the window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import audit_of, do, find, open_paths, recovered, wait, wait_well
from planted import clusters, embedding_of
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from bdshift.audit import Audit
from bdshift.detect.detector import Subject
from bdshift.detect.detectors.pairs import ClassPairs, Pairs
from bdshift.jobs import SILENT
from bdshift.store import save_audit
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import RecoveryRequest
from bdshift_gui.tasks import recovering
from bdshift_gui.tasks.showing import set_alpha, show_audit
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.pairs import PairsView
from bdshift_gui.views.scatter import ScatterView

NEXT = [(i + 1) % 12 for i in range(12)]


@pytest.fixture(scope="module")
def attacked_file(measured_audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    logits, labels, weight = clusters(12, dim=24, drawn=NEXT)
    names = measured_audit.images.class_names
    subject = Subject(embedding_of(logits, labels, 24), weight.astype(np.float32), names)
    evidence = (measured_audit.evidence[0], Pairs().detect(subject, SILENT))
    path = tmp_path_factory.mktemp("attacked") / "attacked.h5"
    save_audit(replace(measured_audit, evidence=evidence), path)
    return path


def scene_place(shown: PairsView, source: int, target: int) -> QPointF:
    place: QPointF = shown.plot.vb.mapViewToScene(QPointF(target, source))
    return place


def test_every_pair_is_a_square_that_selects_its_target(
    window: MainWindow, qtbot: QtBot, attacked_file: Path
) -> None:
    open_paths(qtbot, window, attacked_file)
    shown = find(window, PairsView)
    assert window.work is not None
    assert not window.work.docks["pairs"].isHidden()
    record, names = audit_of(window).evidence[1].record, audit_of(window).images.class_names
    assert isinstance(record, ClassPairs)
    assert f"{names[0]} → {names[1]}" in shown.title.text()
    assert sorted(zip(*shown._map.getData(), strict=True)) == sorted(
        (target, source) for source, target in enumerate(NEXT)
    )
    place = scene_place(shown, 3, 7)
    assert shown.pair_at(place) == (3, 7)
    assert shown.pair_at(scene_place(shown, 5, 5)) is None
    shown._moved(place)
    assert f"{names[3]} → {names[7]}" in shown.view.toolTip()
    shown.context.selection.select_class(7)
    assert shown._column.getRegion() == (6.5, 7.5)
    assert not shown._row.isVisible(), "a class alone is no pair"
    assert not shown.recover.isVisible()
    shown.quantity.choose("norm")
    shown.redraw()
    np.testing.assert_array_equal(shown._values, record.norm)
    assert len(shown._rows()) == 1 + 12 * 11


def test_a_pair_is_selected_everywhere_and_recovered_in_one_click(
    window: MainWindow, qtbot: QtBot, attacked_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RecoveryRequest] = []
    monkeypatch.setattr(recovering, "recover", lambda _, request: asked.append(request))
    open_paths(qtbot, window, attacked_file)
    shown, names = find(window, PairsView), audit_of(window).images.class_names
    place = shown.view.mapFromScene(scene_place(shown, 3, 7))
    QTest.mouseClick(shown.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    now = window.session.state.selection
    assert (now.source, now.class_index) == (3, 7)
    assert shown._row.getRegion() == (2.5, 3.5)
    assert shown.title.text().startswith(f"{names[3]} → {names[7]} · L2 ")
    assert f"“{names[7]}”" in find(window, ScatterView)._axes[1]
    assert shown.recover.isVisible()
    assert shown.recover.isEnabled()
    shown.recover.click()
    assert asked == [RecoveryRequest(7, "", 60.0, 0, 3)]
    window.context.selection.select_neurons([1, 2])
    do(window, "undo")
    assert window.session.state.selection.source == 3, "undo leaves the pair as it is"
    window.context.selection.select_class(2)
    assert not shown.recover.isVisible()


def test_the_pairs_worth_trying_are_offered(
    window: MainWindow, qtbot: QtBot, attacked_file: Path
) -> None:
    open_paths(qtbot, window, attacked_file)
    shown, record = find(window, PairsView), audit_of(window).evidence[1].record
    assert isinstance(record, ClassPairs)
    offered = [shown.worth.itemData(row) for row in range(1, shown.worth.count())]
    assert offered == record.candidates()
    shown.worth.activated.emit(1)
    now = window.session.state.selection
    assert (now.source, now.class_index) == offered[0]
    assert shown.worth.currentIndex() == 1
    do(window, "ja")
    assert "試す" in shown.worth.itemText(0)
    assert shown.worth.currentIndex() == 1


def test_a_thousand_classes_are_drawn_once(opened: MainWindow, qtbot: QtBot) -> None:
    """A million squares are not painted again with every class that is selected."""
    audit, count = audit_of(opened), 1000
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(count, count))
    record = ClassPairs(
        norm=np.exp(residual), exact=False, images=np.ones(count, np.int64), residual=residual,
        deviation=1.0, best=np.full(count, -1), mean=0.0, p_directions=1.0, p_places=1.0,
        mean_next=0.0, p_next=1.0, draws=1,
    )  # fmt: skip
    directed = residual - residual.T
    pairs = replace(audit.evidence[0], detector="pairs", scores=directed.min(0), pairs=directed,
                    record=record)  # fmt: skip
    names = tuple(f"class {i}" for i in range(count))
    rows = np.arange(count) % 12
    model = replace(audit.model, weight=audit.model.weight[rows], bias=audit.model.bias[rows])
    shifts = audit.shifts
    first = replace(
        audit.evidence[0], scores=shifts.l2[rows],
        record=replace(
            shifts, l2=shifts.l2[rows], shift=shifts.shift[rows], loss=shifts.loss[rows],
            lower=shifts.lower[rows], kkt=shifts.kkt[rows], multiplier=shifts.multiplier[rows],
            status=shifts.status[:1] * count,
        ),
    )  # fmt: skip
    show_audit(opened.context, replace(
        audit, tac=(), embedding=None, evidence=(first, pairs), model=model,
        images=replace(audit.images, class_names=names, counts=(1,) * count),
    ))  # fmt: skip
    shown = find(opened, PairsView)
    assert shown._values.shape == (count, count)
    assert shown.worth.count() == 1 + len(record.candidates())
    painted: list[object] = []
    shown._image.sigImageChanged.connect(lambda: painted.append(1))
    shown.worth.activated.emit(1)
    now = opened.session.state.selection
    assert (now.source, now.class_index) == record.candidates()[0]
    assert shown.title.text().startswith(f"class {now.source} → class {now.class_index} · ")
    assert not painted
    shown.quantity.choose("norm")
    shown.redraw()
    assert painted


def test_without_pairs_it_stays_away(opened: MainWindow) -> None:
    assert opened.work is not None
    assert opened.work.docks["pairs"].isHidden()
    assert "not looked at" in find(opened, PairsView).title.text()
    assert len(find(opened, PairsView)._rows()) == 1


def test_pairs_can_be_looked_at(opened: MainWindow, qtbot: QtBot) -> None:
    shown = find(opened, PairsView)
    assert opened.work is not None
    set_alpha(opened.context, 0.2)
    wait(qtbot, opened)
    opened.work.docks["pairs"].show()
    assert shown.look.isVisible()
    shown.look.click()
    wait_well(qtbot, opened)
    state = opened.session.state
    assert state.original is not None
    for audit in (state.original, state.audit):
        assert audit is not None
        assert isinstance(audit.evidence[-1].record, ClassPairs)
        assert len(audit.settings.detectors) == len(audit.evidence) == 2
    assert audit_of(opened).shifts.alpha == 0.2
    assert state.modified
    assert not shown.look.isVisible()
    assert shown._values.shape == (12, 12)
    assert find(opened, ClassView).detector.count() == 2
    recovered(opened)
    assert len(audit_of(opened).evidence) == 2
