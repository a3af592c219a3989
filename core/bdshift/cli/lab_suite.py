"""``bdshift lab suite`` and ``bdshift lab detectors``: many victims, and what is seen of them."""

from __future__ import annotations

from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.errors import UsageError


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", required=True,
              help="Photos to train on: a folder or zip of class folders.")  # fmt: skip
@click.option("--test", required=True, help="Test images of the same classes.")
@click.option("--only", default="",
              help="Victims whose name contains one of these, separated by commas, such as "
              "cifar10-cnn.")  # fmt: skip
@click.option("--list", "shown", is_flag=True, help="Only list the victims.")
@click.option("--device", default="auto", show_default=True)
@guarded
def suite(
    name: str, folder: Path, data: str, test: str, only: str, shown: bool, device: str,
    job: ConsoleJob,
) -> None:  # fmt: skip
    """Train the victims and clean twins of the suite NAME, each into a subfolder of FOLDER, and
    write FOLDER/outcomes.csv.

    Victims are trained on a part of the photos, or on drawn signs, the most telling first; so a run
    that is stopped is of use. The same command resumes it. The only suite is "recovery".
    """
    from bdshift.lab.suite import SUITES
    from bdshift.lab.zoo import OUTCOMES, Zoo, write_outcomes

    if name not in SUITES:
        raise UsageError(
            "unknown suite {name}; choose one of {names}", name=repr(name), names=tuple(SUITES)
        )
    parts = [part.strip() for part in only.split(",") if part.strip()] or [""]
    chosen = [one for one in SUITES[name] if any(part in one.name for part in parts)]
    if not chosen:
        raise UsageError("--only: no victim of {name} is called like {text}", name=name, text=only)
    if shown:
        for one in chosen:
            click.echo(one.name)
        return
    zoo = Zoo(folder, data, test, device=device, job=job)
    for outcome in zoo.victims(chosen):
        write_outcomes(folder / OUTCOMES, [outcome])
        asr = "" if outcome.asr is None else f", ASR {outcome.asr:.2%}"
        job.note("{row}", row=f"{outcome.name}: ACC {outcome.acc:.2%}{asr}")
    job.close()
    click.echo(f"{folder / OUTCOMES}")


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--zoo", "zoos", type=click.Path(path_type=Path), multiple=True,
              help="A folder of bdshift lab suite.")  # fmt: skip
@click.option("--truth", "tables", type=click.Path(path_type=Path), multiple=True,
              help="A tab-separated table of files next to it: file, repository, kind, images, "
              "target.")  # fmt: skip
@click.option("--images", "named", multiple=True, metavar="NAME=PATH",
              help="Clean images by the name that zoos and tables call them.")  # fmt: skip
@click.option("--detector", "texts", multiple=True,
              help="As text, such as shift:alpha=0.2; default: all as they are.")  # fmt: skip
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/lab/audits"),
              show_default=True, help="For the models' audits.")  # fmt: skip
@click.option("--only", default="",
              help="Models whose name contains one of these, separated by commas.")  # fmt: skip
@click.option("--sample", default=1000, show_default=True, help="Clean images of an audit.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@guarded
def detectors(
    rows: Path, zoos: tuple[Path, ...], tables: tuple[Path, ...], named: tuple[str, ...],
    texts: tuple[str, ...], work: Path, only: str, sample: int, seed: int, device: str,
    job: ConsoleJob,
) -> None:  # fmt: skip
    """Run detectors on models whose truth is known: ROWS, a CSV, gets a row for each model and
    detector, and a page beside it says how well each detector tells backdoored models from clean
    ones, and names the target.

    If interrupted, the same command resumes: existing rows are not computed again.
    """
    from bdshift.audit import ScanSettings
    from bdshift.detect.detector import DETECTORS
    from bdshift.lab.detection import measure_detectors, read_rows, write_rows
    from bdshift.lab.detection_table import summary
    from bdshift.lab.truths import known_by_table, known_in_zoo
    from bdshift.outputs import Output

    asked = [DETECTORS.parse(text) for text in texts or DETECTORS]
    images = {name: Path(path) for name, _, path in (one.partition("=") for one in named)}
    known = [one for zoo in zoos for one in known_in_zoo(zoo, images)]
    known += [one for table in tables for one in known_by_table(table, table.parent, images)]
    parts = [part.strip() for part in only.split(",") if part.strip()] or [""]
    known = [one for one in known if any(part in one.name for part in parts)]
    if not known:
        raise UsageError("there are no models; name some with --zoo or --truth")
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
