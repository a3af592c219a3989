"""The commands on the pages: all are such that the command takes them, and those of the pages that
newcomers read are run, on small files.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click
import pytest
from commands import bdshift
from doc_pages import PAGES, Command, blocks, commands, page

from bdshift.audit import Audit
from bdshift.cli import main
from bdshift.store import save_audit

CHEAPER = {
    "scan": ("--quick",),
    "recover": ("--kind", "mask", "--budget", "2"),
    "purify": ("--method", "shift-tuning:epochs=1"),
}
"""What the quick test adds to a command that does not say otherwise."""

NOT_RUN = {
    "demo": "audits the model of full width, for minutes: the slow test runs it",
    "disentanglement": "needs a model that was made from another one: test_disentanglement.py",
    "fleet": "needs a folder of models: test_ci.py and test_fleet.py",
    "lab": "trains, for minutes to hours: test_lab.py",
    "COMMAND": "stands for any command",
    "--config": "names a file of the reader's: test_config.py",
}
PLACEHOLDERS = {
    "hf://org/model",
    "MODEL",
    "IMAGES",
    "AUDIT.h5",
    "CLEAN",
    "T.safetensors",
    "DIR",
    "…",
}


@pytest.mark.parametrize("name", PAGES)
def test_every_command_is_one(name: str) -> None:
    wrong = [(one.words, error) for one in commands(name) if (error := _error(one))]
    assert wrong == []


def _error(one: Command) -> str | None:
    """Why the command line does not take it; in the text, arguments may be missing."""
    command: click.Command = main
    words = list(one.words)
    if words[0] in ("COMMAND", "--version"):
        return None
    if words[0] == "--config":
        words = words[2:]
    while isinstance(command, click.Group):
        if not words or words[0] == "…":
            return None
        if words[0] not in command.commands:
            return f"no such command: {words[0]}"
        command = command.commands[words.pop(0)]
    try:
        command.make_context(None, words)
    except click.exceptions.Exit:
        return None
    except (click.MissingParameter, click.BadOptionUsage) as error:
        return error.format_message() if one.complete else None
    except click.UsageError as error:
        return error.format_message()
    return None


@pytest.fixture
def place(
    victim: Path, clean_twin: Path, few_signs: Path, victim_audit: Audit, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A folder with what the pages name, in which they run."""
    demo = tmp_path / "bdshift-demo"
    shutil.copytree(few_signs, demo / "clean")
    shutil.copytree(few_signs, tmp_path / "clean")
    for path, names in (
        (victim, ("model.pth", "a.pth", "bdshift-demo/victim.pth")),
        (clean_twin, ("clean.pth", "b.pth", "bdshift-demo/clean-twin.pth")),
    ):
        for name in names:
            shutil.copy(path, tmp_path / name)
    for name in ("old.h5", "new.h5"):
        save_audit(victim_audit, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["README.md", "docs/command.md", "docs/tutorial.md"])
def test_the_commands_of_a_page_run(name: str, place: Path) -> None:
    if name == "docs/tutorial.md":  # it begins with the demo, which leaves this
        assert bdshift("scan", *_scanned("bdshift-demo"), "--quick").exit_code == 0
    run: list[list[str]] = []
    for one in commands(name):
        words = _runnable(one)
        if words is None or any(before[: len(words)] == words for before in run):
            continue  # one that was run with more options need not be run without
        run.append(words)
        done = bdshift(*_cheaper(words))
        expected = 1 if "--fail-on" in words else 0
        assert done.exit_code == expected, (words, done.output)
    assert len(run) >= 8


def _scanned(folder: str) -> tuple[str, ...]:
    return (f"{folder}/victim.pth", f"{folder}/clean", "--out", f"{folder}/victim.h5")


def _runnable(one: Command) -> list[str] | None:
    """What to run; None for what is not run, or is not all of a command."""
    words = list(one.words)
    if words[:2] == ["scan", "…"]:
        words[1:2] = ["model.pth", "clean/"]
    if words[-2:] == ["--out", "…"]:
        words[-1] = "written.safetensors"
    if words[0] in NOT_RUN or set(words) & PLACEHOLDERS:
        return None
    return words if _error(Command(tuple(words), complete=True)) is None else None


def _cheaper(words: list[str]) -> list[str]:
    added = CHEAPER.get(words[0], ())
    if "--reference" in words:
        added = ("--budget", "2")
    if added and added[0] in words:
        added = ()
    elif words[0] == "recover" and "--budget" in words:
        added = CHEAPER["recover"][:2]
    outputs = {words[at + 1] for at, word in enumerate(words) if word in ("--out", "--report")}
    again = ("--overwrite",) if any(Path(one).exists() for one in outputs) else ()
    return [*words, *added, *again]


@pytest.mark.slow
def test_the_tutorial_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command as it is written, with the demo itself; what is printed has the lines that the
    page shows, but for numbers, which differ in their last digits between machines.
    """
    monkeypatch.chdir(tmp_path)
    printed = ""
    for one in commands("docs/tutorial.md"):
        if one.complete:
            done = bdshift(*one.words)
            assert done.exit_code == 0, (one.words, done.output)
            printed += done.stdout
    shown = [line.strip() for block in blocks("docs/tutorial.md") if block.language == "text"
             for line in block.text.splitlines() if line.strip() not in ("", "…")]  # fmt: skip
    assert len(shown) > 20
    known = {_without_numbers(line) for line in printed.splitlines()}
    assert [line for line in shown if _without_numbers(line) not in known] == []


def _without_numbers(line: str) -> str:
    return re.sub(r"[−\d][\d.,−e]*", "0", re.sub(r"\s+", " ", line.strip()))


def test_the_page_of_the_command_lists_all_commands() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page("docs/command.md"), re.MULTILINE))
    assert rows == {
        name: one.short_help or one.get_short_help_str(200) for name, one in main.commands.items()
    }
