"""Tables: sorted as numbers, filtered, copied with all digits, with a choice of columns."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from driving import audit_of, find, workspace
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFont, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSlider, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from bdshift_gui.main_window import MainWindow
from bdshift_gui.numbers import percent
from bdshift_gui.settings import Settings
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.theme import LIGHT
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.neuron_table import NeuronTableView
from bdshift_gui.widgets.cell_painter import CellPainter
from bdshift_gui.widgets.table_rows import Column, tail_of
from bdshift_gui.widgets.tables import DataTable

RISING, FALLING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
SCORES = np.array([9.5, 10.25, np.nan, 1 / 3, -2.0])
NAMES = ["ten", "Eleven", "=nine", "tent 10", "tent 9"]


@pytest.fixture
def table(qtbot: QtBot) -> DataTable:
    found = DataTable("sample", Settings(fresh=True), several=True)
    qtbot.addWidget(found)
    show(found)
    found.resize(420, 160)
    found.show()
    return found


def show(table: DataTable, **more: object) -> None:
    columns = [
        Column("index", "", np.arange(5)),
        Column("name", "name", texts=NAMES),
        Column("score", "score", SCORES),
    ]
    table.show_columns(columns, **more)  # type: ignore[arg-type]


def names(table: DataTable) -> list[str]:
    return [table.text(row, 1) for row in range(table.rows.rowCount())]


def copied() -> list[list[str]]:
    return [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]


def test_a_click_on_a_head_sorts_numbers_as_numbers_and_what_is_missing_last(
    table: DataTable,
) -> None:
    header = table.view.horizontalHeader()
    middle = header.sectionViewportPosition(2) + header.sectionSize(2) // 2
    for expected in (
        ["tent 9", "tent 10", "ten", "Eleven", "=nine"],
        ["Eleven", "ten", "tent 10", "tent 9", "=nine"],
        NAMES,  # a third click: as it was
    ):
        QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton,
                         pos=QPoint(middle, header.height() // 2))  # fmt: skip
        assert names(table) == expected


def test_names_are_sorted_by_the_numbers_in_them(table: DataTable) -> None:
    table.sort("name")
    assert names(table) == ["=nine", "Eleven", "ten", "tent 9", "tent 10"]


def test_sorting_keeps_the_selection(table: DataTable) -> None:
    table.select([1, 3])
    table.sort("score", FALLING)
    assert sorted(table.selected()) == [1, 3]
    assert {one.row() for one in table.view.selectionModel().selectedRows()} == {0, 2}


def test_the_field_filters_by_name_or_number(table: DataTable) -> None:
    assert table.field.isHidden(), "five rows are seen at a glance"
    table.select([3])
    QTest.keyClick(table.view, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert table.field.isVisible()
    QTest.keyClicks(table.field, "TEN")
    assert names(table) == ["ten", "tent 10", "tent 9"]
    assert table.selected() == [3], "it is still there"
    table.field.setText("4")
    assert names(table) == ["tent 9"], "the row with that number"
    QTest.keyClick(table.field, Qt.Key.Key_Escape)
    assert names(table) == NAMES


def test_copy_takes_the_selected_rows_or_all_with_all_digits(table: DataTable) -> None:
    table.sort("score", FALLING)
    QTest.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    everything = copied()
    assert everything[0] == ["", "name", "score"]
    assert [row[1] for row in everything[1:]] == ["Eleven", "ten", "tent 10", "tent 9", "'=nine"]
    assert everything[3] == ["3", "tent 10", "0.3333333333333333"]
    assert everything[-1] == ["2", "'=nine", ""], "no formula, and no number"
    table.select([3, 0])
    table.menu().actions()[0].trigger()
    assert [row[1] for row in copied()] == ["name", "ten", "tent 10"]


def test_columns_are_chosen_and_remembered(table: DataTable, qtbot: QtBot) -> None:
    score = next(one for one in table.column_menu().actions() if one.text() == "score")
    assert score.isChecked()
    score.trigger()
    assert table.view.isColumnHidden(2)
    assert table.rows.tsv([0], [0, 1]) == table.tsv().split("1\t")[0]
    other = DataTable("sample", table._settings)
    qtbot.addWidget(other)
    show(other)
    assert other.view.isColumnHidden(2), "the next window hides it, too"
    for key in ("index", "name"):
        other.hide_column(key, hidden=True)
    left = [one for one in other.column_menu().actions() if one.isChecked()]
    assert [one.isEnabled() for one in left] == [False], "the last one stays"
    other.hide_column("score", hidden=False)
    assert not other.view.isColumnHidden(2)


def test_decimal_points_are_below_each_other(table: DataTable) -> None:
    assert tail_of("12.5%") == ".5%"
    assert tail_of("−1,200") == ""
    assert tail_of("–") == ""
    table.show_columns([Column("n", "n", np.array([111.5, 222.0, 333.25]))])
    table.view.setColumnWidth(0, 200)
    image = table.view.viewport().grab().toImage()
    metrics = table.view.fontMetrics()
    scale = image.devicePixelRatio()
    assert metrics.horizontalAdvance("1") == metrics.horizontalAdvance("3"), "tabular figures"
    ground = image.pixel(2, 2)

    def left_edge(row: int) -> int:
        box = table.view.visualRect(table.rows.index(row, 0))
        rows = range(int((box.top() + 2) * scale), int((box.bottom() - 2) * scale))
        wide = range(image.width())
        return next(x for x in wide if any(image.pixel(x, y) != ground for y in rows))

    edges = [left_edge(row) for row in range(3)]
    assert max(edges) - min(edges) <= 3, "only as different as the digits themselves"


def test_numbers_are_on_the_right_and_names_on_the_left(table: DataTable) -> None:
    role = Qt.ItemDataRole.TextAlignmentRole
    sides = [Qt.AlignmentFlag(table.rows.index(0, x).data(role)) for x in range(3)]
    assert [Qt.AlignmentFlag.AlignRight in one for one in sides] == [True, False, True]


def test_what_is_flagged_comes_into_view_unless_the_user_has_moved(table: DataTable) -> None:
    columns = [Column("index", "n", np.arange(400)), Column("x", "x", np.linspace(0, 1, 400))]
    bar = table.view.verticalScrollBar()

    def sees(row: int) -> bool:
        place = table.view.visualRect(table.rows.index(row, 0))
        return table.view.viewport().rect().contains(place)

    table.show_columns(columns, (300,), "one")
    assert sees(300)
    assert table.rows.index(300, 0).data(Qt.ItemDataRole.FontRole).weight() >= QFont.Weight.Bold
    bar.triggerAction(QAbstractSlider.SliderAction.SliderToMinimum)
    table.show_columns(columns, (300,), "one")
    assert sees(0)
    assert not sees(300), "the user wants to see something else"
    table.show_columns(columns, (200,), "another")
    assert sees(200), "another result"
    table.view.selectRow(200)
    table.show_columns(columns, (20,), "another")
    assert not sees(20)
    assert sees(200)


def test_percentages_and_whole_numbers_are_exact_when_copied(table: DataTable) -> None:
    share = Column("share", "share", np.array([2 / 3]), form=percent)
    count = Column("count", "count", np.array([12345]), form=lambda value: f"{value:,}")
    table.show_columns([share, count])
    assert table.text(0, 0) == "66.7%"
    assert table.tsv().splitlines()[1] == "0.6666666666666666\t12345"


def test_the_suspected_class_is_marked_in_the_table_of_classes(opened: MainWindow) -> None:
    view, audit = find(opened, ClassView), audit_of(opened)
    view.show_as.chosen.emit("table")
    view.show_as.choose("table")
    view.redraw()
    (target,) = audit.finding.suspected
    assert view.table.isVisible()
    assert view.table.selected() == [target]
    place = view.table.rows.index(target, 1)
    assert place.data(Qt.ItemDataRole.ForegroundRole).name() == view.theme.poisoned.lower()
    assert view.table.view.viewport().rect().intersects(view.table.view.visualRect(place))
    view.table.sort(view.table.rows.columns[2].key)
    assert view.table.rows.order[0] == audit.shifts.l2.argmin()
    view.table.view.selectRow(3)
    QTest.keyClick(view.table.view, Qt.Key.Key_Return)
    assert opened.session.state.selection.class_index == int(view.table.rows.order[3])
    show_audit(opened.context, audit)
    assert view.csv().splitlines()[0].startswith(",class,")


def test_neurons_selected_elsewhere_come_into_view_and_a_filter_selects_none(
    opened: MainWindow,
) -> None:
    workspace(opened).docks["table"].show()
    table = find(opened, NeuronTableView)
    last = int(table.rows.order[-1])
    opened.context.selection.select_neurons((last,), "replace", last)
    place = table.view.visualRect(table.rows.index(len(table.rows.order) - 1, 0))
    assert table.view.viewport().rect().intersects(place)
    table.field.setText("no neuron is called this")
    assert table.rows.rowCount() == 0
    assert opened.session.state.selection.neurons == {last}
    table.field.setText(str(last))
    assert last in table.selected()


def test_a_click_with_ctrl_keeps_what_the_filter_hides(opened: MainWindow) -> None:
    workspace(opened).docks["table"].show()
    table = find(opened, NeuronTableView)
    audit = audit_of(opened)
    count = audit.shifts.shift.shape[1]
    hidden, shown = [1, 2], [count - 1, 7]
    opened.context.selection.select_neurons(hidden)

    def click(row: int, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        table.field.setText(str(row))
        index = table.rows.index(table.rows.row_of(row) or 0, 0)
        table.view.scrollTo(index)
        QTest.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, keys,
                         pos=table.view.visualRect(index).center())  # fmt: skip

    ctrl = Qt.KeyboardModifier.ControlModifier
    for row in shown:
        click(row, ctrl)
    assert opened.session.state.selection.neurons == {*hidden, *shown}
    click(shown[1], ctrl)
    assert opened.session.state.selection.neurons == {*hidden, shown[0]}
    table.field.setText("")
    assert sorted(table.selected()) == sorted({*hidden, shown[0]})
    click(shown[1])
    assert opened.session.state.selection.neurons == {shown[1]}, "a click alone selects anew"
    table.select([1, 7])
    table.field.setText("7")
    click(7, ctrl)
    table.view.selectAll()
    assert table.wanted == {7}, "all that are there, and no others"


@pytest.mark.parametrize("width", [900, 1280])
def test_names_win_over_long_texts_and_show_their_ends(table: DataTable, width: int) -> None:
    long = [f"a-folder-of-models-{i}-trained-alike.pth" for i in range(5)]
    table.show_columns([
        Column("index", "", np.arange(5)), Column("name", "name", texts=long),
        Column("finding", "finding", texts=["Nothing unusual found"] * 5),
        Column("score", "score", SCORES), Column("more", "more", texts=["many words " * 20] * 5),
    ])  # fmt: skip
    table.resize(width, 200)
    header, view = table.view.horizontalHeader(), table.view
    assert header.sectionSize(1) >= min(view.sizeHintForColumn(1), 0.29 * width)
    assert header.sectionSize(2) >= view.sizeHintForColumn(2)
    assert header.sectionSize(4) < view.sizeHintForColumn(4)
    option = QStyleOptionViewItem()
    for column, mode in ((1, Qt.TextElideMode.ElideMiddle), (4, Qt.TextElideMode.ElideRight)):
        option.initFrom(view)
        option.textElideMode = view.textElideMode()
        painter = view.itemDelegate()
        assert isinstance(painter, CellPainter)
        painter.initStyleOption(option, table.rows.index(0, column))
        assert option.textElideMode == mode


def test_numbers_of_a_row_are_bars_and_the_suspected_one_is_marked(table: DataTable) -> None:
    bars = [(3.0, 1.0, 3.0), (), *[(2.0,) * 1000] * 3]
    columns = [
        Column("name", "name", texts=NAMES),
        Column("norms", "Norms", SCORES, bars=bars, marked=[1, -1, 999, -1, -1]),
    ]
    table.paint(LIGHT)
    table.show_columns(columns)
    table.resize(600, 240)

    def bottom_colors(row: int) -> list[str]:
        """Of a line near the foot of the bars, without repetition."""
        box = table.view.visualRect(table.rows.index(row, 1))
        image = table.view.viewport().grab(box).toImage()
        line = [image.pixelColor(x, image.height() - 6).name() for x in range(image.width())]
        return [one for one, _ in groupby(line)]

    gap = bottom_colors(1)
    assert len(gap) == 1  # nothing is drawn where there is nothing
    assert bottom_colors(0) == [
        *gap, LIGHT.bar, *gap, LIGHT.poisoned, *gap, LIGHT.bar, *gap,
    ]  # fmt: skip
    assert LIGHT.poisoned in bottom_colors(2)  # also where several share a bar
    assert LIGHT.poisoned not in bottom_colors(3)
    assert table.view.columnWidth(1) < 200
