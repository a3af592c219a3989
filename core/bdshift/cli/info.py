"""``bdshift info MODEL``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdshift.cli.console import ARCH_HELP, ConsoleJob, guarded
from bdshift.text import one_line


@click.command("info")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--arch", help=ARCH_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(model: Path, arch: str | None, as_json: bool, job: ConsoleJob) -> None:
    """Say what a checkpoint holds, without running anything in it."""
    from bdshift.checkpoints.describe import describe

    found, error = describe(model, arch=arch, job=job)
    job.close()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        where = " → ".join(found["wrapper"]) or "the file itself"
        dtypes = ", ".join(f"{count} {name}" for name, count in found["dtypes"].items())
        lines = [
            f"file          {found['path']} ({found['bytes']:,} bytes, {found['format']})",
            f"SHA-256       {found['sha256']}",
            f"state dict    {where}" + (f", prefix {found['prefix']}" if found["prefix"] else ""),
            f"tensors       {found['tensors']} with {found['numbers']:,} numbers ({dtypes})",
        ]
        if found["beside"]:
            lines.append(f"beside it     {', '.join(found['beside'])}")
        if found["architectures"]:
            first, *others = found["architectures"]
            lines += [
                f"architecture  {first}",
                *(f"or            {name}" for name in others),
                f"head          {found['head']}: {found['classes']} classes, "
                f"{found['embedding_dim']}-d embedding",
            ]
            if others:
                lines.append("              the weights fit all of these; clean accuracy decides")
        click.echo("\n".join(map(one_line, lines)))
    if error is not None:
        raise error
