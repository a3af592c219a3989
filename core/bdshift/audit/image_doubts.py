"""Whether the clean images are enough for a comparison with clean models, and of the right classes:
evidence from fewer or others than those models were searched with is not like theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

from bdshift.audit.facts import Facts
from bdshift.detect.inversion import InversionDetector
from bdshift.recovery.presence import ENOUGH_OWN
from bdshift.remark import Remark, code
from bdshift.words import words

_LEAST_UNUSED = 30
"""Images of other classes that a change to a class is measured on. A share of 80% of so many is
known to within 15% (two standard errors), so that it can be told from 95%, the next level at which
sizes are measured. Of fewer, a size may be that of another level.
"""

TOO_FEW_TO_MEASURE = code(
    "too-few-to-measure",
    words("Of {images:|image|images}, {unused:|is|are} left to measure on how many a change works, "
          "where {least} are needed to tell a success of 80% from one of 95%: the sizes of changes "
          "cannot be compared with those in clean models. About {wanted} images would do.",
          ja="画像 {images} 枚では、変化が効く割合を測定するために残るのは {unused} 枚です。"
             "80% と 95% を区別するには {least} 枚が必要なため、変化の大きさをクリーンなモデルと"
             "比較できません。{wanted} 枚ほどあれば足ります。"),
)  # fmt: skip
SUSPECT_WITHOUT_IMAGES = code(
    "suspect-without-images",
    words("Class {index} “{name}” has no clean images. So nothing tells whether its own images "
          "look by nature as if the change to it had been made to them; if they do, a clean "
          "model has the same evidence. Add images of that class.",
          ja="クラス {index}「{name}」にはクリーン画像がないため、このクラスの画像がもともと、変化"
             "が加わったように見えるのかどうかを調べられません。もともとそう見えるなら、クリーンな"
             "モデルでも同じ証拠が出ます。このクラスの画像を追加してください。"),
)  # fmt: skip
SUSPECT_WITH_FEW_IMAGES = code(
    "suspect-with-few-images",
    words("Class {index} “{name}” has {count:|clean image|clean images}, too few to tell whether "
          "they look by nature as if the change to it had been made to them; it takes {least}.",
          ja="クラス {index}「{name}」のクリーン画像は {count} 枚で、もともとこのクラスへの変化が"
             "加わったように見えるのかどうかを調べるには足りません（{least} 枚必要です）。"),
)  # fmt: skip


def in_turn(counts: Sequence[int], places: int) -> list[int]:
    """How many images of each class a search takes: one of each class in turn, as long as there are
    places and images.
    """
    taken = [0] * len(counts)
    while left := [one for one, count in enumerate(counts) if count > taken[one]][:places]:
        for index in left:
            taken[index] += 1
        places -= len(left)
    return taken


def too_few_to_measure(facts: Facts) -> Remark | None:
    """Too few images for the sizes of changes."""
    searches = [] if facts.verdict is None else [
        one.detector.images for one in facts.verdict.kinds
        if isinstance(one.detector, InversionDetector)
    ]  # fmt: skip
    if not searches:
        return None
    taken = in_turn(facts.counts, min(searches))
    unused = (sum(taken) - max(taken)) // 2  # half is measured on, but for the class's own
    if unused >= _LEAST_UNUSED:
        return None
    share = unused / facts.images
    wanted = -(-_LEAST_UNUSED // share) if share else min(searches)
    return Remark(
        TOO_FEW_TO_MEASURE,
        {"images": facts.images, "unused": unused, "least": _LEAST_UNUSED,
         "wanted": int(min(wanted, *searches))},
    )  # fmt: skip


def suspect_without_images(facts: Facts) -> Remark | None:
    """A class is suspected beside clean models, and none that anything suspects has images."""
    suspected = () if facts.verdict is None else facts.verdict.suspected
    if not suspected or any(facts.counts[i] for i in facts.suspected):
        return None
    return Remark(SUSPECT_WITHOUT_IMAGES, _named(suspected[0], facts))


def suspect_with_few_images(facts: Facts) -> Remark | None:
    """The class that is suspected first has images, but too few to look at."""
    suspected = () if facts.verdict is None else facts.verdict.suspected
    if not suspected or not 0 < facts.counts[suspected[0]] < ENOUGH_OWN:
        return None
    count = facts.counts[suspected[0]]
    return Remark(
        SUSPECT_WITH_FEW_IMAGES, _named(suspected[0], facts) | {"count": count, "least": ENOUGH_OWN}
    )


def _named(index: int, facts: Facts) -> dict[str, object]:
    return {"index": index, "name": facts.class_names[index]}
