"""``bdshift scan MODEL IMAGES``."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.budgets import SCAN_SECONDS
from bdshift.checkpoints.prompts import PROMPT_SETS, SLOT, USUAL_PROMPTS, templates_of
from bdshift.cli.console import (
    EXIT_SUSPICIOUS,
    WEIGHTS_HELP,
    ConsoleJob,
    arch_option,
    guarded,
    require_folder,
)
from bdshift.cli.explained import detector_option, rule_option, shift_option
from bdshift.errors import UsageError
from bdshift.images.framing import FITS
from bdshift.outputs import Output
from bdshift.text import one_line
from bdshift.writing import remove

if TYPE_CHECKING:
    from bdshift.detect.detector import Detector


def parse_sample(text: str) -> int | float | None:
    """``all``, a count such as 2500, or a share such as 0.05 or 5%. Raises `UsageError`."""
    try:
        if text == "all":
            return None
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return int(text) if text.isdecimal() else float(text)
    except ValueError as error:
        raise UsageError(
            "--sample is a count, a share such as 0.05 or 5%, or all, not {text}", text=text
        ) from error


def pick_detectors(
    texts: tuple[str, ...], alpha: str | None, solver: str | None
) -> tuple[Detector, ...]:
    """The detectors asked for; the embedding shift is always the first. Raises `UsageError`."""
    from bdshift.detect.detector import DETECTORS
    from bdshift.detect.detectors.embedding_shift import EmbeddingShift
    from bdshift.spec import write_options

    found = [DETECTORS.parse(text) for text in texts]
    first = next((one for one in found if isinstance(one, EmbeddingShift)), EmbeddingShift())
    short = {"alpha": alpha, "solver": solver}
    given = {key: value for key, value in short.items() if value is not None}
    if given:
        changed = DETECTORS.parse(write_options(first.name, given))
        first = replace(first, **{key: getattr(changed, key) for key in given})
    return first, *(one for one in found if not isinstance(one, EmbeddingShift))


@click.command("scan", short_help="Audit a checkpoint with a folder of clean images.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the audit file (.h5) here.")
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@shift_option("alpha")
@shift_option("solver")
@detector_option
@rule_option
@click.option("--quick", is_flag=True, help="Judge the embedding alone; search for no triggers.")
@click.option("--budget", default=SCAN_SECONDS, show_default=True,
              help="Seconds, about, for searches in the images: how many kinds are tried "
              "follows from it. Not used with --quick, --detector or --rule.")  # fmt: skip
@click.option("--reference", metavar="MODEL", type=click.Path(path_type=Path),
              help="A model of the same classes that is known to be clean: what is easy to reach "
              "there, too, is no evidence.")  # fmt: skip
@click.option("--each-preprocessing", is_flag=True,
              help="Search under each preprocessing that the images do not rule out.")  # fmt: skip
@click.option("--sample", default="2500", show_default=True, help="Count, share (5%) or all.")
@click.option("--normalize", help="A known name, or mean/std; default: try all known.")
@click.option(
    "--fit", type=click.Choice(FITS), help="How pictures become square; default: try all."
)
@click.option("--labels", type=click.Path(path_type=Path), help="Class-name file.")
@click.option("--prompts", metavar="NAME|FILE",
              help=f"Prompt templates of a CLIP model: {', '.join(PROMPT_SETS)}, or a file with "
              f"one in each line, as: a photo of a {SLOT}. Default: {USUAL_PROMPTS}.")  # fmt: skip
@arch_option
@click.option("--weights", help=WEIGHTS_HELP)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--batch", type=int, help="Images at a time; default: by the work that one takes.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample.")
@click.option(
    "--embeddings/--no-embeddings", default=True, help="Keep the embeddings in the audit file."
)
@click.option("--cache/--no-cache", default=True, help="Reuse embeddings computed before.")
@click.option(
    "--fail-on", type=click.Choice(["suspicious", "inconclusive"]),
    help="Exit with 1 if the model is probably backdoored, or also if the audit is inconclusive.",
)  # fmt: skip
@guarded
def command(
    model: Path,
    images: Path,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    alpha: str | None,
    solver: str | None,
    detector_texts: tuple[str, ...],
    rule_text: str | None,
    quick: bool,
    budget: float,
    reference: Path | None,
    sample: str,
    prompts: str | None,
    embeddings: bool,
    cache: bool,
    fail_on: str | None,
    job: ConsoleJob,
    **options: object,
) -> None:
    """Audit the checkpoint MODEL with IMAGES, a folder or zip with one folder for each class.

    Triggers are searched for in the images, too, and the evidence is compared with that against
    clean models, unless with --quick, or if detectors or a rule are named.

    With --reference, that model is searched in the same way, which takes as long again.

    If interrupted, the same command with --out goes on after the last finished detector.
    """
    labels = options["labels"]
    others = (one for one in (labels, reference) if isinstance(one, Path))
    inputs = (model, images, *others)
    output = None if out is None else Output(out, overwrite, inputs)
    if output is not None:
        require_folder(output.path)
        output.check()
    from bdshift.audit import ScanSettings
    from bdshift.audit import scan as run
    from bdshift.audit.next_step import WHY, next_step
    from bdshift.detect.rule import RULES, default_rule
    from bdshift.report.json_report import audit_json
    from bdshift.report.text_report import audit_text
    from bdshift.resume import state_beside
    from bdshift.shift.cache import EmbeddingCache
    from bdshift.store import save_audit
    from bdshift.store.finished import FinishedEvidence

    settings = ScanSettings(
        detectors=pick_detectors(detector_texts, alpha, solver),
        rule=RULES.parse(rule_text) if rule_text else default_rule(),
        by_rule=bool(rule_text),
        search=0.0 if quick or detector_texts or rule_text else budget,
        sample=parse_sample(sample),
        prompts=() if prompts is None else templates_of(prompts),
        **options,  # type: ignore[arg-type]
    )
    state = None
    if output is not None and (settings.search or len(settings.detectors) > 1):
        state = state_beside(output.path, "scan", job)
    audit = run(
        model, images, settings, cache=EmbeddingCache() if cache else None,
        finished=FinishedEvidence(state, job) if state else None, reference=reference, job=job,
    )  # fmt: skip
    job.close()
    click.echo(json.dumps(audit_json(audit), indent=2) if as_json else audit_text(audit))
    if output is not None:  # last: if it cannot be written, the result is not lost
        save_audit(audit, output, embeddings=embeddings, job=job)
        if state is not None:
            remove(state)
        if not as_json:
            click.echo(f"\nAudit file: {one_line(str(out))}")
            step = next_step(audit)
            click.echo(f"{WHY[step]} {_COMMANDS[step].format(audit=shlex.quote(str(out)))}")
    if fail_on is not None and audit.finding.level in _FAILING[fail_on]:
        sys.exit(EXIT_SUSPICIOUS)


_COMMANDS = {
    "search": "bdshift scan, without --quick and --detector",
    "recover": "bdshift recover {audit}",
    "purify": "bdshift purify {audit} --out purified.pth",
    "compare": "bdshift compare {audit}",
    "report": "bdshift report {audit} --out report.html",
}
"""How each next step is taken."""

_FAILING = {"suspicious": ("backdoored",), "inconclusive": ("backdoored", "inconclusive")}
