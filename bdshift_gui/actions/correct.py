"""Correct wrong guesses: the architecture, which model of the file, the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.actions.scan import scan_corrected
from bdshift_gui.context import Context
from bdshift_gui.session import State
from bdshift_gui.tasks.labeling import FolderClasses, list_folders
from bdshift_gui.tasks.opening import open_model
from bdshift_gui.unsaved import may_replace

if TYPE_CHECKING:
    from bdshift.checkpoints.users_own import Architecture


def _architecture(context: Context) -> None:
    from bdshift_gui.dialogs.architecture import ArchitectureDialog

    dialog = ArchitectureDialog(context, context.state)
    dialog.chosen.connect(lambda given: scan_corrected(context, **given))
    context.ask.show(dialog)


def _name_architecture(context: Context) -> None:
    from bdshift_gui.dialogs.architecture import ArchitectureDialog

    failure = context.state.failure
    path = None if failure is None else failure.path

    def use(arch: Architecture | None) -> None:
        ready = path is not None and not context.state.busy
        if path is not None and ready and may_replace(context, lambda: use(arch)):
            open_model(context, path, arch)

    dialog = ArchitectureDialog(context, None)
    dialog.chosen.connect(lambda given: use(given["arch"]))
    context.ask.show(dialog)


def other_models(state: State) -> tuple[str, ...]:
    """Models that can be opened instead: those in the file that could not be opened, else those in
    the one that is open.
    """
    if state.failure is not None and state.failure.choices:
        return state.failure.choices
    return () if state.model is None else state.model.description.other_models


def _which_model(context: Context) -> None:
    from bdshift_gui.dialogs.which_model import WhichModelDialog

    state, failure = context.state, context.state.failure
    several = failure is not None and bool(failure.choices)
    path = None if state.model is None else state.model.path
    if failure is not None and several:
        path = failure.path

    def use(weights: str) -> None:
        ready = path is not None and not context.state.busy
        if path is not None and ready and may_replace(context, lambda: use(weights)):
            open_model(context, path, weights=weights)

    dialog = WhichModelDialog(other_models(state), context.ask.parent)
    dialog.chosen.connect(use)
    context.ask.show(dialog)


def _labels(context: Context) -> None:
    from bdshift_gui.dialogs.labels import LabelsDialog

    def ask(known: FolderClasses) -> None:
        dialog = LabelsDialog(context, known)
        dialog.chosen.connect(lambda labels: scan_corrected(context, labels=labels))
        context.ask.show(dialog)

    list_folders(context, ask)


def _prompts(context: Context) -> None:
    from bdshift_gui.dialogs.prompts import PromptsDialog

    dialog = PromptsDialog(context)
    dialog.chosen.connect(lambda prompts: scan_corrected(context, prompts=prompts))
    context.ask.show(dialog)


def _has_prompts(state: State) -> bool:
    return state.audit is not None and state.audit.model.prompts is not None and not state.busy


def _details(context: Context) -> None:
    from bdshift_gui.dialogs.model_page import ModelPage

    model = context.state.model
    if model is not None:
        page = ModelPage(model.description, context)
        page.other_asked.connect(lambda: WHICH_MODEL.trigger(context))
        context.ask.show(page)


def _preprocessings(context: Context) -> None:
    from bdshift_gui.dialogs.pages import RankingPage

    audit = context.state.audit
    if audit is not None:
        page = RankingPage(audit, context)
        page.chosen.connect(lambda name: scan_corrected(context, normalize=name, fit=page.fit))
        context.ask.show(page)


def _has_model(state: State) -> bool:
    return (state.model is not None or state.audit is not None) and not state.busy


def _is_read(state: State) -> bool:
    return state.model is not None


def _has_labels(state: State) -> bool:
    return state.can_scan and state.labeled and not state.busy


def _has_trials(state: State) -> bool:
    return state.audit is not None and not state.busy


def _has_others(state: State) -> bool:
    return bool(other_models(state)) and not state.busy


def _is_unknown(state: State) -> bool:
    failure = state.failure
    if failure is None or failure.path is None:
        return False
    return failure.cause == "architecture" and not state.busy


ARCHITECTURE = action(
    Action(
        "correct_model", words("Change the architecture…", ja="アーキテクチャを変更…"),
        words("Choose another architecture.", ja="別のアーキテクチャを選びます。"),
        "file", 70, _architecture, _has_model,
        starts=True,
    )
)  # fmt: skip
LABELS = action(
    Action(
        "correct_labels", words("Change the classes…", ja="クラスの対応を変更…"),
        words("Assign each folder to one of the network's classes.",
              ja="どのフォルダーがネットワークのどのクラスかを指定します。"),
        "file", 80, _labels, _has_labels, remedy="classes",
    )
)  # fmt: skip
PROMPTS = action(
    Action(
        "correct_prompts",
        words("Change the prompt templates…", ja="プロンプトテンプレートを変更…"),
        words("Edit the prompt templates that a CLIP model's head is made of.",
              ja="CLIP モデルのヘッドを作るプロンプトテンプレートを編集します。"),
        "file", 85, _prompts, _has_prompts,
    )
)  # fmt: skip
PREPROCESSINGS = action(
    Action(
        "ranking", words("Preprocessing ranking…", ja="前処理の順位…"),
        words("See how each one scored, or rescan with another.",
              ja="それぞれの結果。別の前処理で再スキャンできます。"),
        "file", 90, _preprocessings, _has_trials,
    )
)  # fmt: skip
DETAILS = action(
    Action(
        "model_details", words("Checkpoint details…", ja="チェックポイントの詳細…"),
        words("Layers, other architectures that fit, ignored tensors, code that it references.",
              ja="層、ほかに合うアーキテクチャ、無視したテンソル、参照しているコード。"),
        "file", 100, _details, _is_read,
    )
)  # fmt: skip
WHICH_MODEL = action(
    Action(
        "choose_model", words("Choose the model…", ja="モデルを選ぶ…"),
        words("The file contains several models.", ja="ファイルに複数のモデルが入っています。"),
        None, 30, _which_model, _has_others, remedy="several",
    )
)  # fmt: skip
action(
    Action(
        "name_architecture", words("Specify the architecture…", ja="アーキテクチャを指定…"),
        words("Use the code of your own network.", ja="自分のネットワークのコードを使います。"),
        None, 40, _name_architecture, _is_unknown, remedy="architecture",
    )
)  # fmt: skip
