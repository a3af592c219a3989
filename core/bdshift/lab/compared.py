"""Our figures beside the paper's, cell by cell: how far apart, and which of them need a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from bdshift.csv_data import csv_text
from bdshift.lab.protocol import TARGET, Row, TableScale
from bdshift.lab.svg import Panel, draw

LIMITS = {"ACC": 0.03, "ASR": 0.03, "DER": 0.03, "cosine": 0.05}
"""By how much a figure may differ from the published one without a reason: 3 points, or 0.05."""


@dataclass(frozen=True)
class Cell:
    """A figure that the paper prints, and ours.

    Attributes:
        table: its number in the paper.
        what: the row: a method, a ranking ("|shift|": of absolute values), or "none" for the victim
            itself.
        attack: the column.
        figure: "ACC", "ASR", "DER" (shares), "cosine" or "z".
        ours: mean over ``count`` seeds.
        published: the paper's.
    """

    table: int
    what: str
    attack: str
    figure: str
    ours: float
    published: float
    count: int

    @property
    def difference(self) -> float:
        """Ours less theirs."""
        return self.ours - self.published

    @property
    def differs(self) -> bool:
        """Whether that needs a reason; never for z, whose spread over seeds nobody printed."""
        return abs(self.difference) > LIMITS.get(self.figure, float("inf"))


def compare(rows: Sequence[Row], scale: TableScale) -> list[Cell]:
    """Every cell that has a row, in the order of the paper's tables. Our own method stands beside
    the paper's as well.
    """
    return sorted(_cells(rows, scale), key=lambda cell: cell.table)


def _cells(rows: Sequence[Row], scale: TableScale) -> Iterator[Cell]:
    known = scale.published

    def cell(
        table: int, what: str, attack: str, figure: str, published: float,
        of: Callable[[Row], float], method: str | None = None,
    ) -> Iterator[Cell]:  # fmt: skip
        own = [row for row in rows if row["attack"] == attack and row.get("method") == method]
        if own:
            yield Cell(table, what, attack, figure, fmean(map(of, own)), published, len(own))

    for what, cosines in known.cosines.items():
        method = what if what in scale.every_method else None
        for attack, value in cosines.items():
            yield from cell(1, what, attack, "cosine", value, _cosine(method), method)
            if method is None:  # the paper does not say whether its own is of absolute values
                yield from cell(
                    1, f"|{what}|", attack, "cosine", value, _cosine(method, "cosine_abs")
                )
    for attack, (_, z) in known.norms.items():
        yield from cell(known.norms_in, "shift", attack, "z", z, lambda row: row["z"][TARGET])
    for attack, pair in known.before.items():
        for name, value in zip(("acc", "asr"), pair, strict=True):
            yield from cell(
                known.purified_in, "none", attack, name.upper(), value,
                lambda row, name=name: row["training"]["outcome"][name],  # type: ignore[misc]
            )  # fmt: skip
    cleaned = [(known.purified_in, method, figures) for method, figures in known.purified.items()]
    cleaned += [
        (known.purified_in, scale.ours, known.purified[known.own]), (6, scale.ours, known.rates),
    ]  # fmt: skip
    for table, method, figures in cleaned:
        for attack, triple in figures.items():
            for name, value in zip(("acc", "asr", "der"), triple, strict=True):
                yield from cell(
                    table, method, attack, name.upper(), value,
                    lambda row, name=name: row[name], method,  # type: ignore[misc]
                )  # fmt: skip


def _cosine(method: str | None, key: str = "cosine") -> Callable[[Row], float]:
    """Of a victim's row that of the shift, of a purification's that of its own ranking."""
    if method is None:
        return lambda row: float(row["agreement"]["shift"][key])
    return lambda row: float(row["agreement"][key])


def compared_table(cells: Sequence[Cell]) -> Iterator[str]:
    """Lines of Markdown: the cells that need a reason; nothing if no cell has a row."""
    if not cells:
        return
    judged = [cell for cell in cells if cell.figure in LIMITS]
    far = [cell for cell in judged if cell.differs]
    yield "## Where they differ from the published ones"
    yield ""
    yield (
        f"{len(far)} of {len(judged)} cells differ by more than 3 points (ACC, ASR, 100 · DER) or "
        "0.05 (cosine). All cells, and every z, are in `compared.csv`."
    )
    yield ""
    if not far:
        return
    yield "| table | row | attack | figure | ours | published | difference |"
    yield "|---:|---|---|---|---:|---:|---:|"
    for cell in far:
        numbers = (_shown(cell, value) for value in (cell.ours, cell.published))
        signed = _shown(cell, cell.difference, "+")
        words = [cell.what.replace("|", "\\|"), cell.attack, cell.figure, *numbers, signed]
        yield f"| {cell.table} | {' | '.join(words)} |"
    yield ""


def _shown(cell: Cell, value: float, sign: str = "") -> str:
    text = f"{value:{sign}.3f}" if cell.figure == "cosine" else f"{100 * value:{sign}.1f}"
    return text.replace("-", "−")


def compared_files(cells: Sequence[Cell]) -> dict[str, str]:
    """``compared.csv`` and ``compared.svg``; nothing if no cell has a row."""
    if not cells:
        return {}
    lines = [
        (
            cell.table, cell.what, cell.attack, cell.figure, cell.count, f"{cell.ours:.4f}",
            f"{cell.published:.4f}", f"{cell.difference:.4f}", int(cell.differs),
        )
        for cell in cells
    ]  # fmt: skip
    head = (
        "table", "row", "attack", "figure", "seeds", "ours", "published", "difference", "differs",
    )  # fmt: skip
    panels = [
        _panel(figure, [cell for cell in cells if cell.figure == figure], span)
        for figure, span in (("ACC", (0, 1)), ("ASR", (0, 1)), ("DER", (0, 1)), ("cosine", (-1, 1)))
    ]
    return {"compared.csv": csv_text([head, *lines]), "compared.svg": draw(panels)}


def _panel(figure: str, cells: Sequence[Cell], span: tuple[float, float]) -> Panel:
    """Ours over theirs, with the line on which both agree."""
    return Panel(
        figure, "published", "ours", lines=[("the same", [(span[0],) * 2, (span[1],) * 2])],
        points=[(cell.published, cell.ours) for cell in cells], span=span,
    )  # fmt: skip
