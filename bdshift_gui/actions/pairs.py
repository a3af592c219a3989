"""Look at pairs of classes, and recover the trigger of one."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.session import RecoveryRequest, State
from bdshift_gui.tasks import pairing, recovering


def _without_pairs(state: State) -> bool:
    """Enabled with an audit of the original model that has embeddings and no pairs."""
    audit = state.audit
    if audit is None or audit.embedding is None or state.shown or state.busy:
        return False
    from bdshift.detect.detectors.pairs import Pairs  # takes torch, which the first paint must not

    return all(one.name != Pairs.name for one in audit.evidence)


def _with_pair(state: State) -> bool:
    """Enabled with a pair of classes of the original model, while no job is running."""
    chosen = state.selection.source is not None and state.selection.class_index is not None
    return with_audit(state) and chosen and not state.shown


def _recover_pair(context: Context) -> None:
    target, source = context.state.selection.class_index, context.state.selection.source
    assert source is not None
    recovering.recover(context, RecoveryRequest(target, source=source))


LOOK_AT_PAIRS = action(
    Action(
        "look_at_pairs", words("Look at pairs of classes", ja="クラスの組を調べる"),
        words("Solve the shift from every class to every other, for attacks that send only some "
              "classes, or each to another one.",
              ja="各クラスから他の各クラスへのシフトを求めます。一部のクラスだけを対象とする攻撃や、"
                 "クラスごとに標的が異なる攻撃のためです。"),
        "neurons", 8, lambda context: pairing.look_at_pairs(context), _without_pairs,
        starts=True,
    )
)  # fmt: skip
RECOVER_PAIR = action(
    Action(
        "recover_pair", words("Recover this pair’s trigger", ja="この組のトリガーを復元"),
        words("Search for a trigger that sends images of the pair’s source to its target. Click a "
              "square of “Pairs of classes” first.",
              ja="組のソースクラスの画像を標的に誘導するトリガーを探します。"
                 "先に「クラスの組」のマスをクリックします。"),
        "neurons", 9, _recover_pair, _with_pair,
    )
)  # fmt: skip
