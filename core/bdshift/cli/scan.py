"""``bdshift scan MODEL IMAGES``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.color import with_colored_headline
from bdshift.cli.console import (
    ConsoleJob,
    arch_option,
    guarded,
    require_folder,
)
from bdshift.cli.exit_status import EXIT_SUSPICIOUS
from bdshift.cli.next_command import after_scan
from bdshift.cli.paths import PATH, PathOrAddress
from bdshift.cli.scan_options import scan_options
from bdshift.outputs import Output, check_apart
from bdshift.text import one_line
from bdshift.writing import remove

if TYPE_CHECKING:
    from bdshift.audit.asked import AskedScan
    from bdshift.checkpoints.users_own import Architecture


@click.command("scan", short_help="Audit a checkpoint with a folder of clean images.")
@click.argument("model", type=PathOrAddress())
@click.argument("images", type=PATH)
@click.option("-o", "--out", type=PATH, help="Write the audit file (.h5) here.")
@click.option("--report", "reports", multiple=True, type=PATH,
              help="Write a report, too, in the format that its name ends in: .html, .json, "
              ".sarif, or .cdx.json for an ML-BOM. Several can be given.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace --out and reports that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@scan_options
@click.option("--reference", metavar="MODEL", type=PATH,
              help="A model of the same classes that is known to be clean: what is easy to reach "
              "there, too, is no evidence.")  # fmt: skip
@arch_option
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
    model: Path | str,
    images: Path,
    out: Path | None,
    reports: tuple[Path, ...],
    overwrite: bool,
    as_json: bool,
    asked: AskedScan,
    reference: Path | None,
    arch: Architecture | None,
    embeddings: bool,
    cache: bool,
    fail_on: str | None,
    job: ConsoleJob,
) -> None:
    """Audit the checkpoint MODEL with IMAGES, a folder or zip with one folder for each class. MODEL
    can be an address that fsspec opens, such as hf://org/model: it is fetched, and not kept.

    Triggers are searched for in the images, too, and the evidence is compared with that against
    clean models, unless with --quick, or if detectors or a rule are named.

    With --reference, that model is searched in the same way, which takes as long again.

    If interrupted, the same command with --out goes on after the last finished detector.
    """
    others = (Path(one) for one in (asked.labels, reference) if one is not None)
    inputs = (images, *others, *((model,) if isinstance(model, Path) else ()))
    output = None if out is None else Output(out, overwrite, inputs)
    if output is not None:
        require_folder(output.path)
        output.check()
    pages = [Output(one, overwrite, inputs) for one in reports]
    from bdshift.audit import scan as run
    from bdshift.fleet.addresses import fetched
    from bdshift.reports.json_report import audit_json
    from bdshift.reports.report_file import check_suffix, report_text
    from bdshift.reports.text_report import audit_text
    from bdshift.resume import state_beside
    from bdshift.shift.cache import EmbeddingCache
    from bdshift.store import save_audit
    from bdshift.store.finished import FinishedEvidence

    for page in pages:
        check_suffix(page.path)
        page.check()
    check_apart([one for one in (*pages, output) if one is not None])
    settings = asked.settings(arch)
    state = None
    if output is not None and (settings.search or len(settings.detectors) > 1):
        state = state_beside(output.path, "scan", job)
    with fetched(str(model)) as path:
        audit = run(
            path, images, settings, cache=EmbeddingCache() if cache else None,
            finished=FinishedEvidence(state, job) if state else None, reference=reference, job=job,
        )  # fmt: skip
    if not isinstance(model, Path):
        audit = replace(audit, model=replace(audit.model, path=model))
    job.close()
    if as_json:
        click.echo(json.dumps(audit_json(audit), indent=2))
    else:
        click.echo(with_colored_headline(audit_text(audit), audit.finding.level))
    if output is not None:  # first: if a report cannot be written, the result is not lost
        save_audit(audit, output, embeddings=embeddings, job=job)
        if state is not None:
            remove(state)
    for page in pages:
        page.write_text(report_text(audit, page.path))
    if output is not None and not as_json:
        click.echo(f"\nAudit file: {one_line(str(out))}")
        click.echo(after_scan(audit, asked, output.path))
    if fail_on is not None and audit.finding.level in _FAILING[fail_on]:
        sys.exit(EXIT_SUSPICIOUS)


_FAILING = {"suspicious": ("backdoored",), "inconclusive": ("backdoored", "inconclusive")}
