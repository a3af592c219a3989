"""What the commands share: progress on stderr, errors as one line, their exit codes."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from bdshift.cli.exit_status import (
    EXIT_BROKEN_PIPE,
    EXIT_FAULT,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
)
from bdshift.cli.paths import PATH
from bdshift.errors import InputError, UsageError
from bdshift.jobs import Canceled, Event, Figures, JobContext, JobPart, Note, PartsOver, Progress
from bdshift.text import grouped, one_line

_MAX_MESSAGE = 1000  # characters


def _typed(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    from bdshift.checkpoints.users_own import typed

    return None if text is None else typed(text)


arch_option = click.option(
    "--arch", callback=_typed,
    help="One that `bdshift info` lists, by name; or your own, package.module:callable, whose code "
    "is run. Default: what fits best.",
)  # fmt: skip
model_option = click.option("--model", type=PATH, help="The model, if it was moved.")
images_option = click.option("--images", type=PATH, help="The images, if they were moved.")
WEIGHTS_HELP = "Which model, where the file holds several: as `bdshift info` lists them."


class ConsoleJob(JobContext):
    """One bar per stage on a terminal; one line per finished stage in a log, or if ``verbose`` one
    when it begins, too. Nothing if ``quiet``.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        super().__init__()
        self._quiet, self._verbose = quiet, verbose
        self._bar: Any = None
        self._stage = self._part = self._begun = ""

    def report(self, event: Event) -> None:
        """Show it on stderr; stdout is for results."""
        if self._quiet:
            return
        if isinstance(event, Note):
            self._say(str(event.sentence))
        elif isinstance(event, Figures):
            from bdshift.purification.quantities import in_words

            self._say(f"step {event.number + 1} of {event.total}: {in_words(event.values)}")
        elif isinstance(event, JobPart):
            self.close()
            self._part = f"{event.number} of {event.total}: "
        elif isinstance(event, PartsOver):
            self.close()
            self._part = ""
        elif isinstance(event, Progress):
            self._progress(event)

    def _say(self, text: str) -> None:
        self.close()
        click.echo(one_line(text), err=True)

    def _progress(self, event: Progress) -> None:
        stage = str(event.stage)
        if self._verbose or not sys.stderr.isatty():
            self._log(stage, event)
            return
        from tqdm import tqdm

        if stage != self._stage:
            self.close()
            self._stage = stage
            binary = event.unit == "bytes"
            self._bar = tqdm(
                total=event.total, desc=self._part + stage,
                unit="B" if binary else f" {event.unit}", unit_scale=binary, leave=False,
                file=sys.stderr, dynamic_ncols=True,
            )  # fmt: skip
        self._bar.set_postfix_str(event.note, refresh=False)
        self._bar.update(event.done - self._bar.n)

    def _log(self, stage: str, event: Progress) -> None:
        if self._verbose and stage != self._begun:
            self._begun = stage
            click.echo(f"{self._part}{stage} …", err=True)
        if event.done >= event.total and stage != self._stage:
            self._stage = stage
            click.echo(f"{stage}: {grouped(event.total)} {event.unit}", err=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            self._stage = ""


def _say(text: str) -> None:
    """Print one line on stderr, whatever the file in question has put into it."""
    name = click.style("bdshift:", fg="red")
    click.echo(f"{name} {one_line(text[:_MAX_MESSAGE])}", err=True)


def end_with(error: InputError | UsageError) -> NoReturn:
    """End the program with an error's sentence as one line."""
    _say(str(error))
    sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_INPUT)


def require_folder(out: Path) -> None:
    """Raise `UsageError` if there is no folder for ``--out``."""
    folder = out.absolute().parent
    if not folder.is_dir():
        raise UsageError("--out {path}: there is no folder {folder}", path=out, folder=folder)


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its job, ``--quiet``, ``--verbose`` and ``--debug``, and turn errors into one
    line and an exit status.
    """

    @click.option("-q", "--quiet", is_flag=True, help="On stderr, only errors.")
    @click.option("-v", "--verbose", is_flag=True,
                  help="On stderr, every stage, and what libraries warn of.")  # fmt: skip
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(function)
    def run(*args: Any, quiet: bool, verbose: bool, debug: bool, **kwargs: Any) -> None:
        job = ConsoleJob(quiet=quiet, verbose=verbose)
        if not (debug or verbose):  # bdshift itself reports what they warn of, where it matters
            warnings.simplefilter("ignore")
        try:
            if quiet and verbose:
                raise UsageError("give --quiet or --verbose, not both")
            function(*args, job=job, **kwargs)
        except (InputError, UsageError) as error:
            job.close()
            if debug:
                raise
            end_with(error)
        except (Canceled, KeyboardInterrupt):
            job.close()
            _say("interrupted")
            sys.exit(EXIT_INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException, SystemExit):
            raise
        except BrokenPipeError:  # whoever reads the output has read enough, as `head` does
            for stream in (sys.stdout, sys.stderr):  # what is left to be written goes nowhere
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            job.close()
            sys.exit(EXIT_BROKEN_PIPE)
        except Exception as error:
            job.close()
            if debug:
                raise
            from bdshift.devices import is_out_of_memory

            if is_out_of_memory(error):
                _say("out of memory; try a smaller --sample or --batch")
                sys.exit(EXIT_INPUT)
            _say(f"internal error: {type(error).__name__}: {error} (--debug shows the traceback)")
            sys.exit(EXIT_FAULT)
        finally:
            job.close()

    return run
