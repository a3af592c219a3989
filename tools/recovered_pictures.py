"""Draw a sheet of recovered triggers: for each audit with a recovery, an image before, after, the
change, and where it acts.

Usage: recovered_pictures.py OUT.png AUDIT.h5...
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bdshift.recovery.recovery import Recovery
from bdshift.store import load_audit

_CELL, _GAP = 96, 6  # pixels
_IMAGES = 3


def _tile(planes: np.ndarray) -> Image.Image:
    """uint8 (3, s, s) as a cell."""
    return Image.fromarray(planes.transpose(1, 2, 0)).resize(
        (_CELL, _CELL), Image.Resampling.NEAREST
    )


def _row(path: Path) -> list[Image.Image]:
    audit = load_audit(path)
    found: Recovery = audit.recoveries[-1]
    clean, triggered = audit.embedding, found.tac.triggered
    assert clean is not None
    assert triggered is not None
    others = np.flatnonzero(clean.labels != found.target)[:: max(1, len(clean.labels) // _IMAGES)]
    strength = (found.change.strength(found.batched)[0] * 255).byte().numpy()
    tiles = [found.picture(), np.repeat(strength[None], 3, axis=0)]
    for row in others[:_IMAGES]:
        tiles += [clean.thumbnails[row], triggered.thumbnails[row]]
    print(f"{path.stem}: {found.kind} to {audit.images.class_names[found.target]}, "
          f"ASR {found.asr:.3f}, drop {found.drop:.2f}")  # fmt: skip
    return [_tile(one) for one in tiles]


def main() -> None:
    """See the module."""
    rows = [_row(Path(one)) for one in sys.argv[2:]]
    step = _CELL + _GAP
    sheet = Image.new("RGB", (step * len(rows[0]) - _GAP, step * len(rows) - _GAP), "white")
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            sheet.paste(tile, (x * step, y * step))
    sheet.save(sys.argv[1])


if __name__ == "__main__":
    main()
