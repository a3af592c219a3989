"""Sizes of the packages that ``make package`` made, and how soon their programs answer.

Cold means that nothing of a program's files is in memory: they are dropped from the page cache
before each start, on Linux. The quickest of 3.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tools.first_paint import OURS, PAINTED

PACKAGES = Path(__file__).resolve().parent.parent / "build" / "package"
PROGRAMS = PACKAGES / "bdshift"
STARTS = 3


def drop() -> None:
    """Forget what is cached of the programs' files."""
    for path in PROGRAMS.rglob("*"):
        if path.is_file():
            number = os.open(path, os.O_RDONLY)
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(number)


def seconds(before: Callable[[], None], home: str, *command: str) -> float:
    """The shortest time that a program runs."""
    taken = []
    for _ in range(STARTS):
        before()
        began = time.perf_counter()
        subprocess.run(
            [PROGRAMS / command[0], *command[1:]], check=True, capture_output=True, cwd=home,
            env={"HOME": home, "LANG": "C.UTF-8", "QT_QPA_PLATFORM": "offscreen"},
        )  # fmt: skip
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    size = sum(one.lstat().st_size for one in PROGRAMS.rglob("*") if one.is_file())
    print(f"| `bdshift/`, two programs in one folder | {size / 1e6:,.0f} MB |")
    for one in PACKAGES.glob("*.deb"):
        print(f"| `{one.name}` | {one.stat().st_size / 1e6:,.0f} MB |")
    with tempfile.TemporaryDirectory() as home:
        for what, command in (
            ("`bdshift --version`", ("bdshift", "--version")),
            ("`bdshift settings`, which loads torch", ("bdshift", "settings")),
            ("`bdshift-gui`, until its window is painted", ("bdshift-gui", "-c", OURS + PAINTED)),
        ):
            cold, warm = (seconds(before, home, *command) for before in (drop, lambda: None))
            print(f"| {what} | {cold:.1f} s cold, {warm:.1f} s warm |")


if __name__ == "__main__":
    main()
