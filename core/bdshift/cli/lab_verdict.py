"""``bdshift lab verdict``: how the verdict does on models of known truth, and its table."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded, require_folder
from bdshift.cli.paths import PATH
from bdshift.errors import UsageError


@click.command()
@click.argument("rows", type=PATH, nargs=-1, required=True)
@click.option("--split", "split_file", type=PATH,
              help="A CSV with the columns model and split: develop or hold-out. By default as the "
              "suite verdict says of its models; all others are to develop on.")  # fmt: skip
@click.option("-o", "--out", type=PATH, required=True,
              help="A folder for the page, the table, the drawing and the rows.")  # fmt: skip
@guarded
def verdict(rows: tuple[Path, ...], split_file: Path | None, out: Path, job: ConsoleJob) -> None:
    """Make the table of clean models that audits are compared with, and judge models by it.

    ROWS are tables of bdshift lab detectors. Into the folder --out go clean-models.json, the table,
    of the clean models to develop on; verdict.md, how well verdicts do, beside rules and each kind
    of evidence alone; verdict.csv, the verdict on each model; and calibration.svg. A model to
    develop on is judged without its relatives. To ship the table, copy it to resources/verdict.
    """
    from dataclasses import replace

    from bdshift.audit.made import versions
    from bdshift.lab.detection import read_rows
    from bdshift.lab.judged_models import DEVELOP, judged_models, read_split, suite_split
    from bdshift.lab.judging import table_of
    from bdshift.lab.verdict_page import calibration, page, verdict_rows
    from bdshift.outputs import Output
    from bdshift.verdict.clean_models import table_text
    from bdshift.writing import make_folder

    require_folder(out)
    split = suite_split() if split_file is None else read_split(split_file)
    models = judged_models((row for path in rows for row in read_rows(path)), split)
    if not any(one.is_clean and one.split == DEVELOP for one in models):
        raise UsageError("there are no clean models to develop on in these rows")
    given = ["--split", split_file.name] if split_file is not None else []
    command = ["bdshift", "lab", "verdict", *(path.name for path in rows), *given]
    made = {
        "command": shlex.join(command),
        "versions": " ".join(f"{name} {number}" for name, number in versions().items()),
    }
    table = replace(table_of(models), made=made)
    make_folder(out)
    files = {
        "clean-models.json": table_text(table),
        "verdict.md": page(models, table),
        "verdict.csv": verdict_rows(models),
        "calibration.svg": calibration(models),
    }
    for name, text in files.items():
        Output(out / name, overwrite=True).write_text(text)
    job.close()
    click.echo(f"{out / 'verdict.md'}")
