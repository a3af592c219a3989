"""The options of every command that scans: how, and how the files are read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bdshift.budgets import SCAN_SECONDS
from bdshift.checkpoints.prompts import PROMPT_SETS, SLOT, USUAL_PROMPTS
from bdshift.cli.console import WEIGHTS_HELP
from bdshift.cli.explained import (
    detector_option,
    normalization_text,
    rule_option,
    shift_option,
)
from bdshift.cli.names import NamedText
from bdshift.cli.paths import PATH
from bdshift.errors import UsageError
from bdshift.images.framing import FITS

if TYPE_CHECKING:
    from bdshift.audit.asked import AskedScan

_OPTIONS = (
    shift_option("alpha"),
    shift_option("solver", is_choice=True),
    detector_option,
    rule_option,
    click.option("--quick", is_flag=True,
                 help="Judge the embedding alone; search for no triggers."),
    click.option("--budget", default=SCAN_SECONDS, show_default=True,
                 help="Seconds, about, for searches in the images: how many kinds are tried "
                 "follows from it. A witness, if one is asked, may take as long again. Not used "
                 "with --quick, --detector or --rule."),
    click.option("--each-preprocessing", is_flag=True,
                 help="Search under each preprocessing that the images do not rule out."),
    click.option("--sample", default="2500", show_default=True, help="Count, share (5%) or all."),
    click.option("--normalize", type=normalization_text,
                 help="A known name, or mean/std; default: try all known."),
    click.option("--fit", type=click.Choice(FITS),
                 help="How pictures become square; default: try all."),
    click.option("--labels", type=PATH, help="Class-name file."),
    click.option("--prompts", metavar="NAME|FILE", type=NamedText(lambda: PROMPT_SETS),
                 help=f"Prompt templates of a CLIP model: {', '.join(PROMPT_SETS)}, or a file with "
                 f"one in each line, as: a photo of a {SLOT}. Default: {USUAL_PROMPTS}."),
    click.option("--weights", help=WEIGHTS_HELP),
    click.option("--device", default="auto", show_default=True,
                 help="auto, cpu, cuda, cuda:1, mps."),
    click.option("--batch", type=int,
                 help="Images at a time; default: by the work that one takes."),
    click.option("--seed", default=0, show_default=True, help="Seed of all random choices."),
)  # fmt: skip


def scan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options, and its function one argument for them all: ``asked``, an
    `AskedScan`.
    """

    @functools.wraps(function)
    def run(*args: Any, **values: Any) -> Any:
        kind = _asked_scan()
        values["detectors"] = values.pop("detector_texts")
        values["rule"] = values.pop("rule_text")
        values["labels"] = None if values["labels"] is None else str(values["labels"])
        asked = kind(**{one.name: values.pop(one.name) for one in fields(kind)})
        return function(*args, asked=asked, **values)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def refuse_scan_options() -> None:
    """Raise `UsageError` if the command was given options of a scan although it scans nothing.
    Device and seed are of what it does in any case.
    """
    context = click.get_current_context()
    of_scan = {one.name for one in fields(_asked_scan())} - {"device", "seed"}
    of_scan |= {"detector_texts", "rule_text"}
    for param in context.command.params:
        given = context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if param.name in of_scan and given:
            raise UsageError(
                "{option} is about a scan, and the audit file holds one already; give the model "
                "and its images to scan them again",
                option=param.opts[-1],
            )  # fmt: skip


def _asked_scan() -> type[AskedScan]:
    from bdshift.audit.asked import AskedScan

    return AskedScan
