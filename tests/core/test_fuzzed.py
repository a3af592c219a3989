"""The kept corpora of the fuzzers, and a few hundred changed copies of them: each is read, or
refused with a sentence. tools/fuzz goes on from here, guided by what it reaches.
"""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from bdshift.errors import BdshiftError
from tools.fuzz.all_targets import TARGETS
from tools.fuzz.audits import CORPUS
from tools.fuzz.mutations import mutated
from tools.fuzz.target import Scratch, Watch

COPIES = {
    "checkpoint": 150, "pickle-in-zip": 100, "pickle-alone": 300, "picture": 200, "image-set": 100,
    "labels": 150, "audit": 30, "audit-text": 60,
}  # fmt: skip
MEMORY = 256 * 2**20


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def armed(watch: Watch) -> Iterator[Watch]:
    yield watch
    watch.armed = False


def seeds(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_and_changed_copies_raise_nothing_else(name: str, armed: Watch) -> None:
    rng, kept, scratch = random.Random(name), seeds(name), Scratch()
    copies = [mutated(rng.choice(kept), rng.choice(kept), rng) for _ in range(COPIES[name])]
    read = refused = 0
    for data in kept:  # what is loaded when it is first needed is loaded here
        try:
            TARGETS[name](scratch, data)()
            read += 1
        except BdshiftError:
            refused += 1
    assert read >= refused, "most of the corpus is valid"
    tracemalloc.start()
    try:
        for data in copies:
            judge = TARGETS[name](scratch, data)
            armed.arm()
            try:
                judge()
            except BdshiftError:
                refused += 1
            finally:
                armed.armed = False
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused > COPIES[name] // 10, "the changes matter"
    assert peak < MEMORY


def test_the_corpora_are_small_and_all_used() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(sizes) < 300_000
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} == set(TARGETS)
    assert COPIES.keys() == TARGETS.keys()
