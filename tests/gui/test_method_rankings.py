"""Other methods' rankings of the neurons, alongside the shift."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from driving import audit_of, find, open_paths, workspace
from known import TARGET
from pytestqt.qtbot import QtBot

from bdshift.audit import Audit, Material
from bdshift.audit.purifying import purify_model
from bdshift.audit.rankings import method_rankings
from bdshift.purification import METHODS
from bdshift.store import save_audit
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.agreement import AgreementView
from bdshift_gui.views.scatter import ScatterView


@pytest.fixture(scope="module")
def ranked_file(
    measured_audit: Audit, victim_material: Material, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    made = purify_model(measured_audit, victim_material, METHODS.parse("clp"), TARGET)
    path = tmp_path_factory.mktemp("ranked") / "ranked.h5"
    save_audit(dataclasses.replace(measured_audit, purifications=(made,)), path)
    return path


def test_a_ranking_can_be_put_against_tac(
    window: MainWindow, qtbot: QtBot, ranked_file: Path
) -> None:
    open_paths(qtbot, window, ranked_file)
    audit = audit_of(window)
    scatter, ranking = find(window, ScatterView), method_rankings(audit, 9)["clp"]
    assert not scatter.ranking.isHidden()
    assert [scatter.ranking.itemText(k) for k in range(2)] == ["y: shift", "y: clp"]
    before = np.array([row[2] for row in scatter._rows()[1:]])
    assert before == pytest.approx(audit.shifts.shift[9])
    scatter.ranking.setCurrentIndex(1)
    head, *rows = scatter._rows()
    assert list(head) == ["neuron", "tac", "clp", "selected"]
    assert np.array([row[2] for row in rows]) == pytest.approx(ranking)
    assert scatter.plot.getAxis("left").labelText == "clp score"
    workspace(window).docks[AgreementView.key].show()
    curves = list(find(window, AgreementView)._rows())
    assert (len(curves[0]), curves[0][1], curves[0][3]) == (4, "shift", "clp")
    assert curves[-1][-1] == 1.0
    window.context.selection.select_class(0)
    assert scatter.ranking.isHidden(), "nobody purified toward class 0"
    assert np.array([row[2] for row in scatter._rows()[1:]]) == pytest.approx(audit.shifts.shift[0])
