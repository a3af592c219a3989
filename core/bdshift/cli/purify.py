"""``bdshift purify MODEL IMAGES | AUDIT.h5``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from bdshift.cli.console import ARCH_HELP, ConsoleJob, guarded, refuse_to_lose
from bdshift.cli.export import FORM_NAMES
from bdshift.cli.neurons import TRIGGER_HELP, pick_target
from bdshift.errors import UsageError
from bdshift.text import one_line

_METHOD_HELP = (
    "shift-tuning (default), paper (its settings), fine-tuning, fine-pruning, cut, clp, anp, rnp, "
    "tsbd, ft-sam, beear; with settings as shift-tuning:epochs=12,scale=2 or cut:neurons=3+17 or "
    "cut:ranking=weights or clp:form=reference."
)


@click.command("purify", short_help="Take the backdoor out, and write the cleaned model.")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path),
                metavar="MODEL IMAGES | AUDIT.h5")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The cleaned model.")
@click.option("--method", "method_text", default="shift-tuning", show_default=True,
              help=_METHOD_HELP)  # fmt: skip
@click.option("--target", default="auto", show_default=True,
              help="Poisoned class; auto: the one that the audit flags.")  # fmt: skip
@click.option("--held", default=0.2, show_default=True, help="Share of the images held out.")
@click.option("--trigger", help=f"Report attack success under it: {TRIGGER_HELP}")
@click.option("--test", type=click.Path(path_type=Path),
              help="Other images to report on; default: the held-out ones.")  # fmt: skip
@click.option("--format", "form", default="as-it-came", show_default=True,
              type=click.Choice(FORM_NAMES))  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path), help="The model, if it was moved.")
@click.option("--images", type=click.Path(path_type=Path), help="The images, if they were moved.")
@click.option("--arch", help=ARCH_HELP)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--seed", default=0, show_default=True, help="Of the split and the order of images.")
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    sources: tuple[Path, ...],
    out: Path,
    method_text: str,
    target: str,
    held: float,
    trigger: str | None,
    test: Path | None,
    form: str,
    model: Path | None,
    images: Path | None,
    arch: str | None,
    device: str,
    seed: int,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Purify a model. Give the audit file of a scan, or the model and the images to scan first.

    Stopped at any moment, the same command goes on after the last finished step. The model is never
    written. An audit file gets the purification added, with its weights; beside the cleaned model
    OUT, OUT.json says what was done, with which figures.
    """
    if len(sources) > 2:
        raise UsageError("give an audit file, or a model and its images")
    resume = out.with_name(out.name + ".state")
    for path in (out, out.with_name(out.name + ".json")):
        # with a state there, they are what a killed writer of this command left
        refuse_to_lose(path, overwrite or resume.exists(), *sources, *filter(None, (model,)))
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.absolute().parent}")
    from bdshift.audit import ScanSettings, reopen_model, scan
    from bdshift.audit.cleaning import clean_model
    from bdshift.checkpoints.export import KEEPS_CODE, check_form
    from bdshift.purify import parse_method
    from bdshift.report.cleaning_report import cleaned_text, export_cleaned
    from bdshift.shift.cache import EmbeddingCache
    from bdshift.store import load_audit, save_audit
    from bdshift.triggers import parse_trigger

    check_form(form)
    method = parse_method(method_text)
    applied = parse_trigger(trigger) if trigger else None
    if len(sources) == 1:
        audit = load_audit(sources[0])
    else:
        settings = ScanSettings(arch=arch, device=device)
        audit = scan(sources[0], sources[1], settings, cache=EmbeddingCache(), job=job)
    found = None if target == "auto" and target not in audit.images.class_names else target
    if found is None and not audit.verdict.poisoned:
        raise UsageError(
            "no class is flagged; if you know better, name the poisoned class with --target"
        )
    cleaned = clean_model(
        audit, method, pick_target(audit, found), model=model, images=images, arch=arch,
        held=held, trigger=applied, test=test, seed=seed, device=device, resume=resume, job=job,
    )  # fmt: skip
    if len(sources) == 1:
        audit = load_audit(sources[0])  # which may have got another purification meanwhile
    audit = replace(audit, runs=(*audit.runs, cleaned))
    original = reopen_model(audit, model=model, arch=arch, job=job)
    told = export_cleaned(audit, cleaned, original, out, form, overwrite=True)
    if len(sources) == 1:
        save_audit(audit, sources[0], embeddings=audit.embedding is not None)
    resume.unlink(missing_ok=True)
    if told["export"]["keeps_code"]:
        job.note(KEEPS_CODE)
    job.close()
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(map(one_line, cleaned_text(audit).splitlines())))
        click.echo(f"\nCleaned model: {one_line(str(out))}, {one_line(str(out))}.json")
