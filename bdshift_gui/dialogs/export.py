"""The selected neurons as CSV or JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from bdshift_gui.selection import Selection
from bdshift_gui.session import State


def write_selection(path: Path, state: State, selection: Selection) -> None:
    """One row a selected neuron: number, shift, TAC and signed change where they are known.

    Raises `OSError` if it cannot be written.
    """
    assert state.shifts is not None
    assert selection.class_index is not None
    shift = state.shifts.shift[selection.class_index]
    rows = []
    for k in sorted(selection.neurons):
        row: dict[str, float | int] = {"neuron": k, "shift": float(shift[k])}
        if state.tac is not None and state.tac.target == selection.class_index:
            row |= {"tac": float(state.tac.change[k]), "signed": float(state.tac.signed[k])}
        rows.append(row)
    if path.suffix.lower() == ".json":
        about = {"class": selection.class_index, "alpha": state.alpha, "neurons": rows}
        path.write_text(json.dumps(about, indent=2), encoding="utf-8")
        return
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["neuron"])
        writer.writeheader()
        writer.writerows(rows)
