"""Looks at the pairs of classes of models whose truth is known, and writes a row for each.

    python tools/pairs_table.py OUT.csv TRUTH.tsv FOLDER cifar10=test.zip mnist=mnist/test.zip
    python tools/pairs_table.py OUT.csv ZOO test.zip

`TRUTH.tsv` is as for `bdshift lab detectors`. `ZOO` holds folders of `bdshift lab train`, all
trained on images like those in test.zip. Rows that are in OUT.csv are kept, so that a run can be
resumed; delete it to begin again.

Columns: `mean` of A along the best map and `mean_next` along that of every class to the next, in
deviations; their p by each null, and `p` of both; `map`, the target of each class; `A` and `R`, the
lowest pairs, source>target and their values, each in its own robust deviations.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.audit import Audit, ScanSettings, scan
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.detectors.pairs import ClassPairs, Pairs
from bdshift.errors import BdshiftError
from bdshift.lab.truths import known_by_table
from tools.kept_rows import read_rows, write_rows

_SAMPLE = 2500
_MAX_PAIRS = 3
COLUMNS = (
    "model", "kind", "truth", "accuracy", "mean", "p_directions", "p_places", "mean_next",
    "p_next", "p", "map", "A", "R", "verdict", "seconds",
)  # fmt: skip


def lowest(values: NDArray[np.float64]) -> str:
    """The lowest pairs of a matrix."""
    order = np.argsort(values, axis=None, kind="stable")[:_MAX_PAIRS]
    places = (np.unravel_index(i, values.shape) for i in order)
    return " ".join(f"{i}>{j}:{values[i, j]:.2f}" for i, j in places)


def row_of(audit: Audit) -> dict[str, object]:
    """What was found."""
    found = audit.evidence[1]
    record = found.record
    assert isinstance(record, ClassPairs)
    assert found.pairs is not None
    judged = audit.judged[1].judgment
    spread = 1.4826 * float(np.nanmedian(np.abs(record.residual)))
    return {
        "accuracy": f"{audit.accuracy:.3f}",
        "mean": f"{record.mean:.2f}",
        "p_directions": f"{record.p_directions:.3f}",
        "p_places": f"{record.p_places:.3f}",
        "mean_next": f"{record.mean_next:.2f}",
        "p_next": f"{record.p_next:.3f}",
        "p": f"{record.map.p:.3f}",
        "map": " ".join(map(str, record.map.targets.tolist())),
        "A": lowest(found.pairs),
        "R": lowest(record.residual / spread),
        "verdict": "a map stands out" if judged.suspected else "nothing",
        "seconds": f"{found.seconds:.1f}",
    }


def real(truth: Path, folder: Path, *named: str) -> Iterator[tuple[dict[str, object], Path, Path]]:
    """Model, images and truth of every file of a table."""
    images = {name: Path(path) for name, _, path in (one.partition("=") for one in named)}
    for one in known_by_table(truth, folder, images):
        target = " ".join(map(str, one.targets)) or "-"
        yield {"model": one.name, "kind": one.kind, "truth": target}, one.file, one.images


def trained(zoo: Path, images: str) -> Iterator[tuple[dict[str, object], Path, Path]]:
    """The same of every folder of a zoo."""
    for card in sorted(zoo.glob("*/card.json")):
        recipe = json.loads(card.read_text("utf-8"))["recipe"]
        attack = recipe["attack"]
        truth = f"{attack}; {recipe['source'] or 'all'} to {recipe['target'] or 'the next'}"
        known = {"model": card.parent.name, "kind": recipe["labels"] if attack else "clean"}
        yield known | {"truth": truth if attack else "-"}, card.with_name("model.pth"), Path(images)


def main(out: Path, *args: str) -> None:
    """Look at every model that has no row yet."""
    done: list[Mapping[str, object]] = [*read_rows(out)]
    first, second, *named = args
    table = first.endswith(".tsv")
    models = real(Path(first), Path(second), *named) if table else trained(Path(first), second)
    for known, model, images in models:
        if any(one["model"] == known["model"] for one in done):
            continue
        settings = ScanSettings(sample=_SAMPLE, detectors=(EmbeddingShift(), Pairs()))
        try:
            done.append(known | row_of(scan(model, images, settings)))
        except BdshiftError as error:
            done.append(known | {"verdict": f"refused: {str(error).replace(str(model), '')}"})
        print(*(done[-1].get(column, "") for column in COLUMNS), sep="\t", flush=True)
        write_rows(out, COLUMNS, done)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
