"""What the reader should know about how a model was read."""

from __future__ import annotations

from collections.abc import Sequence

from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.layout import PROGRAMS
from bdshift.checkpoints.names import foreign
from bdshift.remark import Remark, code
from bdshift.words import words

_MAX_NAMED = 4

TENSORS_IGNORED = code(
    "tensors-ignored",
    words("{count:|tensor|tensors} that the network does not use {count:~|was|were} ignored: "
          "{names}.",
          ja="ネットワークが使わないテンソル {count} 個を無視しました：{names}。"),
)  # fmt: skip
OTHER_MODELS = code(
    "other-models",
    words("The file holds other models, too ({names}). Only the chosen one was audited.",
          ja="このファイルにはほかのモデルもあります（{names}）。監査したのは選んだものだけです。"),
)  # fmt: skip
SOFTMAX_INSIDE = code(
    "softmax-inside",
    words("The network ends in a softmax; its logits are taken before it.",
          ja="ネットワークの最後はソフトマックスです。ロジットはその手前で取ります。"),
)  # fmt: skip
ONE_OUTPUT = code(
    "one-output",
    words("Its head has one output, read as two classes: below and above zero.",
          ja="ヘッドの出力は 1 つです。0 より小さい側と大きい側の 2 クラスとして読みます。"),
)  # fmt: skip
HOLDS_PROGRAM = code(
    "holds-program",
    words("The file contains a program, which was not examined and may do something other than "
          "its weights say. Exported in its original format, it keeps that program.",
          ja="このファイルにはプログラムが含まれます。中は調べておらず、重みと違う動作をするかも"
             "しれません。元の形式で書き出すと、そのまま残ります。"),
)  # fmt: skip
NAMES_CODE = code(
    "names-code",
    words("The file references code that torch.load would import and run ({names}). None of it "
          "was run here.",
          ja="このファイルは torch.load がインポートして実行するコードを参照しています（{names}）。"
             "ここでは何も実行していません。"),
)  # fmt: skip


BY_RANGE = code(
    "black-and-white-by-range",
    words("The images were normalized in a way that nobody named. The lowest value of each channel "
          "counts as black and the highest as white. Name the normalization, and searches use the "
          "real ones.",
          ja="画像の正規化の方法が指定されていません。各チャンネルの最小値を黒、最大値を白とみなしました。"
             "正規化を指定すると、探索では実際の黒と白を使います。"),
)  # fmt: skip
FOLDERS_LEFT_OUT = code(
    "folders-left-out",
    words("{count:|folder|folders} of images {count:~|was|were} left out, as asked: {names}.",
          ja="指定により、画像フォルダー {count} 個を除きました：{names}。"),
)  # fmt: skip


def reading_notes(opened: Opened, chosen: Classifier, left_out: Sequence[str] = ()) -> list[Remark]:
    """All notes, the most important first; ``left_out`` are folders that the user left out."""
    found = []
    if left_out:
        found.append(Remark(FOLDERS_LEFT_OUT, {"count": len(left_out), "names": _some(left_out)}))
    if opened.ignored:
        values = {"count": len(opened.ignored), "names": _some(opened.beside)}
        found.append(Remark(TENSORS_IGNORED, values))
    if opened.state.layout.others:
        found.append(Remark(OTHER_MODELS, {"names": _some(opened.state.layout.others)}))
    if chosen.one_output:
        found.append(Remark(ONE_OUTPUT))
    elif chosen.softmax_inside:
        found.append(Remark(SOFTMAX_INSIDE))
    if opened.file.container in PROGRAMS:
        found.append(Remark(HOLDS_PROGRAM))
    strange = foreign(opened.file.names)
    if strange:
        found.append(Remark(NAMES_CODE, {"names": _some(strange)}))
    return found


def _some(names: Sequence[str]) -> tuple[str, ...]:
    more = ("…",) if len(names) > _MAX_NAMED else ()
    return (*names[:_MAX_NAMED], *more)
