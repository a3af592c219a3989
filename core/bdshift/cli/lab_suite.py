"""``bdshift lab suite``, ``detectors``, ``recoveries``, ``robustness``: many victims, and what is
seen of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.budgets import SCAN_SECONDS
from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.explained import detector_text
from bdshift.cli.paths import PATH
from bdshift.errors import UsageError

if TYPE_CHECKING:
    from bdshift.lab.truths import KnownModel


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("folder", type=PATH)
@click.option("--data", required=True,
              help="Photos to train on: a folder or zip of class folders.")  # fmt: skip
@click.option("--test", required=True, help="Test images of the same classes.")
@click.option("--digits", default="", help="Digits such as MNIST's, for suites that have them.")
@click.option("--only", default="",
              help="Victims whose name contains one of these, separated by commas, such as "
              "cifar10-cnn.")  # fmt: skip
@click.option("--list", "shown", is_flag=True, help="Only list the victims.")
@click.option("--device", default="auto", show_default=True)
@guarded
def suite(
    name: str, folder: Path, data: str, test: str, digits: str, only: str, shown: bool,
    device: str, job: ConsoleJob,
) -> None:  # fmt: skip
    """Train the victims and clean twins of the suite NAME, each into a subfolder of FOLDER, and
    write FOLDER/outcomes.csv.

    Victims are trained on a part of the photos, on drawn signs or digits, the most telling first;
    so a run that is stopped is of use. The same command resumes it. The suites are "recovery" and
    "verdict".
    """
    from bdshift.lab.suites import SUITES
    from bdshift.lab.zoo import OUTCOMES, Zoo, write_outcomes

    if name not in SUITES:
        raise UsageError(
            "unknown suite {name}; choose one of {names}", name=repr(name), names=tuple(SUITES)
        )
    parts = _parts(only)
    chosen = [one for one in SUITES[name] if any(part in one.name for part in parts)]
    if not chosen:
        raise UsageError("--only: no victim of {name} is called like {text}", name=name, text=only)
    if shown:
        for one in chosen:
            click.echo(one.name)
        return
    zoo = Zoo(folder, data, test, digits, device=device, job=job)
    for outcome in zoo.victims(chosen):
        write_outcomes(folder / OUTCOMES, [outcome])
        asr = "" if outcome.asr is None else f", ASR {outcome.asr:.2%}"
        job.note("{row}", row=f"{outcome.name}: ACC {outcome.acc:.2%}{asr}")
    job.close()
    click.echo(f"{folder / OUTCOMES}")


def _of_known(function: Callable[..., None]) -> Callable[..., None]:
    """Options of commands that go through models with known ground truth."""
    for option in (
        click.option("--seed", default=0, show_default=True),
        click.option("--only", default="",
                     help="Models whose name contains one of these, separated by commas."),
        click.option("--work", type=PATH, default=Path("build/lab/audits"),
                     show_default=True, help="For the models' audits."),
        click.option("--images", "named", multiple=True, metavar="NAME=PATH",
                     help="Clean images by the name that zoos and tables call them."),
        click.option("--truth", "tables", type=PATH, multiple=True,
                     help="A tab-separated table of files next to it: file, repository, kind, "
                     "images, target."),
        click.option("--zoo", "zoos", type=PATH, multiple=True,
                     help="A folder of bdshift lab suite."),
        click.argument("rows", type=PATH),
    ):  # fmt: skip
        function = option(function)
    return function


_SAMPLE = click.option("--sample", default=2500, show_default=True,
                       help="Clean images of an audit.")  # fmt: skip


@click.command()
@_of_known
@_SAMPLE
@click.option("--detector", "texts", multiple=True, type=detector_text,
              help="As text, such as shift:alpha=0.2; default: all as they are.")  # fmt: skip
@click.option("--device", default="auto", show_default=True)
@guarded
def detectors(
    rows: Path, zoos: tuple[Path, ...], tables: tuple[Path, ...], named: tuple[str, ...],
    texts: tuple[str, ...], work: Path, only: str, sample: int, seed: int, device: str,
    job: ConsoleJob,
) -> None:  # fmt: skip
    """Run detectors on models with known ground truth: ROWS, a CSV, gets a row for each model and
    detector, and a page beside it says how well each detector tells backdoored models from clean
    ones, and names the target.

    If interrupted, the same command resumes: existing rows are not computed again.
    """
    from bdshift.audit import ScanSettings
    from bdshift.detect.detector import DETECTORS
    from bdshift.lab.detection import measure_detectors, read_rows, write_rows
    from bdshift.lab.detection_table import summary
    from bdshift.outputs import Output

    asked = [DETECTORS.parse(text) for text in texts or DETECTORS]
    known = _known(zoos, tables, named, only)
    done = read_rows(rows)
    settings = ScanSettings(sample=sample, seed=seed, device=device)
    for row in measure_detectors(known, asked, work, tuple(done), settings=settings, job=job):
        done.append(row)
        write_rows(rows, done)
        seen = row.error or f"class {row.top}, drop {row.top_drop}; target {row.drop or '-'}"
        job.note("{row}", row=f"{row.model}, {row.detector.partition(':')[0]}: {seen}")
    page = rows.with_suffix(".md")
    Output(page, overwrite=True).write_text(summary(done))
    job.close()
    click.echo(f"{page}")


@click.command()
@_of_known
@_SAMPLE
@guarded
def recoveries(
    rows: Path, zoos: tuple[Path, ...], tables: tuple[Path, ...], named: tuple[str, ...],
    work: Path, only: str, sample: int, seed: int, job: ConsoleJob,
) -> None:  # fmt: skip
    """Compare recovered triggers with the true ones: ROWS, a CSV, gets a row for each recovery in
    the audits in --work, which bdshift lab detectors keeps there.

    Existing rows are not computed again.
    """
    from bdshift.audit import ScanSettings
    from bdshift.lab.recoveries import judge_recoveries, read_recoveries, write_recoveries

    known = _known(zoos, tables, named, only)
    done = read_recoveries(rows)
    settings = ScanSettings(sample=sample, seed=seed)
    for row in judge_recoveries(known, work, tuple(done), settings=settings, job=job):
        done.append(row)
        write_recoveries(rows, done)
        told = f"ASR {row.asr}, TAC cosine {row.cosine or '-'}, picture {row.picture or '-'}"
        job.note("{row}", row=f"{row.model}, class {row.target}, {row.change}: {told}")
    job.close()
    click.echo(f"{rows}: {len(done)} recoveries")


@click.command()
@_of_known
@click.option("--condition", "texts", multiple=True,
              help="As text, such as number:images=50; default: about twenty.")  # fmt: skip
@click.option("--others", multiple=True, metavar="NAME=PATH",
              help="Other images of the same classes, for the condition other-images.")  # fmt: skip
@click.option("--budget", default=None, type=float,
              help="Seconds for the searches, as for bdshift scan.")  # fmt: skip
@click.option("--each-preprocessing", is_flag=True,
              help="Search under each that the images do not rule out, as for bdshift scan. Give "
                   "it a table and a --work of its own.")  # fmt: skip
@guarded
def robustness(
    rows: Path, zoos: tuple[Path, ...], tables: tuple[Path, ...], named: tuple[str, ...],
    texts: tuple[str, ...], others: tuple[str, ...], work: Path, only: str, seed: int,
    budget: float | None, each_preprocessing: bool, job: ConsoleJob,
) -> None:  # fmt: skip
    """Scan models of known ground truth with images that are fewer, worse or wrongly labeled: ROWS,
    a CSV, gets a row for each model and condition, and a page beside it counts by condition what
    was named, what not, and where the scan could not tell.

    If interrupted, the same command resumes: existing rows are not computed again.
    """
    from bdshift.audit import ScanSettings
    from bdshift.lab.condition import CONDITIONS
    from bdshift.lab.robustness import (
        measure_robustness,
        read_robustness,
        usual_conditions,
        write_robustness,
    )
    from bdshift.lab.robustness_page import outcome, page
    from bdshift.outputs import Output

    asked = [CONDITIONS.parse(text) for text in texts] or usual_conditions()
    known = _known(zoos, tables, named, only)
    usual, more = _paths(named), _paths(others)
    beside = {usual[name]: path for name, path in more.items() if name in usual}
    done = read_robustness(rows)
    settings = ScanSettings(
        search=SCAN_SECONDS if budget is None else budget, seed=seed,
        each_preprocessing=each_preprocessing,
    )  # fmt: skip
    for row in measure_robustness(
        known, asked, work, tuple(done), others=beside, settings=settings, job=job
    ):
        done.append(row)
        write_robustness(rows, done)
        job.note("{row}", row=f"{outcome(row)}, accuracy {row.accuracy or '-'}, p {row.p or '-'}")
    written = rows.with_suffix(".md")
    Output(written, overwrite=True).write_text(page(done))
    job.close()
    click.echo(f"{written}")


def _known(
    zoos: tuple[Path, ...], tables: tuple[Path, ...], named: tuple[str, ...], only: str
) -> list[KnownModel]:
    from bdshift.lab.truths import known_by_table, known_in_zoo

    images = _paths(named)
    found = [one for zoo in zoos for one in known_in_zoo(zoo, images)]
    found += [one for table in tables for one in known_by_table(table, table.parent, images)]
    parts = _parts(only)
    found = [one for one in found if any(part in one.name for part in parts)]
    if not found:
        raise UsageError("there are no models; name some with --zoo or --truth")
    return found


def _paths(named: tuple[str, ...]) -> dict[str, Path]:
    """From texts such as NAME=PATH. Raises `UsageError` for others."""
    found = {}
    for one in named:
        name, _, path = one.partition("=")
        if not (name and path):
            raise UsageError("images are given as NAME=PATH, not {text}", text=repr(one))
        found[name] = Path(path)
    return found


def _parts(only: str) -> list[str]:
    return [part.strip() for part in only.split(",") if part.strip()] or [""]
