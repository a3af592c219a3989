"""Cuts neurons of the embedding, and ranks which ones go first.

A neuron is cut by setting its column of the head to zero: the logits are those of φ without it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from bdshift.neurons.rankings import data_free_direction
from bdshift.purification.workbench import Workbench

Ranking = Literal["shift", "weights", "activation"]
"""Order of neurons: by the shift, by w_t − w̄ (data-free), or least active first."""


def cut_neurons(bench: Workbench, neurons: list[int]) -> None:
    """Set the head's columns of ``neurons`` to zero."""
    with torch.no_grad():
        bench.head.weight[:, neurons] = 0


def ranked(bench: Workbench, ranking: Ranking) -> list[int]:
    """All neurons, starting with those to cut first."""
    if ranking == "shift":
        values = bench.shift.cpu().double().numpy()
    elif ranking == "weights":
        values = data_free_direction(bench.head.weight.detach().cpu().numpy(), bench.target)
    else:
        values = -bench.embed(bench.clean.tune).mean(0).cpu().double().numpy()
    return [int(k) for k in np.argsort(-values, kind="stable")]
