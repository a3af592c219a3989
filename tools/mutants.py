"""Mutation testing: changes one file in one place at a time, and tells which changes no test sees.

Usage: python -m tools.mutants FILE MOST SEED OUT.csv TESTS...   (from the repository's root; Linux)

A process that has loaded what takes long is forked for every change; the file itself stays as it
is. Up to MOST changes are drawn with SEED. A row is written as soon as it is known.
"""

from __future__ import annotations

import ast
import copy
import csv
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import h5py
import hypothesis
import numpy as np
import pytest
import scipy
import torch

_SLACK, _SECONDS = 5, 20  # a change may make tests this many times slower, and this much
_LOADED = h5py, hypothesis, np, scipy, torch
_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.USub: ast.UAdd,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "argmin": "argmax",
          "argmax": "argmin", "floor": "ceil", "ceil": "floor", "minimum": "maximum",
          "maximum": "minimum"}  # fmt: skip

Change = tuple[int, str, ast.Module]
"""Line, what was changed, the file with that change."""


def changes(tree: ast.Module) -> Iterator[Change]:
    """Every change of one place: operators, comparisons, numbers, conditions, calls, statements."""
    for number, node in enumerate(ast.walk(tree)):
        for what, act in _of(node):
            mutant = copy.deepcopy(tree)
            act(next(one for i, one in enumerate(ast.walk(mutant)) if i == number))
            yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(mutant)


def _of(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], object]]]:
    """What can be done to a node, and what does it."""
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp, ast.UnaryOp)):
        new = _SWAPPED.get(type(node.op))
        if new is not None:
            what = f"{type(node.op).__name__} to {new.__name__}"
            yield what, lambda one: setattr(one, "op", new())
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield "not dropped", lambda one: setattr(one, "op", ast.UAdd())
    elif isinstance(node, ast.Compare):
        other = _SWAPPED.get(type(node.ops[0]))
        if other is not None:
            what = f"{type(node.ops[0]).__name__} to {other.__name__}"
            yield what, lambda one: one.ops.__setitem__(0, other())  # type: ignore[attr-defined]
    elif (
        isinstance(node, ast.Constant)
        and isinstance(value := node.value, (int, float))
        and not isinstance(value, bool)
    ):
        yield f"{value} to {value + 1}", lambda one: setattr(one, "value", value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        truth = not node.value
        yield f"to {truth}", lambda one: setattr(one, "value", truth)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "condition never true", lambda one: setattr(one, "test", ast.Constant(False))
    elif isinstance(node, ast.Attribute) and node.attr in _CALLS:
        attr = _CALLS[node.attr]
        yield f"{node.attr} to {attr}", lambda one: setattr(one, "attr", attr)
    elif isinstance(node, ast.Name) and node.id in _CALLS:
        name = _CALLS[node.id]
        yield f"{node.id} to {name}", lambda one: setattr(one, "id", name)


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


def _tested(mutant: _Mutant | None, tests: Sequence[str], seconds: float) -> tuple[str, float]:
    """What came of a change: killed, survived or too slow; and the tests' processor time."""
    child = os.fork()
    if not child:
        status = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
            if mutant is not None:
                sys.meta_path.insert(0, mutant)
            options = "-x -q --assert=plain -p no:cacheprovider".split()
            status = int(pytest.main([*options, *tests]))
        finally:
            os._exit(status)
    _, status, used = os.wait4(child, 0)
    took = used.ru_utime + used.ru_stime
    if os.WIFSIGNALED(status):
        return "too slow", took
    return ("survived" if status == 0 else "killed"), took


def main(file: Path, most: int, seed: int, out: Path, tests: Sequence[str]) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    name = ".".join(file.with_suffix("").parts).removeprefix("core.")
    came, took = _tested(None, tests, 600)
    if came != "survived":
        sys.exit("the tests fail as it is")
    found = list(changes(tree))
    drawn = random.Random(seed).sample(found, min(most, len(found)))
    began, counts = time.monotonic(), Counter[str]()
    with out.open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("file", "line", "change", "result"))
        for line, what, changed in drawn:
            mutant = _Mutant(name, file.absolute(), changed)
            came, _ = _tested(mutant, tests, _SLACK * took + _SECONDS)
            counts[came] += 1
            table.writerow((file, line, what, came))
            stream.flush()
    seconds = time.monotonic() - began
    print(f"{file}: {dict(counts)} of {len(found)} possible, {seconds:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
