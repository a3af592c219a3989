"""What actions and views get instead of the window: the state, and ways to change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bdshift.words import Sentence, as_sentence

if TYPE_CHECKING:
    from bdshift.jobs import JobContext
    from bdshift.words import Sentence
    from bdshift_gui.ask import Ask
    from bdshift_gui.jobs.controller import JobController
    from bdshift_gui.jobs.quick import QuickPool
    from bdshift_gui.pages import Page
    from bdshift_gui.selection import SelectionChanger
    from bdshift_gui.session import Session, State
    from bdshift_gui.settings import Settings


class Shell(Protocol):
    """What only the window itself can do."""

    def close(self) -> bool:
        """Close the window; False if it stays open."""
        ...

    def restyle(self) -> None:
        """Apply the color scheme of the settings."""
        ...

    def retranslate(self) -> None:
        """Show all texts in the language of the settings."""
        ...

    def reset_docks(self) -> None:
        """Restore the default layout of the panels."""
        ...


@dataclass(frozen=True)
class Context:
    """Everything needed to carry out what the user asks for.

    Attributes:
        session: the state.
        selection: changes which class and neurons are selected.
        jobs: the worker, one job at a time.
        fleet_jobs: another worker, on which many models are audited beside that.
        quick: short tasks off the GUI thread.
        settings: what is remembered between runs.
        ask: questions to the user.
        shell: the window itself.
        demo_folder: where the demo's files go.
    """

    session: Session
    selection: SelectionChanger
    jobs: JobController
    fleet_jobs: JobController
    quick: QuickPool
    settings: Settings
    ask: Ask
    shell: Shell
    demo_folder: Path

    @property
    def state(self) -> State:
        """The current snapshot."""
        return self.session.state

    def turn_to(self, page: Page | None) -> None:
        """Show a page instead of the plots; None to go back to them."""
        self.session.update(page=page)

    def forget_failure(self) -> None:
        """Take away what went wrong last; it is still in the log."""
        self.session.update(failure=None)

    def say_written(self, path: Path) -> None:
        """Say in the status bar that a file was written."""
        said = Sentence("Wrote {name}.", {"name": path.name})
        self.session.update(message=said, written=path.absolute())

    def start(
        self,
        name: str | Sentence,
        run: Callable[[JobContext], Any],
        done: Callable[[Any], None],
        *,
        keeps: bool = False,
        gives_way: bool = False,
        queued: bool = False,
    ) -> None:
        """Start a job, like `JobController.start`; ``name`` is a template of `bdshift.words`, or a
        sentence. The last error is cleared, unless the job was ``queued``: what was started with it
        may have failed a moment ago.
        """
        if not queued:
            self.forget_failure()
        self.jobs.start(as_sentence(name, {}), run, done, keeps=keeps, gives_way=gives_way)

    def cancel(self) -> None:
        """Ask the running job to stop, and drop those that are queued. One that gives way would
        only go on after them; it is dropped when it is the one that runs.
        """
        job, to_search = self.state.job, self.state.to_search
        if job is not None:
            job = replace(job, cancels=job.cancels + 1)
            to_search = 0.0 if job.gives_way else to_search
        self.session.update(job=job, waiting=(), to_open=(), to_search=to_search)
        self.jobs.cancel()
