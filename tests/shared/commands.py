"""The command line, as a script sees it."""

from __future__ import annotations

from click.testing import CliRunner, Result

from bdshift.cli import main


def bdshift(*arguments: object) -> Result:
    """Run the command with these arguments."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def one_line(result: Result, code: int, *words: str) -> None:
    """Assert that it exited with this code, and with an error line that contains these words."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("bdshift: ")
    for word in words:
        assert word in last, last
    assert "Traceback" not in result.stderr
