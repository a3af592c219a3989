"""Mutation testing: changes one file in one place at a time, and tells which changes no test sees.

Usage: python -m tools.mutants FILE MOST SEED OUT.csv TESTS...   (from the repository's root; Linux)

The file itself stays as it is. Tests are collected once; each change is put into the functions of a
fork, which runs the tests that reach its line, the quickest first, up to the first that fails. What
acts when a module is imported takes a process of its own. Tests that start Python anew see no
change. Up to MOST changes are drawn with SEED. A row is written as soon as it is known. What is in
OUT.csv as killed, or with a reason (`why`) that no test sees it, is not tried again.
"""

from __future__ import annotations

import ast
import csv
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import ModuleType

import h5py
import hypothesis
import numpy as np
import pytest
import scipy
import torch

from tools.mutants.changes import changes
from tools.mutants.suite import Judge, Suite, forked, limited

_LOADED = h5py, hypothesis, np, scipy, torch
_OPTIONS = (
    "-x -q --tb=no --assert=plain -p no:cacheprovider -o tmp_path_retention_policy=none".split()
)


Rows = dict[tuple[str, str, str], tuple[str, str]]
"""By line, column and change: what came of it, and why no test sees it."""


class _Mutant(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Delivers the changed file in place of the module."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        exec(compile(self._tree, str(self._path), "exec"), module.__dict__)


def _anew(file: Path, tree: ast.Module, seconds: float, options: Sequence[str]) -> str:
    """What came of a change that acts when the file is imported."""
    name = ".".join(file.with_suffix("").parts).removeprefix("core.")

    def act() -> int:
        limited(seconds)
        sys.meta_path.insert(0, _Mutant(name, file.absolute(), tree))
        return int(pytest.main([*options]))

    return forked(act)


def _known(out: Path) -> Rows:
    """Result and reason of the changes of an earlier table that need not be tried again."""
    if not out.exists():
        return {}
    with out.open(newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    return {
        (line, column, change): (came, why)
        for line, column, change, came, why in rows
        if came in ("killed", "too slow") or why
    }


def _write(out: Path, rows: Rows) -> None:
    ordered = sorted(rows.items(), key=lambda row: (int(row[0][0]), int(row[0][1]), row[0][2]))
    with out.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("line", "column", "change", "result", "why"))
        table.writerows((*place, *came) for place, came in ordered)


def main(file: Path, most: int, seed: int, out: Path, tests: Sequence[str]) -> None:
    hypothesis.settings.register_profile(
        "mutants", database=None, derandomize=True,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )  # fmt: skip
    hypothesis.settings.load_profile("mutants")
    tree = ast.parse(file.read_text("utf-8"))
    found = list(changes(tree))
    drawn = random.Random(seed).sample(found, min(most, len(found)))
    places = [(str(one.line), str(one.column), one.what) for one in drawn]
    known = _known(out)
    rows = {place: known[place] for place in places if place in known}
    left = [(place, one) for place, one in zip(places, drawn, strict=True) if place not in rows]
    began = time.monotonic()
    fork = multiprocessing.get_context("fork")
    news: SimpleQueue[tuple[int, str | None, float]] = fork.SimpleQueue()
    later, usual, tried = [], 0.0, 0
    with tempfile.TemporaryDirectory() as scratch:
        options = [*_OPTIONS, f"--basetemp={scratch}/tests", *tests]

        def judged(judge: Judge) -> None:
            seconds = time.process_time()
            for number, (_, change) in enumerate(left):
                news.put((number, judge(change), seconds))

        def collected() -> None:
            pytest.main(options, plugins=[Suite(file, tree, judged)])
            news.put((-1, None, 0.0))

        once = fork.Process(target=collected)
        once.start()
        while (told := news.get())[0] >= 0:
            number, came, usual = told
            tried += 1
            if came is None:
                later.append(left[number])
            else:
                rows[left[number][0]] = came, ""
                _write(out, rows)
        once.join()
        if tried < len(left):
            sys.exit("the tests fail as it is")
        for place, change in later:
            rows[place] = _anew(file, change.made(tree), usual, options), ""
            _write(out, rows)
    counts = Counter(came for came, _ in rows.values())
    seconds = time.monotonic() - began
    print(f"{file}: {dict(counts)} of {len(found)} possible, {seconds:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
