"""Images without labels in the window: what is lost is said, what needs labels says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from driving import audit_of, dialog, do, find, open_paths, wait_well
from known import TARGET
from pytestqt.qtbot import QtBot

from bdshift_gui.actions.correct import LABELS
from bdshift_gui.dialogs.lab import LabDialog
from bdshift_gui.dialogs.pages import RankingPage
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.images_card import ImagesCard
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.widgets.card import KeyValueRows


@pytest.fixture
def flat(signs: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "clean"
    folder.mkdir()
    for number, path in enumerate(sorted(signs.rglob("*.png"))):
        shutil.copy(path, folder / f"{number * 7919 % 10007:05d}.png")
    return folder


def shown(rows: KeyValueRows) -> dict[str, str]:
    texts = {key.text(): value.accessibleName() for key, value in rows._shown}
    return {key: text.removeprefix(f"{key}: ") for key, text in texts.items()}


def test_they_are_scanned_and_the_card_says_what_is_lost(
    window: MainWindow, qtbot: QtBot, flat: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_paths(qtbot, window, flat)
    card = find(window, ImagesCard)
    images = str(len(list(flat.iterdir())))
    assert shown(card._rows) == {"Images": images, "Labels": "missing"}
    assert card._note.text().startswith("There are no labels")
    open_paths(qtbot, window, victim)
    do(window, "scan")
    wait_well(qtbot, window)
    audit = audit_of(window)
    assert audit.finding.classes == (TARGET,)
    assert shown(card._rows)["Clean accuracy"] == "unknown, no labels"
    assert "own predictions stand in for them" in find(window, FindingView).cautions.text()
    assert not LABELS.enabled(window.session.state)
    assert not card.correct.isVisible(), "no folders to assign"

    window.context.selection.select_class(TARGET)
    window.context.selection.select_neurons({3}, primary=3)
    wait_well(qtbot, window)
    rows = shown(find(window, InspectorView)._cut_rows)
    assert "Clean accuracy" not in rows
    assert rows["Predictions that stay"].endswith("%")

    told: list[str] = []
    monkeypatch.setattr(window.context.ask, "tell", told.append)
    do(window, "purify")
    assert len(told) == 1
    assert "its images have no labels, and this needs them" in told[0]
    assert not window.findChildren(PurifyDialog)

    do(window, "ranking")
    page = dialog(qtbot, window, RankingPage)
    cells = [page.table.text(0, column) for column in (1, 2)]
    assert cells == ["–", "–"]
    page.reject()


def test_a_victim_is_trained_on_drawn_signs_instead(
    window: MainWindow, qtbot: QtBot, flat: Path
) -> None:
    open_paths(qtbot, window, flat)
    do(window, "lab")
    asked = dialog(qtbot, window, LabDialog)
    assert asked._images is None
    assert asked.target.count() == 12
    asked.reject()
