"""What is changed in a file, one place at a time."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

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


@dataclass(frozen=True)
class Change:
    """One place of a file changed.

    Attributes:
        line: of the place, from 1; of an operator, that of what follows it.
        column: of the place, from 0.
        what: was changed.
        lines: of the statement that it is in; of one with a body, those of its head.
        inside: whether a function's body holds it, so that it acts only when that is called.
        number: of the node, in the order of `ast.walk`.
        act: changes such a node.
    """

    line: int
    column: int
    what: str
    lines: range
    inside: bool
    number: int
    act: Callable[[ast.AST], object]

    def made(self, tree: ast.Module) -> ast.Module:
        """A copy of the file's tree with the change."""
        mutant = copy.deepcopy(tree)
        self.act(next(one for i, one in enumerate(ast.walk(mutant)) if i == self.number))
        return ast.fix_missing_locations(mutant)


def changes(tree: ast.Module) -> Iterator[Change]:
    """Every change of one place: operators, comparisons, numbers, conditions, calls. Annotations
    are never run.
    """
    parents = {id(child): one for one in ast.walk(tree) for child in ast.iter_child_nodes(one)}
    for number, node in enumerate(ast.walk(tree)):
        above = [node]
        while (parent := parents.get(id(above[-1]))) is not None:
            above.append(parent)
        if not any(_is_annotation(child, parent) for child, parent in pairwise(above)):
            for what, act in _of(node):
                place: Any = node.right if isinstance(node, ast.BinOp) else node
                line, column = place.lineno, place.col_offset
                yield Change(line, column, what, _lines(above), _is_inside(above), number, act)


def _is_annotation(node: ast.AST, parent: ast.AST) -> bool:
    return node in (getattr(parent, "annotation", None), getattr(parent, "returns", None))


def _lines(above: Sequence[ast.AST]) -> range:
    """Of the statement that is the nearest of a node's ancestors, nearest first."""
    statement = next(one for one in above if isinstance(one, ast.stmt))
    body = getattr(statement, "body", None)
    last = max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno
    return range(statement.lineno, (last or statement.lineno) + 1)


def _is_inside(above: Sequence[ast.AST]) -> bool:
    """Whether one of a node's ancestors is a statement of a function's body."""
    return any(
        isinstance(parent, ast.FunctionDef) and child in parent.body
        for child, parent in pairwise(above)
    )


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
