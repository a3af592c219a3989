"""A CLIP model in the window, and the prompt templates that its head is made of."""

from __future__ import annotations

from pathlib import Path

import clip_files
import pytest
from driving import audit_of, dialog, find, open_paths, wait_well
from pytestqt.qtbot import QtBot

from bdshift.checkpoints.prompts import templates_of
from bdshift_gui.actions.scan import SCAN
from bdshift_gui.dialogs.prompts import PromptsDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.model_card import ModelCard
from bdshift_gui.widgets.card import Text


def head_of(card: ModelCard) -> str:
    """What the card says of the head."""
    rows = {key.text(): value.accessibleName() for key, value in card._rows._shown}
    return rows["Head"]


def shown(ask: PromptsDialog) -> str:
    return "\n".join(one.text() for one in ask.findChildren(Text) if not one.isHidden())


@pytest.mark.slow
def test_templates_are_changed_and_their_effect_is_shown(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    open_paths(qtbot, window, *clip_files.write_known(tmp_path))
    card = find(window, ModelCard)
    assert "from class names" in head_of(card)
    assert card.prompts.isHidden()
    room = card.width()
    SCAN.trigger(window.context)
    wait_well(qtbot, window)
    before = audit_of(window)
    assert "12 classes, 18 prompt templates" in head_of(card)
    assert card.details.isVisible()
    assert card.minimumSizeHint().width() <= room, "else the column is cut off"
    card.prompts.click()
    ask = dialog(qtbot, window, PromptsDialog)
    assert ask.templates == templates_of("cifar")
    ask.text.setPlainText("no place for a name")
    assert not ask.use.isEnabled()
    assert not ask.measure.isEnabled()
    assert "a prompt template has {} once" in shown(ask)
    ask.text.setPlainText("a sign: {}")
    assert "Such as: a sign: caution" in shown(ask)
    ask.measure.click()
    qtbot.waitUntil(lambda: "with these templates" in shown(ask), timeout=60_000)
    ask.use.click()
    wait_well(qtbot, window)
    after = audit_of(window)
    assert after.settings.prompts == ("a sign: {}",)
    assert after.model.prompts is not None
    assert after.model.prompts.templates == ("a sign: {}",)
    assert not (after.model.weight == before.model.weight).all()
    assert "12 classes, 1 prompt template" in head_of(card)
