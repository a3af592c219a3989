"""``bdshift neurons AUDIT.h5``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.console import ConsoleJob, arch_option, guarded, images_option, model_option
from bdshift.cli.explained import trigger_option
from bdshift.cli.paths import PATH
from bdshift.errors import InputError
from bdshift.outputs import Output

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.checkpoints.users_own import Architecture


@click.command("neurons", short_help="Rank neurons; measure TAC under a trigger.")
@click.argument("audit_file", metavar="AUDIT.h5", type=PATH)
@trigger_option()
@click.option(
    "--target",
    help="Any class, by name or index; default: that of a card given as "
    "--trigger, else the most suspicious.",
)
@model_option
@arch_option
@images_option
@click.option("--device", default="auto", show_default=True)
@click.option("--top", type=click.IntRange(1), default=20, show_default=True,
              help="Neurons to list.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all neurons.")
@guarded
def command(
    audit_file: Path,
    trigger: str | None,
    target: str | None,
    model: Path | None,
    images: Path | None,
    arch: Architecture | None,
    device: str,
    top: int,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Rank the neurons of an audit; with a trigger, measure TAC and add it to the audit file.

    Nothing else in the file changes. If no trigger is known, TAC is that of the one that `bdshift
    recover` has found for the class, if it has: a proxy.
    """
    from bdshift.audit import add_tac, reopen, with_tac
    from bdshift.reports.json_report import neurons_json
    from bdshift.reports.text_report import neurons_text
    from bdshift.steps.target import pick_class
    from bdshift.store import change_audit, load_audit
    from bdshift.triggers import card_target, is_card, parse_trigger

    audit = load_audit(audit_file)
    if target is None and trigger is not None and is_card(trigger):
        target = card_target(trigger) or None
    index = audit.most_suspicious if target is None else pick_class(audit, target)
    measured = None
    if trigger is not None:
        applied = parse_trigger(trigger)
        Output(audit_file.resolve(), overwrite=True).check()
        material = reopen(audit, model=model, images=images, arch=arch, job=job)
        measured = add_tac(audit, material, applied, index, device=device, job=job).tac[-1]
        audit = with_tac(audit, measured)
    tac = measured or audit.tac_of(index)
    job.close()
    if as_json:
        click.echo(json.dumps(neurons_json(audit, index, tac), indent=2))
    else:
        click.echo(neurons_text(audit, index, tac, top))
    if measured is None:
        return

    def with_measured(now: Audit) -> Audit:
        if not now.fits(audit):  # it may have been replaced meanwhile
            raise InputError("{path}: is now another audit; nothing is added", path=audit_file)
        return with_tac(now, measured)

    change_audit(audit_file, with_measured, job=job)  # last: its result has been told
