"""How far a job is, and how long it is going to take: with a clock of the test's own."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from bdshift.jobs import JobPart, Progress
from bdshift.words import Sentence
from bdshift_gui.jobs.estimate import Estimate
from bdshift_gui.jobs.events import Progressed
from bdshift_gui.jobs.worker import WindowJob, Worker
from bdshift_gui.session import RunningJob, State
from bdshift_gui.widgets.job_bar import JobBar


def progress(stage: str, done: int, total: int, unit: str = "updates") -> Progress:
    return Progress(Sentence(stage), done, total, unit)


def alternating(estimate: Estimate, epochs: int, *, first: int = 0) -> float:
    """Epochs of 8 updates, a second each, after which 1,200 images are measured in 4 seconds;
    returns the time then.
    """
    now = 0.0
    for epoch in range(first, first + epochs):
        for update in range(8):
            now += 1
            estimate.take(progress("Purifying", epoch * 8 + update + 1, 96), now)
        for images in (300, 600, 900, 1200):
            now += 1
            estimate.take(progress("Measuring", images, 1200, "images"), now)
    return now


def test_stages_that_take_turns_have_one_estimate() -> None:
    """Each epoch takes 12 seconds with what is measured after it; the first second is not seen."""
    estimate = Estimate()
    now = alternating(estimate, 6)
    assert estimate.leading.stage == Sentence("Purifying")
    assert estimate.leading.done == 48
    assert estimate.left(now) == pytest.approx(72, abs=8)
    assert estimate.share == 0.5, "the bar does not jump to what is measured in between"


def test_what_was_done_before_it_was_resumed_took_no_time() -> None:
    estimate = Estimate()
    now = alternating(estimate, 3, first=6)
    assert estimate.left(now) == pytest.approx(36, abs=8), "three epochs of twelve seconds"


def test_what_may_only_be_an_interruption_is_not_estimated() -> None:
    estimate = Estimate()
    now = alternating(estimate, 1)
    assert estimate.left(now) is None
    estimate = Estimate()
    for images in range(1, 5):
        estimate.take(progress("Measuring", images * 300, 2400, "images"), float(images))
    assert estimate.left(4.0) == pytest.approx(4)


def test_nothing_is_left_is_never_said() -> None:
    estimate = Estimate()
    for step in range(1, 11):
        estimate.take(progress("Searching", step, 10, "steps"), float(step))
    assert estimate.left(10.0) is None
    estimate = Estimate()
    for step in range(1, 10):
        estimate.take(progress("Searching", step, 10, "steps"), float(step))
    assert estimate.left(9.0) == pytest.approx(1)
    assert estimate.left(30.0) is None, "it was wrong"


def test_one_bar_for_all_parts_which_never_goes_back() -> None:
    estimate, shares = Estimate(), []
    for number in range(1, 5):
        estimate.begin(JobPart(number, 4))
        for stage, unit in ("Trying", "changes"), ("Searching", "steps"), ("Measuring", "classes"):
            for done in range(1, 5):
                estimate.take(progress(f"{stage} {number}", done, 4, unit), 0.0)
                shares.append(estimate.share)
    assert shares == sorted(shares)
    assert shares[3] == 0, "what prepares a part is not its work"
    assert shares[4] == 1 / 16
    assert shares[-1] == 1


def test_the_bar_names_the_part_and_what_is_kept(qtbot: QtBot) -> None:
    bar, worker, came = JobBar(), Worker(), list[Progressed]()
    qtbot.addWidget(bar)
    bar.resize(1200, 40)
    worker.event_happened.connect(came.append)
    job = WindowJob(worker, 1)
    job.part(2, 5)
    job.progress(Sentence("Searching: {kind}", {"kind": "Additive"}), 45, 90, "steps")
    bar.show_state(State(job=RunningJob(1, Sentence("Searching for triggers"))))
    bar.progress(came[-1])
    assert bar._text.text() == "2 of 5: Searching: Additive 45 / 90"
    assert bar._bar.value() / bar._bar.maximum() == pytest.approx(0.3)
    stopped = RunningJob(1, Sentence("Purifying by cut"), keeps=True, cancels=1)
    bar.show_state(State(job=stopped))
    assert bar._text.text() == "Canceling, keeping the best so far…"
    job.cancel()
    job.keep_result()
    job.part(3, 5)
    job.progress("Measuring", 300, 1200, "images")
    bar.progress(came[-1])
    assert bar._text.text() == "Keeping the best so far: 3 of 5: Measuring 300 / 1,200"


def test_where_there_is_no_room_the_bar_says_less(qtbot: QtBot) -> None:
    """The stage and how far it is stay; the tooltip has all of it."""
    bar = JobBar()
    qtbot.addWidget(bar)
    event = Progressed(
        1, Sentence("Purifying"), 48, 96, "updates", 36.0, 0.5, JobPart(1, 2), Sentence("Measuring")
    )
    bar.show_state(State(job=RunningJob(1, Sentence("Purifying by cut"), keeps=True)))
    bar.progress(event)
    said = []
    for width in (1200, 800, 620, 300):
        bar.resize(width, 40)
        bar.progress(event)
        said.append(bar._text.text())
    assert said[0] == (
        "Purifying by cut · 1 of 2: Purifying 48 / 96 (Measuring) · 36 s left of this stage"
    )
    assert [len(one) for one in said] == sorted((len(one) for one in said), reverse=True)
    assert said[-1] == "1 of 2: Purifying 48 / 96"
    assert said[0] in bar._text.toolTip()
