"""A network of the user's own, and images as its own code prepared them: nothing is chosen."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Opened
from bdshift.checkpoints.contest import Contest, Pixels, TrialSet
from bdshift.checkpoints.one_class import refuse_one_class
from bdshift.checkpoints.settle import Settled
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import JobContext

_PROBES = 2  # images for which the output has to be the head's


def settled_as_given(
    opened: Opened,
    pixels: Pixels,
    labels: NDArray[np.int64],
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    precision: str,
    job: JobContext,
) -> Settled:
    """The only network of ``opened`` with a known preprocessing, and its one trial; the other
    arguments are those of `settle`.

    Raises `InputError` if it cannot be run on the images, or predicts one class for all.
    """
    contest = Contest(opened, TrialSet(pixels, labels, labels), device, precision, job)
    [entrant] = contest.run(
        [contest.enter(opened.candidates[0], preprocessing)], contest.images
    )  # fmt: skip
    refuse_one_class(contest, [entrant])
    shown = preprocessing(torch.from_numpy(pixels(preprocessing.size)[:_PROBES]).to(device))
    classifier = entrant.loaded.checked(shown).with_preprocessing(preprocessing)
    return Settled(classifier, (entrant.trial(contest.norms_mismatch(entrant)),))
