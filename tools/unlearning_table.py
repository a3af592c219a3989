"""Writes what `tools/unlearning.py` and `tools/disentanglement_causes.py` have measured as tables:
all runs of unlearning into a page of their own, the rest into docs/results-clip.md.

    python tools/unlearning_table.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from tools.kept_rows import read_rows
from tools.page_tables import table, with_table
from tools.unlearning import USUAL

DOCS = Path(__file__).parents[1] / "docs"
_HEADS = {
    ("tbar:contrast=false", "known"): "TBAR, published",
    ("tbar:contrast=false", "recovered"): "published, recovered",
    ("tbar", "known"): "TBAR, ours", ("tbar", "recovered"): "ours, recovered",
    ("relabeling", "known"): "relabeling", ("gradient-ascent", "known"): "ascent",
    ("fine-tuning", "none"): "fine-tuning", ("cleanclip", "none"): "CleanCLIP",
    ("roclip", "none"): "RoCLIP", ("shift-tuning", "none"): "shift tuning",
}  # fmt: skip
_OF_ALL = "# Unlearning, every run\n\nPercent, on test images that no method saw."

Row = Mapping[str, str]


def _by(rows: Iterable[Row], *names: str) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def _percent(value: float) -> str:
    whole = 0.0995 <= value < 0.9945 or value >= 0.9995
    return f"{100 * value:.{0 if whole else 1}f}"


def _percents(row: Row, *names: str) -> list[str]:
    return [_percent(float(row[name])) for name in names]


def means(rows: Sequence[Row]) -> str:
    """ASR that is left and accuracy that is lost, for every victim and method."""
    lines = []
    for (victim,), all_runs in _by(_usual(rows), "victim").items():
        runs, first = _by(all_runs, "method", "trigger"), all_runs[0]
        before = _percents(first, "acc before", "asr before")
        cells = [_cell(runs[key]) if key in runs else "" for key in _HEADS]
        lines.append((f"`{victim}`", *before, *cells))
    return table("|".join(("victim", "ACC", "ASR", *_HEADS.values())), lines)


def _cell(runs: Sequence[Row]) -> str:
    left = fmean(float(one["asr after"]) for one in runs)
    lost = 100 * fmean(float(one["acc before"]) - float(one["acc after"]) for one in runs)
    return f"{_percent(left)} ({lost:z.1f})"


def _usual(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["images"] == str(USUAL)]


def images_needed(rows: Sequence[Row]) -> str:
    """What TBAR leaves with so many images."""
    few = [row for row in rows if row["images"] != str(USUAL)]
    lines = []
    for (victim, method, images), runs in _by(few, "victim", "method", "images").items():
        removed = sum(run["said"] == "Removed" for run in runs)
        told = "published" if "contrast=false" in method else "ours"
        lines.append((f"`{victim}`", told, images, *_lists(runs), str(removed)))
    lines.sort(key=lambda one: (*one[:2], int(one[2])))
    return table("victim|TBAR|images|ASR|ACC|recall|removed, of 3", lines)


def _lists(runs: Sequence[Row]) -> list[str]:
    names = ("asr after", "acc after", "recall after")
    return [", ".join(_percent(float(run[name])) for run in runs) for name in names]


def page(rows: Sequence[Row]) -> str:
    """All runs, a table for each victim."""
    parts = [_OF_ALL]
    for (victim,), runs in _by(_usual(rows), "victim").items():
        lines = [
            (
                _HEADS.get((method, trigger), method), *_lists(found),
                ", ".join(dict.fromkeys(one["said"] for one in found if one["said"])),
            )
            for (method, trigger), found in _by(runs, "method", "trigger").items()
        ]  # fmt: skip
        first = ("before", *_percents(runs[0], "asr before", "acc before", "recall before"), "")
        parts.append(f"## {victim}\n\n{table('method|ASR|ACC|recall|said', [first, *lines])}")
    return "\n\n".join(parts) + "\n"


def causes(rows: Sequence[Row]) -> str:
    """What each vector of a backdoor does, by `tools/disentanglement_causes.py`."""
    lines = []
    for (base, way, rate), vectors in _by(rows, "base", "way", "rate").items():
        before = _percents(vectors[0], "acc", "asr", "recall")
        lines.append((f"`{base}`, {way}, rate {rate}", "the victim", "", "", *before, "", ""))
        for row in vectors:
            after = _percents(row, "acc after", "asr after", "recall after")
            xi = [f"{float(row[f'xi {name}']):.2f}" for name in ("clean", "triggered")]
            alpha, cosine = (f"{float(row[name]):.2f}" for name in ("alpha", "cosine"))
            lines.append(("", row["vector"], cosine, alpha, *after, *xi))
    return table("model, way|vector|cosine|α|ACC|ASR|recall|ξ, clean|triggered", lines)


UNLEARNING, CAUSES = "unlearning.csv", "clip/causes.csv"
TABLES = {
    "unlearning": (UNLEARNING, means), "images to unlearn": (UNLEARNING, images_needed),
    "causes": (CAUSES, causes),
}  # fmt: skip
"""By name: the rows, and what is made of them. docs/results-clip.md has each between
`<!-- name -->` and `<!-- end -->`.
"""


def with_tables(text: str, results: Path) -> str:
    """The page docs/results-clip.md with new tables, from the folder of results."""
    for name, (file, make) in TABLES.items():
        text = with_table(text, name, make(read_rows(results / file)))
    return text


def main() -> None:
    """Write both pages."""
    results, summary = DOCS / "results", DOCS / "results-clip.md"
    every = page(read_rows(results / UNLEARNING))
    (results / "unlearning.md").write_text(every, encoding="utf-8")
    summary.write_text(with_tables(summary.read_text("utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
