"""Moves files to a lent machine and back, in pieces: each call takes only so much along.

    python tools/gpu/pieces.py split FILE FOLDER [--size 36]     pieces of so many MB, with a list
    python tools/gpu/pieces.py join FOLDER OUT                   all files whose pieces are there
    python tools/gpu/pieces.py pack WORK OUT [--room 60]         results, then victims that fit
    python tools/gpu/pieces.py unpack FOLDER WORK                back into a folder for work

Every piece and every whole file is checked by its SHA-256. Packed are two tar files in pieces of
15 MiB, each with its list: at most eight files, as much as comes back from one call.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_LIST = ".pieces.json"
_PACKED_BYTES = 15 << 20
_PACKED_FILES = 8
_BESIDE_CONTENT = 5 * tarfile.BLOCKSIZE  # of a file in a tar file, at most


class PieceError(Exception):
    """A piece is missing or damaged."""


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    while block := stream.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def split(path: Path, folder: Path, size: int) -> list[Path]:
    """Write pieces of at most ``size`` bytes of a file into ``folder``, and their list."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces: list[dict[str, str]] = []
    made = []
    with path.open("rb") as stream:
        whole = _digest(stream)
        stream.seek(0)
        while block := stream.read(size):
            name = f"{path.name}.{len(pieces):02d}"
            (folder / name).write_bytes(block)
            pieces.append({"name": name, "sha256": hashlib.sha256(block).hexdigest()})
            made.append(folder / name)
    about = {"name": path.name, "bytes": path.stat().st_size, "sha256": whole, "pieces": pieces}
    (folder / f"{path.name}{_LIST}").write_text(json.dumps(about, indent=1) + "\n")
    return made


def join(folder: Path, out: Path) -> Iterator[Path]:
    """Write the files whose lists are in ``folder`` into ``out``. Those that are there already,
    whole, stay. Raises `PieceError` if a piece is missing or is not what it was.
    """
    out.mkdir(parents=True, exist_ok=True)
    for listed in sorted(folder.glob(f"*{_LIST}")):
        about = json.loads(listed.read_text("utf-8"))
        path = out / Path(about["name"]).name
        if not _is_whole(path, about):
            part = path.with_name(f"{path.name}.part")
            with part.open("wb") as stream:
                for piece in about["pieces"]:
                    stream.write(_piece(folder / Path(piece["name"]).name, piece["sha256"]))
            if not _is_whole(part, about):
                part.unlink()
                raise PieceError(f"{path.name}: the pieces do not make up the file")
            part.replace(path)
        yield path


def _is_whole(path: Path, about: dict[str, Any]) -> bool:
    if not path.is_file() or path.stat().st_size != about["bytes"]:
        return False
    with path.open("rb") as stream:
        return _digest(stream) == about["sha256"]


def _piece(path: Path, sha256: str) -> bytes:
    if not path.is_file():
        raise PieceError(f"{path.name}: is missing")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PieceError(f"{path.name}: is damaged")
    return content


def pack(work: Path, out: Path, room: int) -> list[str]:
    """Write what is worth keeping into ``out``, in pieces: all results, then finished victims, the
    oldest first. Returns the names of victims that did not fit into ``room`` bytes, or into as
    many files as come back. Raises `PieceError` if the results do not.
    """
    out.mkdir(parents=True, exist_ok=True)
    left_out = []
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "work.tar.xz"
        with tarfile.open(packed, "w:xz", preset=1) as archive:
            archive.add(work / "results", "results")
        size = packed.stat().st_size
        pieces = _PACKED_FILES - 2 - math.ceil(size / _PACKED_BYTES)  # left; two are lists
        room = min(room - size, pieces * _PACKED_BYTES - tarfile.RECORDSIZE)
        chosen = list(work.glob("*/*.png"))  # patches, without which no victim is trained again
        used = _in_tar(chosen)
        if used > room:
            raise PieceError("the results alone are too large")
        split(packed, out, _PACKED_BYTES)
        for card in sorted(work.glob("*/*/card.json"), key=lambda one: one.stat().st_mtime):
            files = [one for one in card.parent.iterdir() if one.is_file()]
            size = _in_tar(files)
            if card.parent.parent.name == "training":
                continue
            if used + size > room:
                left_out.append(card.parent.name)
                continue
            used += size
            chosen += files
        if chosen:
            victims = Path(folder) / "victims.tar"  # weights are hardly compressible
            with tarfile.open(victims, "w") as archive:
                for one in chosen:
                    archive.add(one, str(one.relative_to(work)))
            split(victims, out, _PACKED_BYTES)
    return left_out


def _in_tar(files: list[Path]) -> int:
    """Bytes that they take in a tar file, at most."""
    return sum(one.stat().st_size + _BESIDE_CONTENT for one in files)


def unpack(folder: Path, work: Path) -> list[Path]:
    """Put what `pack` wrote back into ``work``. Results replace older ones; other files that are
    there stay as they are.
    """
    work.mkdir(parents=True, exist_ok=True)
    made = []
    with tempfile.TemporaryDirectory() as joined:
        for path in join(folder, Path(joined)):
            with tarfile.open(path) as archive:
                for member in archive:
                    out, is_result = work / member.name, member.name.startswith("results/")
                    content = archive.extractfile(member) if member.isfile() else None
                    if content is None or (out.exists() and not is_result):
                        continue
                    if not out.resolve().is_relative_to(work.resolve()):
                        raise ValueError(f"{path}: {member.name} lies outside")
                    out.parent.mkdir(parents=True, exist_ok=True)
                    with content, out.open("wb") as stream:  # Python 3.11.0 has no safe extract
                        shutil.copyfileobj(content, stream)
                    made.append(out)
    return made


def main(arguments: list[str]) -> int:
    """The commands above."""
    parser = argparse.ArgumentParser(description="Files in pieces.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, first, second in (
        ("split", "file", "folder"), ("join", "folder", "out"), ("pack", "work", "out"),
        ("unpack", "folder", "work"),
    ):  # fmt: skip
        one = commands.add_parser(name)
        one.add_argument("first", metavar=first.upper(), type=Path)
        one.add_argument("second", metavar=second.upper(), type=Path)
        if name == "split":
            one.add_argument("--size", type=float, default=36, help="MB of a piece")
        if name == "pack":
            one.add_argument("--room", type=float, default=60, help="MiB of everything")
    given = parser.parse_args(arguments)
    try:
        if given.command == "split":
            for path in split(given.first, given.second, round(given.size * 1e6)):
                print(path)
        elif given.command == "join":
            for path in join(given.first, given.second):
                print(f"{path}: whole")
        elif given.command == "pack":
            for name in pack(given.first, given.second, round(given.room * 2**20)):
                print(f"{name}: did not fit")
        else:
            print(f"{len(unpack(given.first, given.second))} files")
    except PieceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
