"""The map of all pairs of classes, linked to the rest of the window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import audit_of, find, open_paths
from planted import clusters, embedding_of
from PySide6.QtCore import QPointF
from pytestqt.qtbot import QtBot

from bdshift.audit import Audit
from bdshift.detect.detector import Subject
from bdshift.detect.detectors.pairs import ClassPairs, Pairs
from bdshift.jobs import SILENT
from bdshift.store import save_audit
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.pairs import PairsView

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
    shown.quantity.choose("norm")
    shown.redraw()
    np.testing.assert_array_equal(shown._values, record.norm)
    assert len(shown._rows()) == 1 + 12 * 11


def test_without_pairs_it_stays_away(opened: MainWindow) -> None:
    assert opened.work is not None
    assert opened.work.docks["pairs"].isHidden()
    assert "not looked at" in find(opened, PairsView).title.text()
    assert len(find(opened, PairsView)._rows()) == 1
