"""``bdshift fleet MODELS… --images SET --out FOLDER``."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.exit_status import EXIT_SUSPICIOUS
from bdshift.cli.paths import PATH, LocalPath
from bdshift.cli.scan_options import scan_options
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output, check_apart
from bdshift.writing import make_folder

if TYPE_CHECKING:
    from bdshift.audit.asked import AskedScan
    from bdshift.fleet.engine import Engine
    from bdshift.fleet.task import FleetModel


@click.command("fleet", short_help="Audit many checkpoints; a table of verdicts.")
@click.argument("models", nargs=-1)
@click.option("--images", type=PATH, help="The clean images, as for `bdshift scan`.")
@click.option("-o", "--out", required=True, type=LocalPath(file_okay=False),
              help="Folder of the results and the audit files. What is there already is not done "
              "again.")  # fmt: skip
@click.option("--report", "reports", multiple=True, type=PATH,
              help="Write the table, in the format that its name ends in: .html, .json, .csv or "
              ".sarif. Several can be given."
              )  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace reports that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--workers", type=click.IntRange(1), help="Audits at a time; default: one a core.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True,
              help="CPU threads for each audit.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(1), default=3600.0, show_default=True,
              help="Time limit for each audit.")  # fmt: skip
@click.option("--memory", type=click.FloatRange(0.1), default=8.0, show_default=True,
              help="GiB that an audit may take beyond what all share. On Linux.")  # fmt: skip
@click.option("--shard", metavar="I/N",
              help="Only every N-th model, from the I-th: for job arrays. Give each part a folder "
              "of its own.")  # fmt: skip
@click.option("--ray", "ray_address", metavar="ADDRESS",
              help="Run on a Ray cluster: auto, its address, or local for one of this machine. "
              "--workers is not used then.")  # fmt: skip
@click.option("--again", is_flag=True, help="Also try again what failed.")
@click.option("--arch", help="An architecture that fits all of them, as `bdshift info` lists them.")
@click.option("--embeddings/--no-embeddings", default=False, show_default=True,
              help="Keep the embeddings in the audit files: some megabytes each.")  # fmt: skip
@scan_options
@click.option("--fail-on", type=click.Choice(["suspicious", "inconclusive"]),
              help="Exit with 1 if one of MODELS is probably backdoored, or also if nothing was "
              "concluded of one; without MODELS, if one of the folder is.")  # fmt: skip
@guarded
def command(
    models: tuple[str, ...],
    images: Path | None,
    out: Path,
    reports: tuple[Path, ...],
    overwrite: bool,
    as_json: bool,
    workers: int | None,
    threads: int,
    seconds: float,
    memory: float,
    shard: str | None,
    ray_address: str | None,
    again: bool,
    arch: str | None,
    embeddings: bool,
    asked: AskedScan,
    fail_on: str | None,
    job: ConsoleJob,
) -> None:
    """Audit MODELS, each in a process of its own: checkpoint files, folders with checkpoints in and
    below them, patterns, tables (CSV or JSON lines with a column model), or addresses that fsspec
    opens. A broken or hostile file becomes a row with its reason. Interrupted, the same command
    goes on. Without MODELS, it shows what is in the folder.
    """
    from bdshift.devices import GIB
    from bdshift.fleet.drive import FleetPart, run_fleet
    from bdshift.fleet.html import FLEET_REPORTS, fleet_report
    from bdshift.fleet.listing import list_models
    from bdshift.fleet.local import LocalEngine
    from bdshift.fleet.pages import fleet_json, fleet_text
    from bdshift.fleet.ray_engine import RayEngine
    from bdshift.fleet.results import AUDITS, Results
    from bdshift.fleet.table import ranked
    from bdshift.fleet.task import FleetModel, Limits
    from bdshift.kinds import RESULTS
    from bdshift.reports.report_file import check_suffix

    given = [Path(one) for one in (*models, asked.labels, asked.prompts) if one]
    inputs = (out / RESULTS, out / AUDITS, *(one for one in given if one.is_file()))
    inputs += () if images is None else (images,)
    outputs = [Output(one, overwrite, inputs) for one in reports]
    for output in outputs:
        check_suffix(output.path, FLEET_REPORTS)
        if output.path.absolute().parent != out.absolute():  # that folder may be missing so far
            output.check()
    check_apart(outputs)
    if not models and not (out / RESULTS).exists():
        raise InputError("{path}: holds no results of a fleet", path=out)
    named = None
    if models:
        if images is None and not all(map(_is_table, models)):
            raise UsageError("--images is missing: the clean images, as for bdshift scan")
        asked.settings(arch)  # what makes no sense is said before anything is done
        usual = FleetModel("", os.path.abspath(images) if images else "", asked, arch)
        part = FleetPart() if shard is None else FleetPart(*_numbers(shard))
        limits = Limits(seconds, round(memory * GIB), threads)
        listed = part.of(list_models(models, usual, job))
        named = _once(listed)
        make_folder(out)
        for output in outputs:
            output.check()
        engine: Engine  # it starts processes: what is wrong is said before
        if ray_address is None:
            engine = LocalEngine(workers or max(1, (os.cpu_count() or 1) // threads))
        else:
            engine = RayEngine(ray_address, threads=threads)
        run_fleet(listed, out, engine, limits=limits, embeddings=embeddings, again=again, job=job)
    found = ranked([row for _, row in Results(out).rows()])
    job.close()
    click.echo(json.dumps(fleet_json(found), indent=2) if as_json else fleet_text(found))
    for output in outputs:
        output.write_text(fleet_report(found, output.path, out))
    asked_for = [one.row for one in found if named is None or one.row.model in named]
    if fail_on is not None and any(row.result.level in _FAILING[fail_on] for row in asked_for):
        sys.exit(EXIT_SUSPICIOUS)


_FAILING = {"suspicious": ("backdoored",), "inconclusive": ("backdoored", "inconclusive", None)}


def _is_table(name: str) -> bool:
    from bdshift.fleet.manifest import is_manifest

    return is_manifest(Path(name))


def _once(listed: Sequence[FleetModel]) -> set[str]:
    """The models' paths. Raises `UsageError` if one is named twice, with different questions: the
    table has one row for each.
    """
    known: dict[str, FleetModel] = {}
    for one in listed:
        if known.setdefault(one.path, one) != one:
            raise UsageError(
                "{path}: is named twice, with other images or settings; give each a folder of its "
                "own (--out)",
                path=one.path,
            )  # fmt: skip
    return set(known)


def _numbers(shard: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", shard)
    numbers = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= numbers[0] <= numbers[1]:
        raise UsageError("--shard is a part and how many there are, as 2/8, not {text}", text=shard)
    return numbers
