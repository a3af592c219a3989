"""``bdshift images AUDIT.h5``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.names import NameChoice
from bdshift.cli.paths import PATH
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.spec import shortened
from bdshift.text import one_line

if TYPE_CHECKING:
    from bdshift.audit.gallery import Gallery

_CLEAN = "none"
_USUAL_COUNT = 64
_MAX_SIDE = 512


def _known(of: str) -> NameChoice:
    """Names that `bdshift.audit.gallery` has for filters, orders or parts."""

    def names() -> Iterable[str]:
        import bdshift.audit.gallery as known

        return tuple(getattr(known, of))

    return NameChoice(names)


@click.command("images", short_help="List the images, with and without a trigger; draw them.")
@click.argument("audit_file", metavar="AUDIT.h5", type=PATH)
@click.option("--trigger", metavar="TEXT",
              help="Start of a trigger's text in the audit, or “none” for the clean images; "
              "default: the trigger measured last, else the one recovered last.")  # fmt: skip
@click.option("--only", type=_known("FILTERS"), help="Which images; default: sent, or all.")
@click.option("--order", type=_known("ORDERS"), default="turns", show_default=True,
              help="In what order.")  # fmt: skip
@click.option("--label", metavar="CLASS", help="Only images of a class, by name or index.")
@click.option("--neurons", metavar="N,N,…", help="For --order neurons.")
@click.option("--count", type=click.IntRange(1), default=_USUAL_COUNT, show_default=True,
              help="How many, at most.")  # fmt: skip
@click.option("-o", "--out", type=PATH, help="Draw them: a PNG.")
@click.option("--parts", type=_known("PARTS"), default="both", show_default=True,
              help="Which pictures of each.")  # fmt: skip
@click.option("--side", type=click.IntRange(8, _MAX_SIDE), default=96, show_default=True,
              help="Of a picture in --out, in pixels.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    audit_file: Path,
    trigger: str | None,
    only: str | None,
    order: str,
    label: str | None,
    neurons: str | None,
    count: int,
    out: Path | None,
    parts: str,
    side: int,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """List the images of an audit: file, label, and what the model says, before and after a trigger
    that was measured or recovered.
    """
    from bdshift.audit.gallery import galleries
    from bdshift.reports.pictures import contact_sheet
    from bdshift.steps.target import pick_class
    from bdshift.store import load_audit

    audit = load_audit(audit_file)
    known = galleries(audit)
    if not known:
        raise InputError("{path}: was saved without embeddings, and has no images", path=audit_file)
    of = _chosen(known, trigger)
    wanted = only or ("all" if of.triggered is None else "sent")
    output = None
    if out is not None:
        output = Output(out, overwrite, (audit_file, *audit.inputs))
        output.check()
    rows = of.rows(
        wanted, order, neurons=_numbers(neurons, audit.model.embedding_dim),
        label=-1 if label is None else pick_class(audit, label, "--label"),
    )  # fmt: skip
    found = rows.tolist()[:count]
    listed = [_row(of, row, audit.images.class_names) for row in found]
    if output is not None and found:
        groups = [of.pictures(row, parts) for row in found]
        output.write(contact_sheet(groups, side))
    job.close()
    if as_json:
        told = {"trigger": None if of.triggered is None else of.key, "only": wanted,
                "images": len(rows), "listed": listed}  # fmt: skip
        click.echo(json.dumps(told, indent=2))
        return
    for one in listed:
        was = "" if of.triggered is None else f"{one['before']} → "
        label = "" if one["label"] is None else f"  (labeled {one['label']})"
        click.echo(one_line(f"{one['file']}  {was}{one['after']}{label}"))
    click.echo(one_line(f"{len(found):,} of {len(rows):,} images"))
    if output is not None and not found:
        click.echo(one_line(f"{out}: not written, since no image is like that"))


def _chosen(known: tuple[Gallery, ...], trigger: str | None) -> Gallery:
    """The pass that ``trigger`` starts the text of; by default that of the newest trigger."""
    if trigger == _CLEAN:
        return known[0]
    of_triggers = known[1:]
    if trigger is None:
        return next(iter(of_triggers), known[0])
    for one in of_triggers:
        if one.key.startswith(trigger):
            return one
    raise UsageError(
        "no trigger of the audit starts with {text}; it has {names}",
        text=repr(trigger), names=(_CLEAN, *(shortened(one.key) for one in of_triggers)),
    )  # fmt: skip


def _numbers(text: str | None, neurons: int) -> list[int]:
    parts = [] if text is None else [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) < neurons for part in parts):
        raise UsageError(
            "--neurons {text} is not a list of numbers below {count}",
            text=repr(text), count=neurons,
        )  # fmt: skip
    return [int(part) for part in parts]


def _row(of: Gallery, row: int, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "file": of.clean.files[row].name,
        "label": names[int(of.clean.labels[row])] if of.clean.labeled else None,
        "before": names[int(of.before[row])], "after": names[int(of.after[row])],
    }  # fmt: skip
