"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "core" / "bdshift").rglob("*.py"), *(ROOT / "bdshift_gui").rglob("*.py")]
TESTS = [*(ROOT / "tests").rglob("*.py")]
TOOLS = [*(ROOT / "tools").rglob("*.py"), *(ROOT / "packaging").rglob("*.py")]

_MAX_LINES = 400


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_class_name_is_used_twice() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_a_constant_says_what_it_limits() -> None:
    vague = re.compile(r"_?(MOST|FEW|MANY|LONG|LONGEST|WIDE|HIGH|LOW|LEAST|SHOWN|NAMED)$")
    found = [
        f"{path.relative_to(ROOT)}: {target.id}"
        for path in SOURCES
        for node in tree(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and vague.match(target.id)
        and not isinstance(node.value, ast.Tuple)
    ]  # fmt: skip
    assert found == []


def test_files_stay_small() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES + TESTS + TOOLS}
    assert {path.name: lines for path, lines in lengths.items() if lines > _MAX_LINES} == {}


def test_tests_and_tools_do_not_import_each_other() -> None:
    tests = {path.stem for path in TESTS if path.name.startswith("test_")}
    shared = {path.stem for path in (ROOT / "tests" / "shared").glob("*.py")}
    tools = {path.stem for path in TOOLS}
    for path in TESTS:
        assert not set(imports(path)) & (tests | tools), path
    for path in TOOLS:
        assert not set(imports(path)) & (tests | shared), path


def test_no_test_asserts_how_long_something_took() -> None:
    """A shared machine makes such tests fail, and a fast one hides what they are for."""
    clocks = {"perf_counter", "monotonic", "process_time"}
    for path in TESTS:
        used = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
        assert not used & clocks, path


def test_spelling_is_american() -> None:
    """In code, options and text, as in the libraries around us."""
    british = re.compile(
        r"\b(colour|grey|normalis|optimis|initialis|recognis|behaviour|neighbour|cancell(ed|ing)"
        r"|labell|modell(ed|ing)|centre|licence|catalogue|analys(e|ing)\b|favour)",
        re.IGNORECASE,
    )
    own = {
        "test_house_rules.py",
        "migrations.py",
        "test_store.py",
        "test_schema.py",
    }  # files of old schemas have their words
    texts = [*SOURCES, *TESTS, *TOOLS, *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    for path in texts:
        if path.name not in own:
            found = british.search(path.read_text("utf-8"))
            assert found is None, f"{path.relative_to(ROOT)}: {found[0] if found else ''}"


def test_what_is_shown_does_not_write_the_state() -> None:
    """Views, widgets and dialogs ask the context, the selection, an action or a task to."""
    shown = [path for path in SOURCES if path.parent.name in ("views", "widgets", "dialogs")]
    assert len(shown) > 50
    found = [
        str(path.relative_to(ROOT))
        for path in shown
        if re.search(r"session\.update\(", path.read_text("utf-8"))
    ]
    assert found == []


def test_text_reaches_qt_and_spreadsheets_in_one_place() -> None:
    """Qt and pyqtgraph render what looks like HTML, and load the files that it names; spreadsheets
    run what looks like a formula. `bdshift_gui.plain` and `bdshift.csv_data` prevent both.
    """
    homes = {
        "plain.py": {"QLabel", "setToolTip", "setTextFormat", "QMessageBox", "setText"},
        "plot.py": {"setLabel", "setTicks", "addLegend"},
        "ask.py": {"QMessageBox"},
        "csv_data.py": {"csv"},
    }
    nowhere = {
        "setToolTip", "setStatusTip", "setWhatsThis", "setHtml", "insertHtml", "appendHtml",
        "setMarkdown", "setTextFormat", "QTextBrowser", "QTextEdit", "QErrorMessage", "QToolTip",
        "LabelItem", "addLegend", "setLabel", "setTicks", "QLabel", "QMessageBox", "showMessage",
    }  # fmt: skip
    for path in SOURCES:
        allowed = homes.get(path.name, set())
        window = path.is_relative_to(ROOT / "bdshift_gui")
        for node in ast.walk(tree(path)):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if window and isinstance(node, ast.Attribute | ast.Name):
                name = node.attr if isinstance(node, ast.Attribute) else node.id
                assert name not in nowhere - allowed, f"{place}: {name}"
            if window and isinstance(node, ast.Call):
                keywords = {one.arg for one in node.keywords}
                assert "html" not in keywords, place
                assert not (keywords & {"name", "title"} and _is_of_pyqtgraph(node)), place
            if isinstance(node, ast.Import) and "csv" not in allowed:
                reads = path.is_relative_to(ROOT / "core" / "bdshift" / "images")
                assert reads or all(one.name != "csv" for one in node.names), place


def _is_of_pyqtgraph(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and ast.unparse(node.func).startswith("pg.")
