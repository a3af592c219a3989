"""What a crash leaves behind; a normal exit leaves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import ctypes, sys
from pathlib import Path
from bdshift_gui import crash
print(repr(crash.watch(Path(sys.argv[1]))))
if sys.argv[2] == "crash":
    ctypes.string_at(0)
crash.forget()
"""


def start(path: Path, how: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", CODE, path, how], capture_output=True, text=True
    ).stdout.strip()


def test_a_crash_is_offered_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "data" / "crash.txt"
    assert start(path, "crash") == "''"
    assert "string_at" in path.read_text()
    assert "string_at" in start(path, "well")
    assert not path.exists()
    assert start(path, "well") == "''"
