"""Text from files, made safe to show."""

import csv
import io
import math

import pytest

from bdshift.csv_data import csv_rows, csv_text
from bdshift.text import columns, figure, grouped, natural_key, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("speed 80", "speed 80"),
        ("止まれ　犬", "止まれ　犬"),
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\udcff", r"\udcff"),
        ("\u2028x", r"\u2028x"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_columns() -> None:
    assert columns("stop") == 4
    assert columns("止まれ") == 6
    assert columns("e\u0301") == 1


def test_names_are_sorted_by_the_numbers_in_them() -> None:
    names = ["a10", "a9", "a²", "b10000000000", "b9999999999", "7", "x" + "1" * 5000]
    expected = ["7", "a9", "a10", "a²", "b9999999999", "b10000000000", "x" + "1" * 5000]
    assert sorted(names, key=natural_key) == expected


def test_figures() -> None:
    assert [figure(x) for x in (None, math.nan, math.inf, -math.inf)] == ["–", "–", "∞", "−∞"]
    assert figure(-1.5, ".1f") == "−1.5"


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [(1200.0, ".4g", "1,200"), (-12345.678, ".1f", "−12,345.7"), (1200.0, "g", "1,200"),
     (12.0, ".1%", "1,200.0%"), (1e7, "#.3g", "1.00e+07"), (1234.5, ",.0f", "1,234"),
     (999.0, "", "999.0"), (1200.0, "", "1,200.0")],
)  # fmt: skip
def test_thousands_have_one_style(value: float, form: str, shown: str) -> None:
    assert figure(value, form) == shown


def test_counts_are_grouped_as_figures_are() -> None:
    assert [grouped(n) for n in (0, 999, 1200, 2_500_000)] == ["0", "999", "1,200", "2,500,000"]


def test_no_cell_of_a_csv_is_a_formula() -> None:
    hostile = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1",
               "=HYPERLINK(\"x\")", "-inf", "−"]  # fmt: skip
    rows = list(csv.reader(io.StringIO(csv_text([hostile]))))
    assert rows == [[
        "'=1+1", "'+cmd|' /C calc'!A0", "'-2+3", "'@SUM(A1)", "\\t=1", "\\r=1", "' =1", "'＝1+1",
        "'=HYPERLINK(\"x\")", "'-inf", "−",
    ]]  # fmt: skip
    numbers = ["-1.5", "+2", "-3e-05", -4, -0.5, None, True, "a,b", "c=d"]
    assert csv_text([numbers]) == '-1.5,+2,-3e-05,-4,-0.5,,True,"a,b",c=d\n'
    assert csv_rows(csv_text([["a", "b"], ["=1", -2.5]])) == [{"a": "=1", "b": "-2.5"}]
    assert csv_text([["two\nlines", "\u202egnp"]]) == "two\\nlines,\\u202egnp\n"
