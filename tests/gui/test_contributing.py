"""The examples for the window in CONTRIBUTING.md are one file each, which menus, palette and
workspace find; and what is registered in the library gets its form in the window automatically.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import do, workspace
from examples import added
from PySide6.QtWidgets import QLabel, QSpinBox
from pytestqt.qtbot import QtBot

from bdshift.triggers import TRIGGERS
from bdshift_gui import action, i18n, view
from bdshift_gui.action import all_actions
from bdshift_gui.dialogs.palette import Palette
from bdshift_gui.main_window import MainWindow
from bdshift_gui.view import all_views
from bdshift_gui.widgets.settings_form import SettingsForm


@pytest.fixture
def examples_added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Requested before ``window``, so that the window is created with the examples."""
    folder = tmp_path_factory.mktemp("added")
    before = len(all_actions()), len(all_views())
    with (
        added("bdshift_gui/actions/select_all.py", folder),
        added("bdshift_gui/views/accuracy.py", folder),
    ):
        yield
        action.forget("select_all")
        view.forget("accuracy")
    assert (len(all_actions()), len(all_views())) == before


def test_an_action(examples_added: None, opened: MainWindow, qtbot: QtBot) -> None:
    state = opened.session.state
    assert state.audit is not None
    in_menus = [
        entry.text()
        for top in opened.menuBar().actions()
        for entry in top.menu().actions()  # type: ignore[attr-defined]
    ]
    assert "Select all neurons" in in_menus
    palette = Palette(opened.context, next(one for one in all_actions() if one.menu is None))
    qtbot.addWidget(palette)
    palette.field.setText("all neurons")
    assert [palette.list.item(row).text() for row in range(palette.list.count())] == [
        "Select all neurons    Ctrl+Shift+N"
    ]
    do(opened, "select_all")
    chosen = opened.session.state.selection.neurons
    assert sorted(chosen) == list(range(state.audit.model.embedding_dim))
    i18n.Translators().use("ja")
    opened.actions_.retranslate()
    assert opened.actions_["select_all"].text() == "すべてのニューロンを選択"


def test_a_view(examples_added: None, opened: MainWindow) -> None:
    shown = workspace(opened)["accuracy"]
    audit = opened.session.state.audit
    assert audit is not None
    assert isinstance(shown, QLabel)
    assert shown.text() == f"{audit.accuracy:.1%}"
    dock = workspace(opened).docks["accuracy"]
    assert dock.windowTitle() == "Accuracy alone"


def test_an_attack_has_its_form(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    with added("core/bdshift/triggers/attacks/stripe.py", tmp_path):
        try:
            form = SettingsForm(window.context.ask)
            qtbot.addWidget(form)
            form.show_kind(TRIGGERS["stripe"], {})
            column = form.fields["column"]
            assert isinstance(column, QSpinBox)
            assert (column.minimum(), column.maximum()) == (0, 1023)
            column.setValue(7)
            assert TRIGGERS.parse(form.text()) == TRIGGERS.parse("stripe:column=7")
        finally:
            TRIGGERS.forget("stripe")
