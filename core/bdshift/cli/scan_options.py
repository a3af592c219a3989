"""The options of every command that scans: how, and how the files are read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from bdshift.budgets import SCAN_SECONDS
from bdshift.checkpoints.prompts import PROMPT_SETS, SLOT, USUAL_PROMPTS
from bdshift.cli.console import WEIGHTS_HELP
from bdshift.cli.explained import detector_option, rule_option, shift_option
from bdshift.images.framing import FITS

_OPTIONS = (
    shift_option("alpha"),
    shift_option("solver"),
    detector_option,
    rule_option,
    click.option("--quick", is_flag=True,
                 help="Judge the embedding alone; search for no triggers."),
    click.option("--budget", default=SCAN_SECONDS, show_default=True,
                 help="Seconds, about, for searches in the images: how many kinds are tried "
                 "follows from it. Not used with --quick, --detector or --rule."),
    click.option("--each-preprocessing", is_flag=True,
                 help="Search under each preprocessing that the images do not rule out."),
    click.option("--sample", default="2500", show_default=True, help="Count, share (5%) or all."),
    click.option("--normalize", help="A known name, or mean/std; default: try all known."),
    click.option("--fit", type=click.Choice(FITS),
                 help="How pictures become square; default: try all."),
    click.option("--labels", type=click.Path(), help="Class-name file."),
    click.option("--prompts", metavar="NAME|FILE",
                 help=f"Prompt templates of a CLIP model: {', '.join(PROMPT_SETS)}, or a file with "
                 f"one in each line, as: a photo of a {SLOT}. Default: {USUAL_PROMPTS}."),
    click.option("--weights", help=WEIGHTS_HELP),
    click.option("--device", default="auto", show_default=True,
                 help="auto, cpu, cuda, cuda:1, mps."),
    click.option("--batch", type=int,
                 help="Images at a time; default: by the work that one takes."),
    click.option("--seed", default=0, show_default=True, help="Seed of the sample."),
)  # fmt: skip


def scan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options, and its function one argument for them all: ``asked``, an
    `AskedScan`.
    """

    @functools.wraps(function)
    def run(*args: Any, **values: Any) -> Any:
        from bdshift.audit.asked import AskedScan

        values["detectors"] = values.pop("detector_texts")
        values["rule"] = values.pop("rule_text")
        asked = AskedScan(**{one.name: values.pop(one.name) for one in fields(AskedScan)})
        return function(*args, asked=asked, **values)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run
