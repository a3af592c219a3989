"""The examples in CONTRIBUTING.md, each put in place for the duration of a test."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def examples() -> dict[str, str]:
    """The code, keyed by the path in its first line."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL)
    return dict(blocks)


@contextmanager
def added(path: str, folder: Path) -> Iterator[ModuleType]:
    """The example's file, imported as if it were in its package; it is written to ``folder``."""
    name = path.removeprefix("core/").removesuffix(".py").replace("/", ".")
    package = importlib.import_module(name.rpartition(".")[0])
    place = folder / package.__name__
    place.mkdir()
    (place / Path(path).name).write_text(examples()[path], "utf-8")
    package.__path__.append(str(place))
    try:
        yield importlib.import_module(name)
    finally:
        package.__path__.remove(str(place))
        if sys.modules.pop(name, None) is not None:
            delattr(package, name.rpartition(".")[2])
