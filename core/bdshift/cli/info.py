"""``bdshift info MODEL``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bdshift.cli.console import WEIGHTS_HELP, ConsoleJob, arch_option, guarded
from bdshift.cli.paths import PATH
from bdshift.errors import InputError, UsageError
from bdshift.text import grouped, joined

if TYPE_CHECKING:
    from bdshift.audit.candidates import CandidateTable
    from bdshift.checkpoints.classifier import Opened
    from bdshift.checkpoints.describe import Description, LayerRow, Recognition
    from bdshift.checkpoints.users_own import Architecture

_NOT_RUN = "torch.load would import and run that code; bdshift did not"
_MAX_NAME = 100  # characters
_MAX_LISTED = 6  # names, before a list is cut


@click.command("info", short_help="Say what a checkpoint holds, without running any of it.")
@click.argument("model", type=PATH)
@arch_option
@click.option("--weights", help=WEIGHTS_HELP)
@click.option("--layers", is_flag=True, help="List every layer.")
@click.option("--images", type=PATH,
              help="Measure every network that fits on all of these labeled images.")  # fmt: skip
@click.option("--each", is_flag=True, help="With --images: scan each of those networks, quickly.")
@click.option("--labels", type=PATH, help="Class-name file for --images.")
@click.option("--device", default="auto", show_default=True, help="For --images.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    model: Path,
    arch: Architecture | None,
    weights: str | None,
    layers: bool,
    images: Path | None,
    each: bool,
    labels: Path | None,
    device: str,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Say what a checkpoint, or a Hugging Face folder, holds, without running anything in it.

    With --images, say as well how each network that its weights fit classifies them, so that you
    see whether the choice is certain, and with --each, whether it matters.
    """
    if images is None and (each or labels is not None):
        raise UsageError("--each and --labels need --images")
    from bdshift.checkpoints.classifier import recognized
    from bdshift.checkpoints.describe import describe
    from bdshift.checkpoints.layout import find_state_dict
    from bdshift.checkpoints.reader import read_checkpoint
    from bdshift.reports.candidates_report import candidates_json, candidates_text
    from bdshift.reports.json_schema import with_schema

    file = read_checkpoint(model, job=job)
    opened, error = None, None
    try:
        opened = recognized(file, find_state_dict(file, weights), arch)
    except InputError as found_none:
        error = found_none
    found = describe(file, weights, opened)
    table = None
    if images is not None and opened is not None:
        try:
            table = _measured(opened, images, labels, device, each, job)
        except InputError as not_measured:  # what is known of the file is told first
            error = not_measured
    job.close()
    if as_json:
        more = {} if table is None else candidates_json(table)
        click.echo(json.dumps(with_schema("info", _as_json(found) | more), indent=2))
    else:
        click.echo(joined(_lines(found)))
        if layers:
            click.echo(joined(_layers(found.layers)))
        if table is not None:
            click.echo(f"\n{candidates_text(table)}")
    if error is not None:
        raise error


def _measured(
    opened: Opened, images: Path, labels: Path | None, device: str, each: bool, job: ConsoleJob
) -> CandidateTable:
    from bdshift.audit import ScanSettings
    from bdshift.audit.candidates import measure_candidates
    from bdshift.audit.one_model import Machinery
    from bdshift.devices import pick_device
    from bdshift.images.collection import open_images
    from bdshift.shift.cache import EmbeddingCache

    on = Machinery(pick_device(device), EmbeddingCache())
    settings = ScanSettings(labels=labels, device=device)
    collection = open_images(images, job=job)
    return measure_candidates(opened, collection, settings, on, each=each, job=job)


def _as_json(found: Description) -> dict[str, Any]:
    """One flat object; what is known only of a recognized network is left out of others."""
    flat: dict[str, Any] = {
        "path": found.path,
        "sha256": found.sha256,
        "bytes": found.size,
        "format": found.container,
        "wrapper": found.wrapper,
        "prefix": found.prefix,
        "saved_class": found.saved_class,
        "has_program": found.has_program,
        "beside": found.beside,
        "other_models": found.other_models,
        "folded": found.folded,
        "tensors": found.tensors,
        "numbers": found.numbers,
        "dtypes": found.dtypes,
        "names_in_pickle": found.names_in_pickle,
        "foreign_names": found.foreign_names,
        "layers": [
            {"path": row.path, "kind": row.kind, "shape": row.shape, "numbers": row.numbers}
            for row in found.layers
        ],
        "architectures": [],
        "ignored": [],
    }
    known = found.recognized
    if known is None:
        return flat
    return flat | {
        "architectures": known.architectures,
        "recognized_by": str(known.how),
        "ignored": known.ignored,
        "head": known.head,
        "classes": known.classes or None,
        "embedding_dim": known.embedding_dim,
        "input_sizes": known.input_sizes,
        "normalizations_declared": known.normalizations,
        "class_names": known.class_names,
    }


def _lines(found: Description) -> Iterator[str]:
    where = " → ".join(found.wrapper) or "the file itself"
    dtypes = ", ".join(f"{grouped(count)} {name}" for name, count in found.dtypes.items())
    folded = ", ".join(f"{grouped(count)} by {way}" for way, count in found.folded.items())
    rows = [
        ("file", f"{found.path} ({found.size:,} bytes, {found.container})"),
        ("", "holds a program, which was neither examined nor run" * found.has_program),
        ("SHA-256", found.sha256),
        ("weights", where + (f", prefix {found.prefix}" if found.prefix else "")),
        ("saved class", found.saved_class and f"{found.saved_class}, read as data"),
        ("tensors", f"{found.tensors} with {found.numbers:,} numbers ({dtypes})"),
        ("folded", folded),
        ("also holds", _some(found.beside)),
        ("other models", _some(found.other_models)),
        ("names code", _some(found.foreign_names)),
        ("", _NOT_RUN * bool(found.foreign_names)),
    ]
    known = found.recognized
    if known is not None:
        first, *others = known.architectures
        rest = len(others) - _MAX_LISTED
        rows += [
            ("architecture", first),
            *(("or", name) for name in others[:_MAX_LISTED]),
            ("or", f"{rest} more (--json lists them)" * (rest > 0)),
            ("recognized by", str(known.how)),
            ("head", _head(known)),
            ("ignored", _some(known.ignored)),
            ("normalization", _some(known.normalizations)),
            ("class names", _some(known.class_names)),
        ]
    return (f"{label:<15}{text}" for label, text in rows if text)


def _head(known: Recognition) -> str:
    embedding = f"{grouped(known.embedding_dim)}-d embedding"
    if not known.classes:
        return f"made of the names of the classes, {embedding}"
    return f"{known.head}: {grouped(known.classes)} classes, {embedding}"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _MAX_LISTED
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(name[:_MAX_NAME] for name in names[:_MAX_LISTED]) + more


def _layers(rows: Sequence[LayerRow]) -> Iterator[str]:
    yield ""
    width = max(5, *(len(row.path) for row in rows))
    yield f"{'layer':<{width}}  {'kind':<14}  {'shape':<20}  {'parameters':>12}"
    for row in rows:
        shape = "×".join(map(str, row.shape))
        yield f"{row.path:<{width}}  {row.kind:<14}  {shape:<20}  {row.numbers:>12,}"
