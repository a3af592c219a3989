"""``bdshift info MODEL``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bdshift.cli.console import ARCH_HELP, WEIGHTS_HELP, ConsoleJob, guarded
from bdshift.text import one_line

_NOT_RUN = "torch.load would import and run that; here it was not"
_LONGEST = 100  # characters of a name
_FEW = 6  # of a list, before it is cut


@click.command("info")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--arch", help=ARCH_HELP)
@click.option("--weights", help=WEIGHTS_HELP)
@click.option("--layers", is_flag=True, help="List every layer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    model: Path,
    arch: str | None,
    weights: str | None,
    layers: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Say what a checkpoint, or a Hugging Face folder, holds, without running anything in it."""
    from bdshift.checkpoints.describe import describe

    found, error = describe(model, arch=arch, weights=weights, job=job)
    job.close()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(map(one_line, _lines(found))))
        if layers:
            click.echo("\n".join(map(one_line, _layers(found["layers"]))))
    if error is not None:
        raise error


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    where = " → ".join(found["wrapper"]) or "the file itself"
    dtypes = ", ".join(f"{count} {name}" for name, count in found["dtypes"].items())
    folded = ", ".join(f"{count} by {way}" for way, count in found["folded"].items())
    rows = [
        ("file", f"{found['path']} ({found['bytes']:,} bytes, {found['format']})"),
        ("", "holds a program, neither looked at nor run" * found["has_program"]),
        ("SHA-256", found["sha256"]),
        ("weights", where + (f", prefix {found['prefix']}" if found["prefix"] else "")),
        ("saved class", found["saved_class"] and f"{found['saved_class']}, read as data"),
        ("tensors", f"{found['tensors']} with {found['numbers']:,} numbers ({dtypes})"),
        ("folded", folded),
        ("beside it", _some(found["beside"])),
        ("other models", _some(found["other_models"])),
        ("names code", _some(found["foreign_names"])),
        (
            "",
            _NOT_RUN * bool(found["foreign_names"]),
        ),
    ]
    if found["architectures"]:
        first, *others = found["architectures"]
        rows += [
            ("architecture", first),
            *(("or", name) for name in others[:_FEW]),
            ("or", f"{len(others) - _FEW} more (--json lists them)" * (len(others) > _FEW)),
            ("recognized by", found["recognized_by"]),
            (
                "head",
                f"{found['head']}: {found['classes']} classes, {found['embedding_dim']}-d "
                "embedding",
            ),
            ("ignored", _some(found["ignored"])),
            ("normalization", _some(found["normalizations_told"])),
            ("class names", _some(found["class_names"])),
        ]
    return (f"{label:<15}{text}" for label, text in rows if text)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(name[:_LONGEST] for name in names[:_FEW]) + more


def _layers(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    width = max(5, *(len(row["path"]) for row in rows))
    yield f"{'layer':<{width}}  {'kind':<14}  {'shape':<20}  {'numbers':>12}"
    for row in rows:
        shape = "×".join(map(str, row["shape"]))
        yield f"{row['path']:<{width}}  {row['kind']:<14}  {shape:<20}  {row['numbers']:>12,}"
