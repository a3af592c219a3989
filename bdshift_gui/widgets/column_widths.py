"""How wide the columns of a table are: numbers as wide as they need, and names before the texts
beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QHeaderView, QTableView

from bdshift_gui.widgets.table_rows import Column

_MIN_NAME = 96  # pixels of a name, below which the table scrolls sideways
_SHARE_OF_NAMES = 0.3  # of the table's width, which names have if they are as long
_MIN_TEXT = 176  # pixels that a text beside the names keeps, if it is as long
_Modes = QHeaderView.ResizeMode


def fit_columns(view: QTableView, columns: Sequence[Column], visible: Sequence[int]) -> None:
    """Hide what is not ``visible``. The first texts are the names: they get the room that numbers
    leave. Where that is too little, the longest of the other texts are cut first, since their
    tips have all of them; then the table scrolls sideways.
    """
    header = view.horizontalHeader()
    texts = [x for x, one in enumerate(columns) if x in visible and not one.is_number]
    for x in range(len(columns)):
        header.setSectionHidden(x, x not in visible)
        wide = not texts or x == texts[0]
        header.setSectionResizeMode(x, _Modes.Stretch if wide else _Modes.ResizeToContents)
    if not texts:
        return
    hints = {x: _hint(view, x) for x in visible}
    room = view.viewport().width() - sum(hints.values())
    others = {x: hints[x] for x in texts[1:]}
    if room < 0 and others:
        most = max(_MIN_TEXT, _limit([*others.values()], sum(others.values()) + room))
        for x, width in others.items():
            if width > most:
                header.setSectionResizeMode(x, _Modes.Fixed)
                header.resizeSection(x, most)
                room += width - most
    least = max(_MIN_NAME, min(hints[texts[0]], int(_SHARE_OF_NAMES * view.viewport().width())))
    if hints[texts[0]] + room < least:
        header.setSectionResizeMode(texts[0], _Modes.Fixed)
        header.resizeSection(texts[0], least)


def _hint(view: QTableView, x: int) -> int:
    return max(view.sizeHintForColumn(x), view.horizontalHeader().sectionSizeHint(x))


def _limit(widths: Sequence[int], room: int) -> int:
    """The most that each may have so that all have ``room`` together."""
    left = sorted(widths)
    while left:
        most = room // len(left)
        if left[0] > most:
            return most
        room -= left.pop(0)
    return room
