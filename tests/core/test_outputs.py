"""What is never replaced: inputs, what is no ordinary file, and what exists unless asked to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from commands import bdshift, one_line

from bdshift.audit import Audit
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.store import save_audit


@pytest.fixture
def inputs(tmp_path: Path, victim: Path, signs: Path) -> tuple[Path, Path]:
    """A model and a folder of images that may be lost."""
    model, images = tmp_path / "model.pth", tmp_path / "images"
    shutil.copyfile(victim, model)
    shutil.copytree(signs, images)
    return model, images


@pytest.fixture
def odd(tmp_path: Path) -> list[Path]:
    """What no result may replace: a folder, a pipe, links."""
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "file").write_text("x")
    found = [folder / name for name in ("folder", "pipe", "link", "dangling", "loop")]
    found[0].mkdir()
    os.mkfifo(found[1])
    found[2].symlink_to(folder / "file")
    found[3].symlink_to(folder / "nothing")
    found[4].symlink_to(found[4])
    return [*found, Path("/dev/null")]


def state_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All files in a folder, by what they are and when they were changed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = os.lstat(path)
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_size, about.st_mtime_ns)
    return found


def test_inputs_are_known_by_any_name(tmp_path: Path, inputs: tuple[Path, Path]) -> None:
    model, images = inputs
    hard, soft = tmp_path / "hard.h5", tmp_path / "soft.h5"
    os.link(model, hard)
    soft.symlink_to(model)
    (tmp_path / "round").symlink_to(images)
    some = next(images.glob("stop/*.png"))
    for path in (
        model, hard, soft, tmp_path / "images" / ".." / "model.pth", images, some,
        tmp_path / "round" / "stop" / some.name,
    ):  # fmt: skip
        with pytest.raises(UsageError, match="is an input, and is not replaced"):
            Output(path, overwrite=True, inputs=inputs).check()
    Output(tmp_path / "new.h5", inputs=inputs).check()


def test_only_ordinary_files_are_replaced(odd: list[Path], tmp_path: Path) -> None:
    before = state_of(tmp_path)
    for path in odd:
        with pytest.raises(UsageError, match="is not an ordinary file"):
            Output(path, overwrite=True).write(b"x")
    assert state_of(tmp_path) == before
    with pytest.raises(UsageError, match="exists; --overwrite replaces it"):
        Output(tmp_path / "odd/file").write(b"y")
    Output(tmp_path / "odd/file", overwrite=True).write(b"y")
    assert (tmp_path / "odd/file").read_text() == "y"
    with pytest.raises(InputError, match="no such folder"):
        Output(tmp_path / "none" / "file").check()


def test_it_is_checked_again_when_it_is_written(tmp_path: Path) -> None:
    for appears in (Path.touch, os.mkfifo):
        target = tmp_path / appears.__name__
        output = Output(target, overwrite=appears is os.mkfifo)
        output.check()

        def work(output: Output = output, appears: object = appears) -> None:
            with output.written() as stream:
                stream.write(b"x")
                appears(output.path)  # type: ignore[operator]

        with pytest.raises(UsageError):
            work()
        assert not target.is_file() or target.read_bytes() == b""
    assert len(list(tmp_path.iterdir())) == 2, "nothing is left beside them"


def test_what_a_killed_run_has_written_is_good(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("same")
    output = Output(target, resumed=True)
    output.check()
    output.write(b"same")
    with pytest.raises(UsageError, match="exists"):
        output.write(b"other")
    assert target.read_text() == "same"


@pytest.mark.parametrize("command", ["scan", "bench", "report", "export", "purify", "trojan"])
def test_no_command_replaces_what_it_should_not(
    command: str, tmp_path: Path, inputs: tuple[Path, Path], odd: list[Path], victim_audit: Audit
) -> None:
    """Each refuses before the work, and with --overwrite, too."""
    model, images = inputs
    audit = tmp_path / "audit.h5"
    save_audit(victim_audit, audit)
    given: dict[str, tuple[object, ...]] = {
        "scan": ("scan", model, images, "--out"),
        "bench": ("bench", "--out"),
        "report": ("report", audit, "--out"),
        "export": ("export", audit, "--model", model, "--out"),
        "purify": ("purify", audit, "--model", model, "--images", images, "--out"),
        "trojan": ("lab", "trojan", model, images),
    }
    mine = {
        "scan": (model, images, next(images.glob("*/*"))), "bench": (),
        "report": (audit,), "export": (audit, model),
        "purify": (audit, model, next(images.glob("*/*"))),
        "trojan": (model, next(images.glob("*/*"))),
    }  # fmt: skip
    before = state_of(tmp_path)
    for path in (*mine[command], *odd):
        one_line(bdshift(*given[command], path, "--overwrite"), 2, "is not replaced")
    there = tmp_path / "odd" / "file"
    one_line(bdshift(*given[command], there), 2, "exists; --overwrite replaces it")
    assert state_of(tmp_path) == before


def test_the_files_beside_a_purified_model_are_not_inputs(
    tmp_path: Path, inputs: tuple[Path, Path], victim_audit: Audit
) -> None:
    model, images = inputs
    for suffix in (".json", ".state"):
        shutil.copyfile(model, tmp_path / f"out.pth{suffix}")
        found = bdshift(
            "purify", tmp_path / f"out.pth{suffix}", images, "--out", tmp_path / "out.pth",
            "--overwrite",
        )  # fmt: skip
        one_line(found, 2, f"out.pth{suffix}: is an input")
    save_audit(victim_audit, tmp_path / "a.h5")
    one_line(bdshift("purify", tmp_path / "a.h5", "--out", tmp_path / "out.pth"), 2, "exists")
    assert (tmp_path / "out.pth.state").read_bytes() == model.read_bytes()


def test_the_demo_keeps_what_is_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "clean" / "stop").mkdir(parents=True)
    mine = [tmp_path / "clean" / "stop" / "0000.png", tmp_path / "clean" / "notes.txt"]
    for path in mine:
        path.write_text("mine")
    one_line(bdshift("demo", "--out", tmp_path), 2, "exists, and is another file")
    assert [path.read_text() for path in mine] == ["mine", "mine"]
    for name in ("victim.pth", "victim.h5"):  # the latter is no audit of the demo's model
        place = tmp_path / name.replace(".", "-")
        place.mkdir()
        (place / name).write_text("mine")
        one_line(bdshift("demo", "--out", place), 2, "exists")
        assert (place / name).read_text() == "mine"


@pytest.mark.usefixtures("tiny_lab")
def test_a_training_keeps_what_is_in_its_folder(tmp_path: Path) -> None:
    for name in ("model.pth", "log.csv"):
        place = tmp_path / name.replace(".", "-")
        place.mkdir()
        (place / name).write_text("mine")
        found = bdshift("lab", "train", place, "--epochs", 1, "--width", 1, "--batch", 64)
        assert found.exit_code == 2, found.output
        assert f"{name}: is not of an unfinished training" in found.stderr
        assert [path.read_text() for path in place.iterdir()] == ["mine"]


def test_tables_keep_what_is_in_their_folder(tmp_path: Path, signs: Path) -> None:
    (tmp_path / "tables.md").write_text("mine")
    given = ("--data", signs, "--test", signs, "--work", tmp_path / "work", "--out", tmp_path)
    for command in ("tables", "ablations"):
        found = bdshift("lab", command, *given)
        one_line(found, 2, "holds something else than rows")
    (tmp_path / "package.json").write_text('{"name": "mine"}')
    one_line(bdshift("lab", "tables", *given), 3, "package.json: is not a row")
    assert (tmp_path / "tables.md").read_text() == "mine"
