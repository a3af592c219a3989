"""``bdshift info MODEL``."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.text import one_line


def describe(model: Path, job: ConsoleJob) -> tuple[dict[str, Any], Exception | None]:
    """What the file holds, and the error if its architecture is not known."""
    from bdshift.checkpoints.layout import find_state_dict
    from bdshift.checkpoints.reader import read_checkpoint
    from bdshift.checkpoints.recognise import recognise
    from bdshift.errors import InputError

    file = read_checkpoint(model, job=job)
    state = find_state_dict(file)
    shapes = state.shapes()
    found: dict[str, Any] = {
        "path": str(file.path),
        "sha256": file.sha256,
        "bytes": file.size,
        "format": file.container,
        "wrapper": list(state.layout.wrapper),
        "prefix": state.layout.prefix,
        "beside": list(state.layout.beside),
        "tensors": len(shapes),
        "numbers": sum(math.prod(shape) for shape in shapes.values()),
        "dtypes": dict(Counter(state.layout.dtypes.values())),
        "names_in_pickle": [str(name) for name in file.names],
        "architectures": [],
    }
    try:
        candidates = recognise(shapes)
    except InputError as error:
        return found, InputError(f"{model}: {error}")
    head = shapes[f"{candidates[0].head}.weight"]
    found |= {
        "architectures": [candidate.name for candidate in candidates],
        "head": candidates[0].head,
        "classes": head[0],
        "embedding_dim": head[1],
    }
    return found, None


@click.command("info")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(model: Path, as_json: bool, job: ConsoleJob) -> None:
    """Say what a checkpoint holds, without running anything in it."""
    found, error = describe(model, job)
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
