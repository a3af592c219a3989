"""Some neurons as CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bdshift.csv_data import csv_text
from bdshift.neurons.tac import Tac


@dataclass(frozen=True)
class NeuronRow:
    """A neuron: its shift, and its TAC and signed change, None where they are not known."""

    neuron: int
    shift: float
    tac: float | None = None
    signed: float | None = None


def neurons_list(
    shift: NDArray[np.float64], tac: Tac | None, neurons: Sequence[int]
) -> list[NeuronRow]:
    """A row for each of ``neurons``; ``shift`` (d,) is that to the class of ``tac``."""
    return [
        NeuronRow(k, float(shift[k]))
        if tac is None
        else NeuronRow(k, float(shift[k]), float(tac.change[k]), float(tac.signed[k]))
        for k in neurons
    ]


def neurons_csv(rows: Sequence[NeuronRow]) -> str:
    """Rows as CSV."""
    names = [one.name for one in fields(NeuronRow)]
    return csv_text([names, *(asdict(row).values() for row in rows)])


def neurons_list_json(rows: Sequence[NeuronRow], target: int, alpha: float) -> str:
    """Rows as JSON, with the class and α that they belong to."""
    about = {"class": target, "alpha": alpha, "neurons": [asdict(row) for row in rows]}
    return json.dumps(about, indent=2) + "\n"
