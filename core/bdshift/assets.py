"""Files that ship with bdshift: demo models, icons, fonts."""

from __future__ import annotations

from pathlib import Path


def asset(name: str) -> Path:
    """Path of ``resources/name``: inside the installed package, or next to ``core`` in a checkout.

    Raises `FileNotFoundError` if it is in neither, which means that the build is broken.
    """
    here = Path(__file__).resolve().parent
    for root in (here / "resources", here.parent.parent / "resources"):
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(f"bdshift was built without its resource {name}")
