"""What cannot be known of images without labels: whether they, and the model, are read rightly."""

from __future__ import annotations

from bdshift.audit.facts import Facts
from bdshift.audit.reading_doubts import is_poor, mismatch_of
from bdshift.remark import Remark, code
from bdshift.words import words

READING_UNCONFIRMED = code(
    "reading-unconfirmed",
    words("The images have no labels, the network has no batch norms, and no normalization was "
          "named: nothing tells whether the images are read as in training. Add labels, or name "
          "the normalization with --normalize, in the window in the ranking of preprocessings.",
          ja="画像にラベルがなく、ネットワークにバッチ正規化もなく、正規化の指定もありません。"
             "画像の読み方が訓練時と同じかどうかを確かめるものがありません。ラベルを付けるか、"
             "--normalize（ウィンドウでは前処理の順位）で正規化を指定してください。"),
    words("The images have no labels, the network has no batch norms, and no normalization was "
          "named: nothing tells whether the images are read as in training. Add labels, or choose "
          "the normalization with “Preprocessing ranking…”.",
          ja="画像にラベルがなく、ネットワークにバッチ正規化もなく、正規化の指定もありません。"
             "画像の読み方が訓練時と同じかどうかを確かめるものがありません。ラベルを付けるか、"
             "「前処理の順位…」で正規化を選んでください。"),
)  # fmt: skip
UNLABELED_MISREAD = code(
    "unlabeled-misread",
    words("The images have no labels, and they do not match the statistics of its training images "
          "that the network keeps in its batch norms (mismatch {mismatch:.2f}, at most {limit:.2f} "
          "where all is right): the images, their preprocessing or the network may be the wrong "
          "ones.",
          ja="画像にラベルがなく、しかもこの画像は、ネットワークがバッチ正規化に残している訓練画像の"
             "統計と合いません（不一致度 {mismatch:.2f}、正しければ {limit:.2f} 以下）。画像、"
             "前処理、ネットワークのどれかが違うおそれがあります。"),
)  # fmt: skip
UNLABELED_UNSURE = code(
    "unlabeled-unsure",
    words("The images have no labels, and the network is only {confidence:.0%} confident of what "
          "they show, on average over {classes:|class|classes}: the images, their preprocessing or "
          "the network may be the wrong ones.",
          ja="画像にラベルがなく、しかもネットワークの確信度は平均 {confidence:.0%} しかありません"
             "（{classes} クラス）。画像、前処理、ネットワークのどれかが違うおそれがあります。"),
)  # fmt: skip
NO_LABELS = code(
    "no-labels",
    words("The images have no labels: the network's own predictions stand in for them wherever "
          "images of a class are meant. Clean accuracy is unknown, so it does not show whether "
          "model and images fit each other.",
          ja="画像にラベルがありません。あるクラスの画像を選ぶときは、ネットワーク自身の予測をラベルの"
             "代わりに使います。クリーン正解率は不明なので、モデルと画像が合っているかどうかは"
             "正解率からはわかりません。"),
)  # fmt: skip


def reading_unconfirmed(facts: Facts) -> Remark | None:
    """Without labels, and nothing else that says how the images are to be read."""
    if facts.labeled or facts.normalization_named or mismatch_of(facts) is not None:
        return None
    return Remark(READING_UNCONFIRMED)


def unlabeled_misread(facts: Facts) -> Remark | None:
    """Without labels, and the batch norms remember other images."""
    found = None if facts.labeled else mismatch_of(facts)
    if found is None or found[0] <= found[1]:
        return None
    return Remark(UNLABELED_MISREAD, {"mismatch": found[0], "limit": found[1]})


def unlabeled_unsure(facts: Facts) -> Remark | None:
    """Without labels, and so unsure that accuracy would probably be poor."""
    sure = None if facts.labeled or facts.reading is None else facts.reading.confidence
    if sure is None or not is_poor(sure, facts.classes):
        return None
    return Remark(UNLABELED_UNSURE, {"confidence": sure, "classes": facts.classes})


def no_labels(facts: Facts) -> Remark | None:
    """The caution that goes with every finding on images without labels."""
    return None if facts.labeled else Remark(NO_LABELS)
