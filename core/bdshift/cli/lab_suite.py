"""``bdshift lab suite``: many victims by one command."""

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
