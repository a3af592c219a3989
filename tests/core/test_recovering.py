"""Searching for the smallest change, and recovering a trigger with it, on a network whose backdoor
was made by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from checker_network import CELL, SIDE, checker, planted_subject
from known import TARGET as TARGET_OF_DEMO
from quick import shorten_searches

from bdshift.audit import Audit, Material, recovering
from bdshift.audit.recovering import recover_trigger
from bdshift.audit.recovery_ground import EVERY_OTHER, Ground
from bdshift.changes import CHANGES, ChangeKind
from bdshift.detect.detector import DETECTORS, Subject
from bdshift.detect.inversion import InversionDetector
from bdshift.detect.rule import RULES, default_rule
from bdshift.errors import InputError, UsageError
from bdshift.jobs import SILENT, Canceled, Event, Glimpse, JobContext, JobPart, Progress
from bdshift.recovery.curve import FACTORS, at_level, measure_sizes, success
from bdshift.recovery.drop import drops
from bdshift.recovery.effort import affordable_passes, shortlist
from bdshift.recovery.recovery import SizeOf
from bdshift.recovery.scene import Scene, scene_of
from bdshift.recovery.search import Found, passes, search
from bdshift.recovery.tried import FinishedKinds, Tried
from bdshift.words import Sentence

TARGET = 2


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Four classes, the third with the backdoor."""
    return planted_subject(tmp_path_factory.mktemp("planted"), target=TARGET)


@pytest.fixture
def scene(subject: Subject) -> Iterator[Scene]:
    """All of its images."""
    with scene_of(
        subject.classifier, subject.collection, subject.embedding, 48, seed=0,
        device=torch.device("cpu"),
    ) as found:  # fmt: skip
        yield found


def targets(*classes: int) -> torch.Tensor:
    return torch.tensor(classes or (0, 1, 2, 3))


class Watching(JobContext):
    """Remembers glimpses; cancels at a step of the search."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.glimpses: list[Glimpse] = []
        self.parts: list[JobPart] = []
        self.stop_at = stop_at

    def report(self, event: Event) -> None:
        if isinstance(event, Glimpse):
            self.glimpses.append(event)
        if isinstance(event, JobPart):
            self.parts.append(event)
        if isinstance(event, Progress) and event.unit == "steps" and event.done == self.stop_at:
            self.cancel()


def test_a_scene_is_the_classifier_as_a_function_of_images(scene: Scene, subject: Subject) -> None:
    assert scene.pixels.shape == (48, 3, SIDE, SIDE)
    assert 0 <= float(scene.pixels.min()) <= float(scene.pixels.max()) <= 1
    logits, phi = scene.run(scene.pixels)
    torch.testing.assert_close(phi, scene.phi, atol=1e-4, rtol=1e-4)
    assert torch.equal(logits.argmax(1), scene.predicted)
    used, unused = scene.halves()
    assert len(used.labels) == len(unused.labels) == 24
    assert torch.bincount(used.labels).tolist() == torch.bincount(unused.labels).tolist()


def test_rows_come_once_before_any_comes_again(scene: Scene) -> None:
    drawn = torch.cat([scene.rows(12, step, 5) for step in range(4)])
    assert sorted(drawn.tolist()) == list(range(48))
    assert not torch.equal(scene.rows(12, 0, 5), scene.rows(12, 0, 6))
    assert len(scene.rows(100, 0, 0)) == 48


def test_the_mask_finds_the_planted_checker(scene: Scene) -> None:
    used, unused = scene.halves()
    kind = CHANGES.parse("mask")
    found = search(kind, used, targets())
    sizes = np.array([one.size for one in measure_sizes(kind, unused, found)])
    assert int(drops(sizes).argmax()) == TARGET
    assert drops(sizes)[TARGET] > math.log(3)
    mask = kind.strength(found.of(TARGET))[0]
    inside = mask[-CELL:, -CELL:].sum() / mask.sum()
    assert inside > 0.8  # the rest is what the optimizer has not faded out yet
    pattern = kind.overlay(found.of(TARGET))[0, :3, -CELL:, -CELL:].mean(0)
    strong = mask[-CELL:, -CELL:] > 0.5 * mask.max()
    assert torch.equal((pattern > 0.5)[strong], (checker() > 0.5)[strong])


def test_a_search_is_the_same_every_time(scene: Scene) -> None:
    kind = CHANGES.parse("mask")
    first, again, other = (search(kind, scene, targets(1, TARGET), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.size, again.size)
    assert all(torch.equal(first.params[key], again.params[key]) for key in first.params)
    assert not torch.equal(first.params["mask"], other.params["mask"])


def test_a_search_tells_how_much_of_its_work_is_done(scene: Scene, subject: Subject) -> None:
    """The first steps, with many starting points, take longer. What has another name is not shown
    beside the kinds that compete.
    """
    told: list[Event] = []

    class Told(JobContext):
        def report(self, event: Event) -> None:
            told.append(event)

    scene.job = Told()
    kind = CHANGES.parse("mask")
    search(kind, scene, targets(1, TARGET), stage=Sentence("Scanning"), shown=False)
    steps = [one for one in told if isinstance(one, Progress) and one.unit == "steps"]
    work = [one.share for one in steps]
    assert work[-1] == pytest.approx(1)
    assert work[len(work) // 2] > 0.6
    assert work == sorted(work)
    assert not any(isinstance(one, Glimpse) for one in told)


def test_a_search_in_parts_is_the_same(scene: Scene) -> None:
    kind = CHANGES.parse("additive")
    whole = search(kind, scene, targets())
    scene.batch = 24
    parts = search(kind, scene, targets())
    torch.testing.assert_close(whole.size, parts.size, rtol=0.05, atol=0.01)


def test_a_search_shows_what_it_finds_and_can_be_stopped(scene: Scene) -> None:
    scene.job = job = Watching(stop_at=40)
    with pytest.raises(Canceled):
        search(CHANGES.parse("mask"), scene, targets())
    assert [one.step for one in job.glimpses] == [1, 6, 11, 16, 21, 26, 31, 36]
    last = job.glimpses[-1]
    assert last.targets.tolist() == [0, 1, 2, 3]
    assert last.pictures.shape == (4, 3, SIDE, SIDE)
    assert last.pictures.dtype == last.strengths.dtype == np.uint8
    assert last.strengths.shape == (4, SIDE, SIDE)
    assert last.sizes[TARGET] < SIDE * SIDE


def test_success_follows_size(scene: Scene) -> None:
    kind = CHANGES.parse("mask")
    mask = torch.full((1, 1, SIDE, SIDE), -20.0)
    mask[..., -CELL:, -CELL:] = 20
    pattern = torch.zeros(1, 3, SIDE, SIDE)
    pattern[..., -CELL:, -CELL:] = 20 * (2 * checker() - 1)
    params = {"mask": mask, "pattern": pattern}
    assert success(kind, scene, TARGET, params) == 1
    smaller = at_level(kind, scene, TARGET, params, 0.95)
    assert kind.size(smaller) < kind.size(params)
    assert success(kind, scene, TARGET, smaller) >= 0.95
    half, most, nearly_all = _sizes(scene, params)
    assert 0 < half <= most <= nearly_all <= CELL * CELL
    nothing = {"mask": torch.full_like(mask, -20.0), "pattern": pattern}
    assert success(kind, scene, TARGET, nothing) == 0
    assert all(math.isinf(size) for size in _sizes(scene, nothing))
    assert FACTORS[0] < 1 < FACTORS[-1]


def _sizes(scene: Scene, params: dict[str, torch.Tensor]) -> tuple[float, ...]:
    found = Found(targets(TARGET), params, torch.ones(1))
    return measure_sizes(CHANGES.parse("mask"), scene, found)[0].sizes


def test_a_budget_buys_classes_and_never_looks_at_the_clock(scene: Scene) -> None:
    network = scene.classifier
    for one in ("float32", "bfloat16"):
        twice = affordable_passes(network, 20, one)
        assert twice == pytest.approx(2 * affordable_passes(network, 10, one))
    norms = np.random.default_rng(0).uniform(1, 2, 40)
    kind = CHANGES.parse("mask")
    assert shortlist(1e9, norms, 0) == list(range(40))
    few = shortlist(1e-9, norms, 0)
    assert len(few) == 8
    assert few == shortlist(1e-9, norms, 0) != shortlist(1e-9, norms, 1)
    assert set(np.argsort(norms)[:4].tolist()) <= set(few)
    assert passes(kind, 2) > passes(kind, 1) > 0


@pytest.mark.parametrize(
    "name", [one.name for one in DETECTORS.kinds() if issubclass(one, InversionDetector)]
)
def test_an_inversion_detector_keeps_what_it_found(name: str, subject: Subject) -> None:
    detector = DETECTORS.parse(f"{name}:images=32")
    found = detector.detect(subject, SILENT)
    record = found.record
    assert found.scores.shape == (4,)
    np.testing.assert_array_equal(found.scores, record.sizes[:, 1])
    assert (record.sizes[:, 0] <= record.sizes[:, 2]).all()
    assert record.pictures.shape == (4, 3, SIDE, SIDE)
    assert found.forwards > found.backwards > 0
    with pytest.raises(ValueError, match="read-only"):
        record.pictures[0] = 0


def test_sizes_are_judged_by_their_ratios() -> None:
    detector, rule = DETECTORS.parse("mask"), default_rule()
    scores = np.array([40.0, 55, 61, 48, 52, 45, 66, 50, 58, 3])
    judged = detector.judge(scores, rule)
    assert judged.suspected == (9,)
    assert 3 < judged.line < 40
    assert detector.judge(1000 * scores, rule).p == pytest.approx(judged.p)
    assert detector.judge(np.array([*scores[:-1], np.inf]), rule).suspected == ()


def test_a_detector_needs_the_network(subject: Subject) -> None:
    with pytest.raises(InputError, match="the model and the images themselves"):
        DETECTORS.parse("mask").detect(replace(subject, classifier=None), SILENT)


def test_a_trigger_is_recovered(
    victim_audit: Audit, victim_material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CHANGES["mask"], "steps", 36)  # fewer than usual
    kind, job = CHANGES.parse("mask"), Watching()
    found = recover_trigger(victim_audit, victim_material, kind=kind, seed=1, job=job)
    assert job.parts == [JobPart(1, 5), JobPart(2, 5)], (
        "the kind, and what is measured of it; no pair and its recovery follow"
    )
    assert {len(one.targets) for one in job.glimpses} == {4}, "not of what the best is tried on"
    assert found.target == victim_audit.most_suspicious
    assert found.kind == "mask"
    assert found.asr >= 0.9
    assert found.drop > math.log(3)
    assert len(found.attempt.controls) == 3
    assert found.target not in [one.target for one in found.attempt.controls]
    assert found.tac.images == sum(victim_audit.images.counts)
    assert found.tac.asr > 0.8
    assert found.tac.trigger.startswith("recovered:file=")
    shift = victim_audit.shifts.shift[found.target]
    agrees = found.tac.change @ np.abs(shift)
    assert agrees > 0.5 * np.linalg.norm(found.tac.change) * np.linalg.norm(shift)
    found.change.check_params(found.batched, found.side)
    assert sorted(found.beside) == sorted(one.target for one in found.attempt.controls)
    sizes = found.change.size(found.beside_params)
    assert sizes.min() > found.change.size(found.batched)[0]


def test_parts_are_counted_on_from_all_classes_to_a_single_one(
    victim_audit: Audit, victim_material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many kinds as the budget reaches, which are fewer for the second."""
    job, kinds, most = Watching(), iter((3, 2)), len([*CHANGES])

    def recovered(ground: Ground, *_: object) -> SimpleNamespace:
        count = next(kinds)
        for number in range(1, count + 2):
            ground.job.part(number, count + 1)
        return SimpleNamespace(attempts=range(count))

    monkeypatch.setattr(recovering, "ground_of", lambda *_: SimpleNamespace(job=job))
    monkeypatch.setattr(recovering, "fact_of", lambda _: SimpleNamespace(confirms=False))
    monkeypatch.setattr(recovering, "most_one_sided", lambda *_: (0, 1))
    monkeypatch.setattr(recovering, "_recovered", recovered)
    recover_trigger(victim_audit, victim_material, job=job)
    whole = 4 + 1 + most + 1
    assert job.parts == [
        *(JobPart(number, whole) for number in range(1, 6)),
        *(JobPart(number, 8) for number in range(6, 9)),
    ]


def test_without_a_suspect_the_class_of_the_largest_drop_is_taken(
    victim_audit: Audit, victim_material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    strict = RULES.parse("grubbs:significance=1e-9")
    cautious = replace(victim_audit, settings=replace(victim_audit.settings, rule=strict))
    assert cautious.finding.classes == ()

    def attempt(*given: Any) -> Tried:
        made = ours(*given)
        sizes = [2.0 if one.target == 4 else 9.0 for one in made.sizes]
        changed = [
            replace(one, sizes=(size,) * 3) for one, size in zip(made.sizes, sizes, strict=True)
        ]
        return replace(made, sizes=tuple(changed))

    ours = recovering._try
    monkeypatch.setattr(recovering, "_try", attempt)
    mask = CHANGES.parse("mask")
    found = recover_trigger(cautious, victim_material, kind=mask, budget=None, source=EVERY_OTHER)
    assert found.target == 4
    assert found.drop == pytest.approx(math.log(4.5))
    assert len(found.attempt.controls) == victim_audit.model.classes - 1
    again = recover_trigger(victim_audit, victim_material, kind=mask, source=EVERY_OTHER)
    assert again.target == TARGET_OF_DEMO


def test_an_interrupted_recovery_goes_on_after_the_last_finished_kind(
    victim_audit: Audit, victim_material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    kinds = [CHANGES.parse(name) for name in ("additive", "mask")]
    tried: list[str] = []
    made: list[Tried] = []

    def attempt(ground: Ground, kind: ChangeKind, *more: Any) -> Tried:
        tried.append(kind.name)
        if tried.count("mask") == 1:
            raise Canceled
        made.append(ours(ground, kind, *more))
        return made[-1]

    ours = recovering._try
    monkeypatch.setattr(recovering, "_kinds", lambda *_: iter(kinds))
    monkeypatch.setattr(recovering, "_try", attempt)
    resume = tmp_path / "a.h5.recover.state"
    with pytest.raises(Canceled):
        recover_trigger(victim_audit, victim_material, 3, source=EVERY_OTHER, resume=resume)
    again = recover_trigger(victim_audit, victim_material, 3, source=EVERY_OTHER, resume=resume)
    assert tried == ["additive", "mask", "mask"]
    assert list(again.attempts) == [one.attempt(3) for one in made]


def test_the_state_of_another_recovery_is_not_used(tmp_path: Path) -> None:
    path, device = tmp_path / "state", torch.device("cpu")
    kind = CHANGES.parse("mask")
    found = Found(targets(TARGET), kind.scout(torch.tensor([1]), SIDE, 0), torch.ones(1))
    one = Tried(kind, found, (SizeOf(TARGET, (1.0, 2.0, math.inf), 0.5),), 1.5, 20, 10)
    FinishedKinds(path, {"seed": 0}, device, SILENT).keep(one, 5, [TARGET])
    again = FinishedKinds(path, {"seed": 0}, device, SILENT).get(kind, 5, [TARGET])
    assert FinishedKinds(path, {"seed": 0}, device, SILENT).get(kind, 6, [TARGET]) is None
    assert again is not None
    assert again.attempt(TARGET) == one.attempt(TARGET)
    assert all(torch.equal(again.params(TARGET)[key], found.params[key]) for key in found.params)
    for content, seed, where in ((path.read_bytes(), 1, path), (b"no", 0, path), (b"", 0, None)):
        path.write_bytes(content)
        assert FinishedKinds(where, {"seed": seed}, device, SILENT).get(kind, 5, [TARGET]) is None
    below = path / "state"  # below a file
    FinishedKinds(below, {"seed": 0}, device, SILENT).keep(one, 5, [TARGET])
    assert path.read_bytes() == b"", "a recovery goes on without a state"


def test_what_cannot_be_recovered_is_refused(
    victim_audit: Audit, victim_material: Material, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="to another one"):
        recover_trigger(victim_audit, victim_material, 3, source=3)
    other = replace(victim_audit, embedding=None, images=replace(victim_audit.images, sha256="0"))
    with pytest.raises(InputError, match="is not the set that was audited"):
        recover_trigger(other, victim_material, 3)
