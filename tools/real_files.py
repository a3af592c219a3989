"""Scans files whose truth is known, as the command does, and writes a row for each: read or
refused, as what, with which accuracy, and the verdict beside the truth.

    python tools/real_files.py TRUTH.tsv FOLDER OUT.csv cifar10=test.zip mnist=mnist/test.zip

`TRUTH.tsv` is as for `bdshift lab detectors`; "ACC .918" in its notes is the accuracy to compare
with. Rows that are in OUT.csv are kept, so that a run can be resumed; delete it to begin again.
"""

from __future__ import annotations

import csv
import re
import sys
import time
from pathlib import Path

from bdshift.audit import Audit, ScanSettings, scan
from bdshift.audit.recovering import DEFAULT_BUDGET
from bdshift.errors import BdshiftError
from bdshift.lab.truths import known_by_table

_KNOWN_ACCURACY = re.compile(r"ACC (\.\d+)")
_SAMPLE = 2000
COLUMNS = (
    "file", "kind", "target", "outcome", "network", "normalization", "accuracy", "known accuracy",
    "verdict", "p", "suspected", "codes", "seconds",
)  # fmt: skip


def row_of(audit: Audit) -> dict[str, object]:
    """What a scan found."""
    chosen = audit.preprocessing
    finding, verdict = audit.finding, audit.verdict
    return {
        "outcome": "read",
        "network": audit.model.architecture,
        "normalization": chosen.normalization.name,
        "accuracy": f"{audit.accuracy:.4f}",
        "verdict": finding.level,
        "p": "" if verdict is None else f"{verdict.standing.p:.3f}",
        "suspected": " ".join(map(str, finding.suspected)),
        "codes": " ".join(one.code for one in (*finding.reasons, *finding.cautions)),
    }


def scanned(path: Path, images: Path) -> dict[str, object]:
    """A row for a file, also if it is refused."""
    started = time.perf_counter()
    try:
        found = row_of(scan(path, images, ScanSettings(sample=_SAMPLE, search=DEFAULT_BUDGET)))
    except BdshiftError as error:
        found = {"outcome": f"refused: {str(error).replace(str(path), path.name)}"}
    return found | {"seconds": f"{time.perf_counter() - started:.0f}"}


def main(truth: Path, folder: Path, out: Path, *named: str) -> None:
    """Scan every file of the table that has no row yet."""
    images = {name: Path(path) for name, _, path in (one.partition("=") for one in named)}
    done: list[dict[str, object]] = []
    if out.exists():
        with out.open(newline="", encoding="utf-8") as stream:
            done.extend(csv.DictReader(stream))
    for known in known_by_table(truth, folder, images):
        if any(one["file"] == known.name for one in done):
            continue
        accuracy = _KNOWN_ACCURACY.search(known.notes)
        done.append(
            {"file": known.name, "kind": known.kind}
            | {"target": " ".join(map(str, known.targets)) or "-"}
            | {"known accuracy": accuracy[1] if accuracy else ""}
            | scanned(known.file, known.images)
        )
        print(*(done[-1].get(column, "") for column in COLUMNS), sep="\t", flush=True)
        with out.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(done)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
