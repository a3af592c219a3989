"""What a command shows of its job."""

from __future__ import annotations

import sys

import pytest

from bdshift.cli.console import ConsoleJob


def test_what_comes_after_the_parts_is_none_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    job = ConsoleJob()

    def shown(stage: str) -> str:
        job.progress(stage, 1, 9, "images")
        return capsys.readouterr().err

    with job.among(0, 1):
        job.part(1, 1)
        assert "1 of 2: Searching" in shown("Searching")
        job.parts_over()
        assert "1 of 2: Measuring" in shown("Measuring"), "another part is to come"
    job.part(2, 2)
    assert "2 of 2: Searching" in shown("Searching")
    job.parts_over()
    after = shown("Reading")
    assert "Reading" in after
    assert "of 2" not in after
    job.close()
