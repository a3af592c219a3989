"""Things to try: the demo, and training a victim of your own."""

from __future__ import annotations

from pathlib import Path

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.tasks import scanning
from bdshift_gui.unsaved import may_replace

LAB_FOLDER = "bdshift-lab"
"""Where victims go, in the home folder."""


def _demo(context: Context) -> None:
    if not context.state.busy and may_replace(context, lambda: _demo(context)):
        scanning.demo(context)


def _lab(context: Context) -> None:
    def find() -> Path:
        from bdshift_gui.dialogs.lab import free_folder

        return free_folder(Path.home() / LAB_FOLDER)

    def show(folder: Path) -> None:
        if context.state.busy:
            return
        from bdshift_gui.dialogs.lab import LabDialog, VictimRequest

        def start(asked: VictimRequest) -> None:
            if not context.state.busy and may_replace(context, lambda: start(asked)):
                scanning.try_attack(context, asked.recipe, asked.images, asked.folder)

        dialog = LabDialog(context, folder)
        dialog.chosen.connect(start)
        context.ask.show(dialog)

    context.quick.ask("lab", find, show)


DEMO = action(
    Action(
        "demo", words("Try the demo", ja="デモを試す"),
        words("Audit a model that really is backdoored.",
              ja="実際にバックドアの入ったモデルを監査します。"),
        "file", 130, _demo,
    )
)  # fmt: skip
LAB = action(
    Action(
        "lab", words("Train a victim…", ja="被害モデルを訓練…"),
        words("Poison your own images, train on them, audit the result: would you have caught it?",
              ja="自分の画像を汚染して訓練し、その結果を監査します。見抜けたでしょうか？"),
        "file", 140, _lab, shortcut="Ctrl+L",
    )
)  # fmt: skip
