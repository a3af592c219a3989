"""What a command line owes its user: quiet, color, names to complete, a sentence for a slip."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from commands import bdshift, one_line
from known import TARGET

from bdshift.cli import main
from bdshift.cli.console import ConsoleJob
from bdshift.store import load_audit


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def scan(victim: Path, few_signs: Path) -> tuple[object, ...]:
    return ("scan", "--quick", victim, few_signs, "--normalize", "half")


def test_quiet_leaves_the_result_and_errors(scan: tuple[object, ...], tmp_path: Path) -> None:
    found = bdshift(*scan, "-q", "-o", tmp_path / "a.h5")
    assert found.exit_code == 0
    assert found.stderr == ""
    assert found.stdout.startswith("PROBABLY BACKDOORED")
    assert (tmp_path / "a.h5").is_file()
    one_line(bdshift("info", tmp_path / "none.pth", "-q"), 3, "none.pth")
    one_line(bdshift("info", tmp_path / "none.pth", "-q", "-v"), 2, "not both")


def test_verbose_says_when_a_stage_begins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    job = ConsoleJob(verbose=True)
    for done in (0, 1, 2):
        job.progress("Searching", done, 2, "images")
    job.close()
    assert capsys.readouterr().err == "Searching …\nSearching: 2 images\n"


def in_color(*arguments: object, **environment: str | None) -> Result:
    """As on a terminal."""
    given = {"NO_COLOR": None, "TERM": "xterm", **environment}
    return CliRunner(env=given).invoke(main, [str(one) for one in arguments], color=True)


def test_color_is_for_terminals_and_not_for_who_wants_none(
    scan: tuple[object, ...], tmp_path: Path
) -> None:
    assert "\x1b[31m" in in_color(*scan).stdout.splitlines()[0]
    assert "\x1b" in in_color("info", tmp_path / "none.pth").stderr
    assert "\x1b" not in bdshift(*scan).stdout
    assert "\x1b" not in in_color("info", tmp_path / "none.pth", NO_COLOR="1").stderr
    assert "\x1b" not in in_color("info", tmp_path / "none.pth", TERM="dumb").stderr


def completed(*words: str) -> set[str]:
    """What the tab key offers for the last word."""
    found = ShellComplete(main, {}, "bdshift", "_BDSHIFT_COMPLETE")
    return {one.value for one in found.get_completions(list(words[:-1]), words[-1])}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("scan", "--rule", ""), {"grubbs", "mad", "paper"}),
        (("scan", "--solver", ""), {"exact", "adam"}),
        (("scan", "--normalize", "ha"), {"half"}),
        (("scan", "--detector", "neural"), {"neural-cleanse"}),
        (("purify", "--method", "fine"), {"fine-tuning", "fine-pruning"}),
        (("purify", "--trigger", "bad"), {"badnets"}),
        (("recover", "--kind", "au"), {"auto"}),
        (("export", "--format", "onn"), {"onnx"}),
        (("images", "--parts", ""), {"after", "both", "change"}),
        (("settings", "ru"), {"rules"}),
        (("lab", "train", "--attack", "bad"), {"badnets"}),
        (("lab", "train", "--labels", "all-to-a"), {"all-to-all"}),
    ],
)
def test_registered_names_are_completed(words: tuple[str, ...], offered: set[str]) -> None:
    assert completed(*words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_is_given(shell: str) -> None:
    found = bdshift("completion", shell)
    assert found.exit_code == 0, found.output
    assert f"_BDSHIFT_COMPLETE={shell}_complete" in found.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_it() -> None:
    text = bdshift("completion", "bash").stdout
    subprocess.run(["bash", "-euc", f"{text}\ncomplete -p bdshift"], check=True)


def slip(*arguments: object) -> str:
    """The last line of what a command says to a slip, which is a sentence and no traceback."""
    found = bdshift(*arguments)
    assert found.exit_code in (2, 3), found.output
    assert "Traceback" not in found.stderr
    return found.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("language", ["C.UTF-8", "ja_JP.UTF-8"])
def test_a_slip_gets_a_sentence_that_helps(
    victim: Path, few_signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    quick = ("scan", "--quick")
    assert "give the model first, then the images" in slip(*quick, few_signs, victim)
    out = ("--out", tmp_path / "p.pth")
    assert "give the model first, then the images" in slip("purify", few_signs, victim, *out)
    for arguments in (
        (*quick, victim, "hf://org/images"),
        ("info", "https://example.org/model.pth"),
        ("purify", "s3://bucket/model.pth", few_signs, *out),
    ):
        assert "is an address; download it first" in slip(*arguments)
    found = slip(*quick, "no-such-scheme://a/b.pth", few_signs)
    assert "no-such-scheme://a/b.pth: cannot be opened here" in found
    labels = ("--labels", tmp_path / "none.txt")
    assert "none.txt: there is no such file; a file of labels" in slip(
        *quick, victim, few_signs, *labels
    )
    assert "is a folder, not an audit file" in slip("neurons", few_signs)


def test_a_model_elsewhere_is_scanned_where_it_is(
    victim: Path, few_signs: Path, tmp_path: Path
) -> None:
    address = "memory://zoo/victim.pth"
    with fsspec.open(address, "wb") as stream:
        stream.write(victim.read_bytes())
    with fsspec.open("memory://zoo/notes.md", "wb") as stream:
        stream.write(b"# A zoo")
    quick = ("scan", "--quick", "--normalize", "half", "--no-cache")
    found = bdshift(*quick, address, few_signs, "--out", tmp_path / "a.h5")
    assert found.exit_code == 0, found.output
    audit = load_audit(tmp_path / "a.h5")
    assert (audit.model.path, audit.finding.classes) == (address, (TARGET,))
    assert "victim.pth" in slip(*quick, "memory://zoo", few_signs), "a folder of checkpoints"
    assert "memory://zoo/gone.pth: cannot be read" in slip(
        *quick, "memory://zoo/gone.pth", few_signs
    )


def test_what_purify_scans_it_scans_as_it_is_asked_to(
    scan: tuple[object, ...], victim: Path, few_signs: Path, tmp_path: Path
) -> None:
    cut = ("--method", "cut:neurons=3", "--target", "speed_80", "--json", "-q")
    given = ("purify", victim, few_signs, "-o", tmp_path / "p.pth", *cut)
    found = bdshift(*given, "--quick", "--normalize", "half", "--alpha", "0.2", "--sample", "100")
    assert found.exit_code == 0, found.output
    assert '"alpha": 0.2' in found.stdout
    one_line(bdshift(*given, "--quick", "--normalize", "nothing", "--overwrite"), 2, "'nothing'")
    assert bdshift(*scan, "-o", tmp_path / "a.h5").exit_code == 0
    again = ("purify", tmp_path / "a.h5", "-o", tmp_path / "q.pth", *cut)
    one_line(bdshift(*again, "--sample", "100"), 2, "--sample is about a scan")
    one_line(bdshift(*again, "--rule", "mad"), 2, "--rule is about a scan")
    assert bdshift(*again, "--seed", "1").exit_code == 0
