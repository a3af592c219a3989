"""The p of the test for a map of all classes, on audits that `bdshift lab detectors` left.

    python tools/map_tests.py OUT.csv FOLDER...

A scan calls a map unusual at p < 0.005.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bdshift import load_audit
from bdshift.audit.more_evidence import look_further
from bdshift.detect.detectors.pairs import Pairs
from bdshift.detect.rule import default_rule
from tools.kept_rows import write_rows

COLUMNS = ("audit", "classes", "accuracy", "p")


def rows(folders: Sequence[Path]) -> Iterator[dict[str, object]]:
    """One for each audit with embeddings."""
    detector = Pairs()
    for path in sorted(one for folder in folders for one in folder.glob("*.h5")):
        audit = load_audit(path)
        judged = detector.judge_evidence(look_further(audit, detector), default_rule())
        yield {
            "audit": path.stem, "classes": audit.model.classes,
            "accuracy": f"{audit.accuracy:.4f}", "p": f"{judged.p:.4g}",
        }  # fmt: skip


if __name__ == "__main__":
    out, *folders = map(Path, sys.argv[1:])
    write_rows(out, COLUMNS, list(rows(folders)))
