"""What the commands share: progress on stderr, errors as one line, their exit codes."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bdshift.errors import InputError, UsageError
from bdshift.jobs import Canceled, Event, Figures, JobContext, Note, Progress
from bdshift.text import one_line

_LONGEST = 1000  # characters of a message

ARCH_HELP = (
    "One that `bdshift info` lists, by name; or your own, package.module:callable, whose code is "
    "run. Default: what fits best."
)
WEIGHTS_HELP = "Which model, where the file holds several: as `bdshift info` lists them."

EXIT_SUSPICIOUS, EXIT_USAGE, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_FAULT = 1, 2, 3, 130, 70


class ConsoleJob(JobContext):
    """A bar a stage on a terminal; a line a finished stage in a log."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._stage = ""

    def report(self, event: Event) -> None:
        """Show it on stderr; stdout is for results."""
        if isinstance(event, Note | Figures):
            self.close()
            click.echo(one_line(event.text), err=True)
        elif isinstance(event, Progress):
            self._progress(event)

    def _progress(self, event: Progress) -> None:
        if not sys.stderr.isatty():
            if event.done >= event.total and event.stage != self._stage:
                self._stage = event.stage
                click.echo(f"{event.stage}: {event.total} {event.unit}", err=True)
            return
        from tqdm import tqdm

        if event.stage != self._stage:
            self.close()
            self._stage = event.stage
            binary = event.unit == "bytes"
            self._bar = tqdm(
                total=event.total, desc=event.stage, unit="B" if binary else f" {event.unit}",
                unit_scale=binary, leave=False, file=sys.stderr, dynamic_ncols=True,
            )  # fmt: skip
        self._bar.set_postfix_str(event.note, refresh=False)
        self._bar.update(event.done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            self._stage = ""


def _say(text: str) -> None:
    """One line on stderr, whatever the file that it is about has put into it."""
    click.echo(f"bdshift: {one_line(text[:_LONGEST])}", err=True)


def refuse_to_lose(out: Path, overwrite: bool, *sources: Path) -> None:
    """Raise `UsageError` if ``out`` is one of the ``sources``, or there and not to be replaced."""
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise UsageError(f"{out}: is what is read, and not to be replaced")
    if out.exists() and not overwrite:
        raise UsageError(f"{out}: exists; --overwrite replaces it")


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its job and ``--debug``, and turn errors into one line and an exit code."""

    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(function)
    def run(*args: Any, debug: bool, **kwargs: Any) -> None:
        job = ConsoleJob()
        if not debug:  # what the libraries below warn of is said by us where it matters
            warnings.simplefilter("ignore")
        try:
            function(*args, job=job, **kwargs)
        except (InputError, UsageError) as error:
            job.close()
            if debug:
                raise
            _say(str(error))
            sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_INPUT)
        except (Canceled, KeyboardInterrupt):
            job.close()
            _say("interrupted")
            sys.exit(EXIT_INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException, SystemExit):
            raise
        except Exception as error:
            job.close()
            if debug:
                raise
            from bdshift.devices import is_out_of_memory

            if is_out_of_memory(error):
                _say("out of memory; try a smaller --sample or --batch")
                sys.exit(EXIT_INPUT)
            _say(f"a fault of its own, {type(error).__name__}; --debug shows where: {error}")
            sys.exit(EXIT_FAULT)
        finally:
            job.close()

    return run
