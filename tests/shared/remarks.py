"""Remarks of findings."""

from __future__ import annotations

from bdshift.audit.beside import SECOND_STAGE_NOT_RUN
from bdshift.audit.finding import Finding
from bdshift.remark import Remark


def other_cautions(finding: Finding) -> list[Remark]:
    """The cautions besides the one that every audit without searches has: that there were none."""
    return [one for one in finding.cautions if one.code != SECOND_STAGE_NOT_RUN]
