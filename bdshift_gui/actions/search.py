"""Search for triggers of every class, compare the evidence with clean models, those whose truth is
known or one of the user's, and look at it.
"""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, always
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.pages import EvidencePage
from bdshift_gui.session import State
from bdshift_gui.tasks import searching


def _not_searched(state: State) -> bool:
    """Enabled with an audit of the original model that has embeddings and no searches."""
    audit = state.audit
    if audit is None or audit.embedding is None or state.shown or state.busy:
        return False
    return not audit.is_searched and not state.to_search


def _after_scans(context: Context) -> None:
    compares = not context.state.compares
    context.settings.compares = compares
    context.session.update(compares=compares)


def _has_evidence(state: State) -> bool:
    return state.audit is not None and state.audit.verdict is not None


def _show(context: Context) -> None:
    context.turn_to(EvidencePage())


def _is_searched(state: State) -> bool:
    """Enabled with an audit of the original model that was searched."""
    return state.audit is not None and state.audit.is_searched and not (state.shown or state.busy)


def _compare_with(context: Context) -> None:
    path = context.ask.file(tr("Choose a clean model of the same task"))
    if path is not None and _is_searched(context.state):
        searching.compare_with(context, path)


SEARCH = action(
    Action(
        "search",
        words("Compare with clean models", ja="クリーンなモデルと比較"),
        words("Search for small changes of the images that send them to each class, and compare "
              "what is found with clean models. It takes half a minute for a small network, about "
              "three minutes for others, and up to twice that to confirm an unusual class.",
              ja="画像を各クラスに誘導する小さな変化を探し、結果をクリーンなモデルと比較します。"
                 "小さなネットワークなら 30 秒、ほかは 3 分ほど、"
                 "異常なクラスの裏付けが必要なら最大でその 2 倍かかります。"),
        "neurons", 11, lambda context: searching.search(context), _not_searched,
        starts=True,
    )
)  # fmt: skip
action(
    Action(
        "search_after_scans",
        words("Compare after every scan", ja="スキャンのたびに比較"),
        words("Compare every scan with clean models by itself. Anything else that you start goes "
              "first.",
              ja="スキャンのたびに自動でクリーンなモデルと比較します。ほかの操作が優先されます。"),
        "neurons", 15, _after_scans, always, checked=lambda state: state.compares,
    )
)  # fmt: skip
SHOW_EVIDENCE = action(
    Action(
        "show_evidence", words("Show the evidence", ja="証拠を表示"),
        words("Show each kind of evidence beside that of clean models, and how right p is.",
              ja="証拠を種類ごとにクリーンなモデルと並べ、p の信頼性とともに表示します。"),
        "neurons", 12, _show, _has_evidence, "Ctrl+Shift+E",
    )
)  # fmt: skip
REFERENCE = action(
    Action(
        "reference",
        words("Compare with a clean model…", ja="参照モデルと比較…"),
        words("Search a model of the same task that you know to be clean in the same way. What is "
              "easy to reach there, too, is no evidence.",
              ja="クリーンと分かっている同じタスクのモデルを同じ方法で調べます。"
                 "そこでも到達しやすいクラスは、証拠に数えません。"),
        "neurons", 14, _compare_with, _is_searched,
    )
)  # fmt: skip
