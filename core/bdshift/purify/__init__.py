"""Taking a backdoor out: one method a file, behind one signature.

A method is written as text, ``name:option=value,option=value``, as a trigger is: ``shift-tuning``,
``shift-tuning:epochs=12``, ``cut:ranking=weights``. ``paper`` stands for the paper's settings.
"""

from __future__ import annotations

from bdshift.purify.anp import Anp
from bdshift.purify.beear import Beear
from bdshift.purify.clean_data import CleanData, Part, read_part, split_clean
from bdshift.purify.clp import Clp
from bdshift.purify.fine_tuning import FineTuning
from bdshift.purify.ft_sam import FtSam
from bdshift.purify.method import Method, Step
from bdshift.purify.pruning import Cut, FinePruning
from bdshift.purify.rnp import Rnp
from bdshift.purify.run import Purified, Row, Watch, purify
from bdshift.purify.shift_tuning import PAPER, ShiftTuning
from bdshift.purify.tsbd import Tsbd
from bdshift.spec import parse_spec

__all__ = [
    "METHODS", "PAPER", "CleanData", "Cut", "FinePruning", "FineTuning", "Method", "Part",
    "Purified", "Row", "ShiftTuning", "Step", "Watch", "parse_method", "purify", "read_part",
    "split_clean",
]  # fmt: skip

METHODS: dict[str, type[Method]] = {
    kind.name: kind
    for kind in (ShiftTuning, FineTuning, FinePruning, Cut, Clp, Anp, Rnp, Tsbd, FtSam, Beear)
}
"""Every method by the name it has in its text."""


def parse_method(text: str) -> Method:
    """Read a method's text.

    Raises `UsageError` if the method or an option is unknown or out of range.
    """
    return PAPER if text == "paper" else parse_spec(text, METHODS, "method")
