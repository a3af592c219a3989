"""What suspects a class that a detector does not: a drawing of its scores marks the class, too."""

from __future__ import annotations

from bdshift.audit.facts import Judged
from bdshift.audit.records import Audit
from bdshift.words import Sentence, words

_MAX_CLASSES = 3  # named

SUSPECTED_ELSEWHERE = words(
    "No class stands out here; suspected {because}: {classes}",
    ja="ここではどのクラスも突出していません。{because}疑われるクラス：{classes}",
)
BY_TRIGGER = words("because of a recovered trigger", ja="復元したトリガーにより")
BY_DETECTORS = words("by {parties}", ja="{parties}により")
ONE_CLASS = words("“{name}”", ja="「{name}」")


def suspected_elsewhere(audit: Audit, judged: Judged) -> Sentence | None:
    """Which classes the finding suspects, and why, if ``judged``, of the same audit, suspects none
    of them; else None.
    """
    classes = audit.finding.suspected
    if not classes or set(classes) & set(judged.judgment.suspected):
        return None
    parties = tuple(Sentence(one.detector.label) for one in audit.judged if one.judgment.suspected)
    because = Sentence(BY_DETECTORS, {"parties": parties}) if parties else Sentence(BY_TRIGGER)
    names = [Sentence(ONE_CLASS, {"name": audit.images.class_names[i]}) for i in classes]
    listed = (*names[:_MAX_CLASSES], *["…"] * (len(names) > _MAX_CLASSES))
    return Sentence(SUSPECTED_ELSEWHERE, {"because": because, "classes": listed})
