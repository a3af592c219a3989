"""Files that are there whole or not at all, and what their writers leave behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bdshift.writing import clear_parts, remove, written_whole

WRITER = """
import os, sys, time
from pathlib import Path
from bdshift.writing import written_whole
with written_whole(Path(sys.argv[1])) as stream:
    stream.write(b"x" * 100_000)
    stream.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def writer(target: Path) -> subprocess.Popen[str]:
    """A process in the middle of writing ``target``."""
    found = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert found.stdout is not None
    assert found.stdout.readline() == "writing\n"
    return found


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_only_by_a_complete_one(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with written_whole(target) as stream:
            stream.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"], "nothing is left beside it"
    with written_whole(target) as stream:
        stream.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "none" / "a.txt") as stream:
        stream.write(b"x")


def test_what_appeared_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"

    def too_late() -> None:
        with written_whole(target, replace=False) as stream:
            stream.write(b"ours")
            target.write_text("theirs")

    with pytest.raises(FileExistsError):
        too_late()
    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]


def test_permissions_are_those_of_the_file_or_of_the_umask(tmp_path: Path) -> None:
    private, new = tmp_path / "private", tmp_path / "new"
    private.write_text("x")
    private.chmod(0o600)
    before = os.umask(0o027)
    try:
        for path in (private, new):
            with written_whole(path) as stream:
                stream.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_nobody_can_guess_where_it_is_written(tmp_path: Path) -> None:
    target, seen = tmp_path / "a.txt", set()
    for _ in range(3):
        with written_whole(target) as stream:
            seen.add(stream.name)
            stream.write(b"x")
    assert len(seen) == 3
    assert all(str(os.getpid()) not in Path(name).name.split(".") for name in seen)


def test_a_name_of_the_greatest_length(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 127)
    with written_whole(target) as stream:
        stream.write(b"x")
    assert names(tmp_path) == [target.name]


def test_parts_of_killed_writers_are_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    kill(writer(target))
    assert len(names(tmp_path)) == 1, "what a killed writer leaves"
    living = writer(target)
    assert len(names(tmp_path)) == 1, "the first is gone, the second is being written"
    with written_whole(target) as stream:
        stream.write(b"whole")
    assert len(names(tmp_path)) == 2, "a living writer's is left alone"
    kill(living)
    with written_whole(target) as stream:
        stream.write(b"whole")
    assert names(tmp_path) == ["a.h5"]
    assert target.read_bytes() == b"whole"


def test_only_parts_are_cleared(tmp_path: Path) -> None:
    part = f".a.h5.{'0' * 16}.part"
    other = f".b.h5.{'0' * 16}.part"
    kept = (f".a.h5.{'0' * 15}.part", "a.h5", f".a.h5.{'0' * 16}.part.bak", other)
    (tmp_path / "precious").write_text("x")
    for name in (part, *kept):
        (tmp_path / name).write_text("x")
    link, folder, pipe = (f".a.h5.{digit * 16}.part" for digit in "123")
    (tmp_path / link).symlink_to(tmp_path / "precious")
    (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / pipe)
    clear_parts(tmp_path, "a.h5")  # and does not wait for the pipe
    assert names(tmp_path) == sorted([*kept, "precious", link, folder, pipe])
    clear_parts(tmp_path)
    assert other not in names(tmp_path)


def test_removing_a_file_removes_what_was_left_of_it(tmp_path: Path) -> None:
    target = tmp_path / "a.state"
    target.write_text("x")
    kill(writer(target))
    remove(target)
    remove(target)
    assert names(tmp_path) == []
