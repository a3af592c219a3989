"""What the window says is Japanese as soon as its modules are loaded, whatever else is."""

from __future__ import annotations

import json
import subprocess
import sys

_KNOWN = """
import ast, importlib, json, pathlib, pkgutil, sys
import bdshift_gui
from bdshift.words import is_known
for one in pkgutil.walk_packages(bdshift_gui.__path__, "bdshift_gui."):
    if not one.name.endswith("__main__"):
        importlib.import_module(one.name)
unknown = {}
for path in pathlib.Path(bdshift_gui.__path__[0]).rglob("*.py"):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr" and node.args:
            text = getattr(node.args[0], "value", None)
            if isinstance(text, str) and not is_known(text) and any(map(str.isalpha, text)):
                unknown[text] = path.name
json.dump(unknown, sys.stdout)
"""
_SAME = {"ACC", "ASR", "DER", "L2", "RA", "TAC", "z", "p", "α", "CPU"}
"""Written alike in both languages."""
_WITH_THEIR_PAGE = {"target's recall"}
"""Registered by what a page shows, which it loads first."""


def test_no_word_of_the_window_waits_for_another_part_to_be_loaded() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _KNOWN], capture_output=True, check=True, timeout=120
    )
    unknown = json.loads(found.stdout)
    assert {text: where for text, where in unknown.items()
            if text not in _SAME | _WITH_THEIR_PAGE} == {}  # fmt: skip
