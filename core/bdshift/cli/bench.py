"""``bdshift bench``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.paths import PATH
from bdshift.errors import UsageError
from bdshift.outputs import Output


@click.command("bench", short_help="Measure scan, solvers and rules.")
@click.option("--large", is_flag=True, help="Also C = 1000, d = 2048, N = 50 000: minutes.")
@click.option("--invert", nargs=2, type=PATH, metavar="MODEL IMAGES",
              help="Instead, search for a trigger of every class, as we do and as Neural Cleanse "
              "does: hours for a large network.")  # fmt: skip
@click.option("--device", default="auto", show_default=True)
@click.option("-o", "--out", type=PATH, help="Write the table (Markdown) here.")
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@guarded
def command(
    large: bool,
    invert: tuple[Path, Path] | None,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Measure scan and solvers against what a script would do, and how often each rule is wrong."""
    if large and invert:
        raise UsageError("--large and --invert are two measurements: give one of them")
    output = None if out is None else Output(out, overwrite, invert or ())
    if output is not None:
        output.check()
    from bdshift.bench import as_markdown, run_bench, run_inversion

    if invert:
        found = run_inversion(*invert, device=device, job=job)
        told = f"bdshift bench --invert {invert[0].name} {invert[1].name}"
    else:
        found = run_bench(device=device, large=large, job=job)
        told = "bdshift bench --large" if large else "bdshift bench"
    job.close()
    text = as_markdown(found, told)
    click.echo(json.dumps(asdict(found)) if as_json else text)
    if output is not None:
        output.write_text(text)
