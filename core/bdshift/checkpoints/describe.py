"""What a checkpoint holds, for a person to check before anything is done with it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.recognise import find_candidates
from bdshift.errors import InputError
from bdshift.jobs import SILENT, JobContext


def describe(
    model: str | Path, *, arch: str | None = None, job: JobContext = SILENT
) -> tuple[dict[str, Any], InputError | None]:
    """What a checkpoint holds, as plain values, and the error if its architecture is not known.

    ``arch`` is as `find_candidates` has it.

    Raises `InputError` if it cannot be read, or holds no weights, `UsageError` if ``arch`` cannot
    be used.
    """
    file = read_checkpoint(model, job=job)
    state = find_state_dict(file)
    shapes = state.shapes()
    found: dict[str, Any] = {
        "path": str(file.path),
        "sha256": file.sha256,
        "bytes": file.size,
        "format": file.container,
        "wrapper": list(state.layout.wrapper),
        "prefix": state.layout.prefix,
        "beside": list(state.layout.beside),
        "tensors": len(shapes),
        "numbers": sum(math.prod(shape) for shape in shapes.values()),
        "dtypes": dict(Counter(state.layout.dtypes.values())),
        "names_in_pickle": [str(name) for name in file.names],
        "architectures": [],
    }
    try:
        candidates = find_candidates(shapes, arch)
    except InputError as error:
        return found, type(error)(f"{model}: {error}")
    head = shapes[f"{candidates[0].head}.weight"]
    found |= {
        "architectures": [candidate.name for candidate in candidates],
        "head": candidates[0].head,
        "classes": head[0],
        "embedding_dim": head[1],
    }
    return found, None
