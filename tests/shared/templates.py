"""Every template that can reach the user, collected from the source."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE, WINDOW = ROOT / "core" / "bdshift", ROOT / "bdshift_gui"

_ENGLISH_ONLY = {"cli", "bench", "__main__.py"}  # the terminal and the benchmark are in English
_RAISED = {
    "InputError", "UsageError", "NoRoom", "UnknownArchitecture", "SeveralModels", "BdshiftError",
    "ClassesDoNotFit",
    "PickleError", "TooLarge", "_refuse", "refuse",
}  # fmt: skip
_SHOWN = {"Sentence", "tr", "t"}
_REPORTED = {"note", "progress"}


def templates() -> dict[str, str]:
    """Every template, with the place where it first occurs."""
    found: dict[str, str] = {}
    for path in sorted([*CORE.rglob("*.py"), *WINDOW.rglob("*.py")]):
        if path.is_relative_to(CORE) and path.relative_to(CORE).parts[0] in _ENGLISH_ONLY:
            continue
        for line, text in _in_code(path):
            found.setdefault(text, f"{path.relative_to(ROOT)}:{line}")
    for page in sorted((ROOT / "resources" / "report").glob("*.html")):
        for text in re.findall(r't\("([^"]+)"', page.read_text("utf-8")):
            found.setdefault(text, str(page.relative_to(ROOT)))
    return found


def _in_code(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield from _default_stages(node)
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg == "stage":
                yield from _constants(keyword.value)
        name = _name(node.func)
        known = name in _RAISED | _SHOWN or (
            isinstance(node.func, ast.Attribute) and name in _REPORTED
        )
        if not known or not node.args:
            continue
        yield from _constants(node.args[0])


def _default_stages(node: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    """A stage that is the default of a parameter."""
    both = [*node.args.posonlyargs, *node.args.args]
    given = list(zip(both[::-1], node.args.defaults[::-1], strict=False))
    given += [(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d]
    for argument, default in given:
        if argument.arg == "stage":
            yield from _constants(default)


def _constants(node: ast.expr) -> Iterator[tuple[int, str]]:
    for part in _branches(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value
        assert not isinstance(part, ast.JoinedStr), f"line {part.lineno}: no f-string is a template"


def _branches(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _branches(node.body)
        yield from _branches(node.orelse)
    else:
        yield node


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def words_in_code() -> dict[str, str]:
    """What is passed to `bdshift.words.words` in the source: the Japanese, keyed by the English."""
    found: dict[str, str] = {}
    for path in sorted([*CORE.rglob("*.py"), *WINDOW.rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) == "words" and node.args:
                english = ast.literal_eval(node.args[0])
                [japanese] = [ast.literal_eval(one.value) for one in node.keywords]
                assert found.setdefault(english, japanese) == japanese, english
    return found


def placeholders(text: str) -> set[str]:
    """Names of the values that a template takes."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def has_words(text: str) -> bool:
    """Whether there is anything to translate."""
    return bool(re.search(r"[A-Za-z]{2,}", re.sub(r"\{[^}]*\}", "", text)))
