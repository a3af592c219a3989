"""Which of the networks that the weights fit is one that was audited."""

from __future__ import annotations

from bdshift.checkpoints.classifier import Opened
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.recognize import named


def as_audited(opened: Opened, architecture: str, *, own: bool) -> Candidate | None:
    """The candidate of that name; of the user's ``own`` network, the only one there is. None if the
    weights do not fit it.
    """
    return opened.candidates[0] if own else named(opened.candidates, architecture)
