"""Folders of Parquet or Arrow files: parts of one set, and of its training and test halves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bdshift.errors import InputError
from bdshift.images.sources.arrow import arrow_shard
from bdshift.images.sources.base import Source
from bdshift.images.sources.naming import split_rank
from bdshift.images.sources.parquet import parquet_shard
from bdshift.images.sources.shards import Shard, ShardImages
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence

_MAX_SHARDS = 2000
_MAX_LISTED = 8


def open_shard(path: Path, job: JobContext = SILENT) -> Source:
    """Images and labels of a Parquet or Arrow file. Raises `InputError`."""
    return ShardImages({path.stem: _shard(path, job)})


def _shard(path: Path, job: JobContext) -> Shard:
    with path.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1"
    return parquet_shard(path) if parquet else arrow_shard(path, job)


def shard_files(names: Sequence[str]) -> list[str]:
    """Which of a folder's files are Parquet or Arrow."""
    found = sorted(name for name in names if name.lower().endswith((".parquet", ".arrow")))
    return [name for name in found if not name.startswith("cache-")]  # made by datasets' map()


def open_shards(
    folder: Path,
    names: Sequence[str],
    job: JobContext = SILENT,
    notes: Sequence[Sentence] = (),
) -> Source:
    """The files of the best part of a data set that has labels; with ``notes`` on how the folder
    was found.

    Raises `InputError` if none has.
    """
    if len(names) > _MAX_SHARDS:
        raise InputError("holds more than {most} files of images in columns", most=_MAX_SHARDS)
    first: InputError | None = None
    for best in sorted({split_rank(name) for name in names}):
        chosen = [name for name in names if split_rank(name) == best]
        others = tuple(name for name in names if name not in chosen)[:_MAX_LISTED]
        values = {"file": chosen[0], "others": others}
        chose = [Sentence("Took {file}, and not {others}", values)] if others else []
        shards = {}
        try:
            for name in chosen:
                job.raise_if_canceled()
                try:
                    shards[name.rpartition(".")[0]] = _shard(folder / name, job)
                except InputError as error:
                    raise error.at(name) from error
            return ShardImages(shards, [*notes, *chose])
        except InputError as error:
            first = first or error
    assert first is not None
    raise first
