"""Things to try: the demo, and training a victim of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.files import usable
from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.tasks import scanning
from bdshift_gui.unsaved import may_replace

if TYPE_CHECKING:
    from bdshift.audit.truth import Truth

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


def _reveal(context: Context) -> None:
    """Ask first: would you have caught it?"""
    audit, path = context.state.original, context.state.model_path
    assert audit is not None
    assert path is not None

    def read() -> Truth:
        from bdshift.audit.truth import card_beside, read_truth

        return read_truth(card_beside(usable(path)))

    def show(truth: Truth) -> None:
        from bdshift.audit.truth import reveal

        names = list(audit.images.class_names)
        choices = [tr("none: it is clean"), *names]
        guess = context.ask.choice(
            tr("Reveal the truth"), tr("Which class is the target?"), choices
        )
        if guess is None:
            return
        right = (guess == 0) == (not truth.attack)
        anyone = guess == 0 or not truth.target
        right = right and (anyone or truth.is_target(audit, guess - 1))
        yours = tr("Your guess was right.") if right else tr("Your guess was wrong.")
        what, found = reveal(audit, truth)
        context.ask.tell(f"{say(what)}\n{yours}\n{say(found)}")

    def failed(error: Exception) -> None:
        context.ask.tell(say(sentence_of(error)))

    context.quick.ask("truth", read, show, failed)


DEMO = action(
    Action(
        "demo", words("Try the demo", ja="デモを試す"),
        words("Audit a model that really is backdoored.",
              ja="実際にバックドアの入ったモデルを監査します。"),
        "file", 130, _demo,
        starts=True,
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
action(
    Action(
        "reveal", words("Reveal the truth…", ja="正解を見る…"),
        words("Of a victim of the lab, or the demo: guess its target, then see what it is and "
              "whether the audit has found that.",
              ja="ラボの被害モデルやデモについて、標的を推測してから、"
                 "正解と、監査が見抜けたかを確かめます。"),
        "file", 142, _reveal, with_audit,
    )
)  # fmt: skip
