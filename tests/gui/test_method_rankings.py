"""Other methods' rankings of the neurons, beside the shift."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from bdshift.audit.cleaning import clean_model
from bdshift.audit.rankings import method_rankings
from bdshift.purify import parse_method
from bdshift.store import load_audit, save_audit
from bdshift_gui.main_window import MainWindow


@pytest.fixture(scope="module")
def ranked_file(audit_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    audit = load_audit(audit_file)
    run = clean_model(audit, parse_method("clp"), 9)
    path = tmp_path_factory.mktemp("ranked") / "ranked.h5"
    save_audit(dataclasses.replace(audit, runs=(run,)), path)
    return path


def test_a_ranking_can_be_put_against_tac(
    window: MainWindow, qtbot: QtBot, ranked_file: Path
) -> None:
    window.commands.open(ranked_file)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=30_000)
    audit = window.session.state.audit
    assert audit is not None
    scatter, ranking = window.work.scatter, method_rankings(audit, 9)["clp"]
    assert not scatter.ranking.isHidden()
    assert [scatter.ranking.itemText(k) for k in range(2)] == ["y: shift", "y: clp"]
    before = np.array([row[2] for row in scatter._rows()[1:]])
    assert before == pytest.approx(audit.shifts.shift[9])
    scatter.ranking.setCurrentIndex(1)
    head, *rows = scatter._rows()
    assert list(head) == ["neuron", "tac", "clp", "selected"]
    assert np.array([row[2] for row in rows]) == pytest.approx(ranking)
    assert scatter.plot.getAxis("left").labelText == "neurons by clp"
    curves = window.work.agreement._rows()
    assert (len(curves[0]), curves[0][1], curves[0][3]) == (4, "shift", "clp")
    assert curves[-1][-1] == 1.0
    window.selection.select_class(0)
    assert scatter.ranking.isHidden(), "nobody purified toward class 0"
    assert np.array([row[2] for row in scatter._rows()[1:]]) == pytest.approx(audit.shifts.shift[0])
