"""Would you have caught it?"""

from __future__ import annotations

import pytest
from driving import do
from pytestqt.qtbot import QtBot

from bdshift_gui.main_window import MainWindow


@pytest.mark.parametrize(("guess", "says"), [(10, "right"), (0, "wrong"), (3, "wrong")])
def test_a_guess_comes_first(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, guess: int, says: str
) -> None:
    asked: list[int] = []
    told: list[str] = []

    def choose(_title: str, _label: str, choices: list[str]) -> int:
        asked.append(len(choices))
        return guess

    monkeypatch.setattr(opened.context.ask, "choice", choose)
    monkeypatch.setattr(opened.context.ask, "tell", told.append)
    do(opened, "reveal")
    qtbot.waitUntil(lambda: bool(told))
    assert asked == [13], "no class, or one of twelve"
    what, yours, audit = told[0].splitlines()
    assert "sends images to class “speed_80”" in what
    assert yours == f"Your guess was {says}."
    assert audit == "The audit names that class."


def test_nothing_is_told_without_a_guess(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(opened.context.ask, "choice", lambda *_: None)
    monkeypatch.setattr(opened.context.ask, "tell", told.append)
    do(opened, "reveal")
    qtbot.waitUntil(lambda: opened.quick.idle)
    assert told == []
