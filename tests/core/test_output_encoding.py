"""Whatever the encoding of the output, a command ends in words, not in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bdshift.cli import main
from bdshift.output_encoding import print_what_there_is

LANG_C = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("charset", ["cp1252", "cp437", "cp932", "latin-1", "utf-8"])
def test_a_page_of_greek_in_the_encodings_of_consoles(charset: str) -> None:
    shown = CliRunner(charset=charset).invoke(main, ["settings"])
    assert shown.exit_code == 0
    assert shown.stderr == ""
    assert f"a smaller {'alpha' if charset in ('cp1252', 'latin-1') else 'α'} needs" in shown.stdout
    assert "\\" not in shown.stdout, "every sign in it has a plainer one"


def test_help_and_errors_in_the_encodings_of_consoles(tmp_path: Path) -> None:
    runner = CliRunner(charset="cp1252")
    assert "smaller alpha needs" in " ".join(runner.invoke(main, ["scan", "-h"]).stdout.split())
    missing = runner.invoke(main, ["info", str(tmp_path / "見本−😀.pth")])
    assert missing.exit_code == 3
    assert "\\u898b\\u672c-\\U0001f600.pth" in missing.stderr


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii"}, LANG_C]
)
def test_the_program_itself(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bdshift", "scan", "--help"]
    done = subprocess.run(command, capture_output=True, env=os.environ | environment)
    assert (done.returncode, done.stderr) == (0, b"")
    words = done.stdout.split()
    # click takes ASCII for a wrong setting, and writes UTF-8
    alpha = b"alpha" if "cp1252" in environment.values() else "α".encode()
    assert words[words.index(b"smaller") + 1] == alpha


def test_what_is_printed_without_click() -> None:
    code = (
        "from bdshift.output_encoding import print_what_there_is as f; f();"
        "print('“−1.5” ≤ α × 2 … 警 é \\udcff'); f()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.stdout.strip() == rb'"-1.5" <= alpha x 2 ... \u8b66 \xe9 \udcff'


def test_a_program_without_a_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    print_what_there_is()
    assert sys.stdout is None
