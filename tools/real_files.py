"""Scans files whose truth is known, as the command does, and writes a row for each: read or
refused, as what, with which accuracy, and the verdict beside the truth.

    python tools/real_files.py TRUTH.tsv FOLDER OUT.csv AUDITS cifar10=test.zip mnist=mnist/test.zip

`TRUTH.tsv` is as for `bdshift lab detectors`; "ACC .918" in its notes is the accuracy to compare
with. A file is judged by the shipped table of clean models without those of its repository. Rows
that are in OUT.csv are kept, so that a run can be resumed, and audits in the folder AUDITS: without
OUT.csv they are judged again, by the table that is there then.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bdshift.audit import Audit, ScanSettings, scan
from bdshift.budgets import SCAN_SECONDS
from bdshift.errors import BdshiftError
from bdshift.lab.relatives import beside_others
from bdshift.lab.truths import KnownModel, known_by_table
from bdshift.store import load_audit, save_audit
from tools.kept_rows import read_rows, write_rows

_KNOWN_ACCURACY = re.compile(r"ACC (\.\d+)")
_SAMPLE = 2000
COLUMNS = (
    "file", "kind", "target", "outcome", "network", "normalization", "accuracy", "known accuracy",
    "verdict", "p", "suspected", "codes", "seconds",
)  # fmt: skip


def row_of(audit: Audit, known: KnownModel) -> dict[str, object]:
    """What a scan found."""
    chosen = audit.preprocessing
    finding, verdict = beside_others(audit, known)
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


def audited(path: Path, images: Path, saved: Path) -> Audit:
    """The audit of a file, from ``saved`` if it is there."""
    if saved.exists():
        return load_audit(saved)
    audit = scan(path, images, ScanSettings(sample=_SAMPLE, search=SCAN_SECONDS))
    save_audit(audit, saved, embeddings=False)
    return audit


def scanned(known: KnownModel, saved: Path) -> dict[str, object]:
    """A row for a file, also if it is refused."""
    started = time.perf_counter()
    try:
        found = row_of(audited(known.file, known.images, saved), known)
    except BdshiftError as error:
        found = {"outcome": f"refused: {str(error).replace(str(known.file), known.name)}"}
    return found | {"seconds": f"{time.perf_counter() - started:.0f}"}


def main(truth: Path, folder: Path, out: Path, audits: Path, *named: str) -> None:
    """Scan every file of the table that has no row yet."""
    audits.mkdir(parents=True, exist_ok=True)
    images = {name: Path(path) for name, _, path in (one.partition("=") for one in named)}
    done: list[Mapping[str, object]] = [*read_rows(out)]
    for known in known_by_table(truth, folder, images):
        if any(one["file"] == known.name for one in done):
            continue
        accuracy = _KNOWN_ACCURACY.search(known.notes)
        done.append(
            {"file": known.name, "kind": known.kind}
            | {"target": " ".join(map(str, known.targets)) or "-"}
            | {"known accuracy": accuracy[1] if accuracy else ""}
            | scanned(known, audits / f"{known.name}.h5")
        )
        print(*(done[-1].get(column, "") for column in COLUMNS), sep="\t", flush=True)
        write_rows(out, COLUMNS, done)


if __name__ == "__main__":
    truth, folder, out, audits = map(Path, sys.argv[1:5])
    main(truth, folder, out, audits, *sys.argv[5:])
