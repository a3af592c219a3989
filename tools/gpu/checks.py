"""Every path that a GPU takes, once: does it run, does it say what the CPU says, what does it take?

What is checked is a victim whose truth is known, with drawn signs; no photos are needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from bdshift.audit import Audit, Material, ScanSettings, add_tac, scan_opened
from bdshift.audit.purifying import purify_model
from bdshift.audit.recovering import recover_trigger
from bdshift.changes import CHANGES
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.detect.detector import DETECTORS, Subject
from bdshift.images.collection import open_images
from bdshift.images.signs import CLASSES, write_signs
from bdshift.jobs import Canceled, JobContext
from bdshift.measure import der
from bdshift.purification import METHODS
from bdshift.shift.embed import embed_images
from bdshift.shift.solve import solve
from bdshift.triggers import Trigger, card_target, parse_trigger
from tools.gpu.plan import Plan, brief
from tools.gpu.steps import WorkStep

STAGE = "checks"
Check = Callable[[Plan, JobContext], dict[str, Any]]

_CLOSE = 0.1
"""Relative difference between two precisions that is no fault: bfloat16 has three digits."""


def need(what: bool, why: object) -> None:
    """An assertion that is also there under ``python -O``."""
    if not what:
        raise AssertionError(why)


def signs(plan: Plan, job: JobContext) -> str:
    """The folder of clean signs."""
    folder, each = plan.work / "signs", 8 if plan.dry else 100
    if len(list(folder.glob("*/*.png"))) < each * len(CLASSES):
        write_signs(folder, each, job=job)
    return str(folder)


@cache
def _audited(plan: Plan, device: str) -> tuple[Audit, Material]:
    job = JobContext()
    images = open_images(signs(plan, job), job=job)
    return scan_opened(open_checkpoint(plan.victim), images, ScanSettings(device=device), job=job)


@cache
def _truth(plan: Plan) -> tuple[Trigger, int]:
    card = str(plan.victim.with_suffix(".json"))
    return parse_trigger(card), CLASSES.index(card_target(card))


def _timed(plan: Plan, work: Callable[[], Any], *, warm: bool) -> tuple[Any, float]:
    """What it returns, and the seconds of its last run; the first one prepares the GPU."""
    if warm:
        work()
    if plan.where.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    found = work()
    if plan.where.type == "cuda":
        torch.cuda.synchronize()
    return found, round(time.perf_counter() - began, 4)


def check_machine(plan: Plan, job: JobContext) -> dict[str, Any]:
    """What the machine is."""
    if not plan.dry:
        need(torch.cuda.is_available(), "there is no CUDA")
        need(torch.cuda.is_bf16_supported(including_emulation=False), "no bfloat16 in hardware")
    signs(plan, job)
    return {"threads": torch.get_num_threads(), "cuda": torch.version.cuda}


def check_scan(plan: Plan, job: JobContext) -> dict[str, Any]:
    """The audit of the victim, on the GPU and on the CPU."""
    images = open_images(signs(plan, job))
    opened = open_checkpoint(plan.victim)
    found: dict[str, Audit] = {}
    seconds = {}
    for device in dict.fromkeys((plan.device, "cpu")):
        work = partial(scan_opened, opened, images, ScanSettings(device=device), job=job)
        (audit, _), seconds[device] = _timed(plan, work, warm=device != "cpu")
        found[device] = audit
    here, there = found[plan.device], found["cpu"]
    off = float(np.abs(here.shifts.l2 / there.shifts.l2 - 1).max())
    need(off < _CLOSE, f"the lengths of the shifts are {off:.1%} off")
    need(here.finding.classes == there.finding.classes, "another class is suspected")
    need(here.accuracy > 0.9, f"ACC is {here.accuracy}")
    return {
        "images": sum(here.images.counts), "seconds": seconds, "precision": here.precision,
        "off": off,
        "l2": here.shifts.l2.tolist(), "suspected": list(here.finding.classes),
    }  # fmt: skip


def check_solver(plan: Plan, job: JobContext) -> dict[str, Any]:
    """Eq. 4 for 1000 classes, on the GPU and on the CPU, which have to agree to eight digits."""
    count, classes, wide = (60, 20, 8) if plan.dry else (2000, 1000, 512)
    rng = np.random.default_rng(0)
    phi = np.abs(rng.standard_normal((count, wide))).astype(np.float32)
    weight = (rng.standard_normal((classes, wide)) * 4 / wide**0.5).astype(np.float32)
    logits = phi @ weight.T
    found, seconds = {}, {}
    for device in (plan.device, "cpu"):
        work = partial(solve, logits, weight, device=torch.device(device), job=job)
        found[device], seconds[device] = _timed(plan, work, warm=device != "cpu")
    here, there = found[plan.device], found["cpu"]
    off = float(np.abs(here.l2 / there.l2 - 1).max())
    need(off < 1e-6, f"the lengths are {off:.1e} off")
    return {"images": count, "classes": classes, "neurons": wide, "seconds": seconds, "off": off}


def check_tac(plan: Plan, job: JobContext) -> dict[str, Any]:
    """TAC, on the GPU and on the CPU."""
    trigger, target = _truth(plan)
    found = []
    for device in (plan.device, "cpu"):
        audit, material = _audited(plan, device)
        with_tac = add_tac(audit, material, trigger, target, device=device, job=job)
        found.append(with_tac.tac[0].change.astype(np.float64))
    here, there = found
    cosine = float(here @ there / np.linalg.norm(here) / np.linalg.norm(there))
    need(cosine > 0.99, f"the cosine is {cosine}")
    return {"cosine": cosine}


def check_method(plan: Plan, job: JobContext, name: str) -> dict[str, Any]:
    """One purification. Ours, as it is by default, has to remove the backdoor."""
    kind = METHODS[name]
    ours = bool(kind.our_row) and not plan.dry
    method = METHODS.parse(name) if ours else brief(METHODS.parse(name), dry=plan.dry)
    audit, material = _audited(plan, plan.device)
    trigger, target = _truth(plan)
    made = purify_model(
        audit, material, method, target, trigger=trigger,
        unlearn=trigger if kind.sees_trigger else None, device=plan.device, job=job,
    )  # fmt: skip
    weights = made.result.state().values()
    need(all(bool(torch.isfinite(one.float()).all()) for one in weights), "weights are not finite")
    need(made.before.asr is not None and made.after.asr is not None, "there is no ASR")
    if ours:
        need((made.after.asr or 0) < 0.2, f"ASR is {made.after.asr}")
    return {
        "method": made.result.method, "seconds": made.result.seconds,
        "der": der(made.before, made.after),
        "before": [made.before.acc, made.before.asr], "after": [made.after.acc, made.after.asr],
    }  # fmt: skip


def check_detector(plan: Plan, job: JobContext, name: str) -> dict[str, Any]:
    """One detector."""
    audit, material = _audited(plan, plan.device)
    assert audit.embedding is not None
    detector = brief(DETECTORS.parse(name), dry=plan.dry)
    subject = Subject(
        audit.embedding, audit.model.weight, audit.images.class_names, material.classifier,
        material.clean.collection, material.clean.files, plan.where,
    )  # fmt: skip
    found = detector.detect(subject, job)
    need(len(found.scores) == len(CLASSES), "a score is missing")
    return {"detector": detector.spec, "seconds": found.seconds, "scores": found.scores.tolist()}


def check_recovery(plan: Plan, job: JobContext, name: str) -> dict[str, Any]:
    """The search for the trigger, of one kind of change. A mask has to find the patch."""
    audit, material = _audited(plan, plan.device)
    _, target = _truth(plan)
    found = recover_trigger(
        audit, material, target, CHANGES.parse(name), budget=0.1 if plan.dry else 15.0,
        device=plan.device, job=job,
    )  # fmt: skip
    need(0 <= found.asr <= 1, "ASR is no share")
    if name == next(iter(CHANGES)) and not plan.dry:
        need(found.asr > 0.8, f"ASR is {found.asr}")
    return {"kind": name, "asr": found.asr}


def check_memory(plan: Plan, job: JobContext) -> dict[str, Any]:
    """Memory runs out, batches are halved, and the embedding is the same."""
    _, material = _audited(plan, plan.device)
    classifier, clean = material.classifier, material.clean
    embed = partial(
        embed_images, classifier, clean.collection, clean.files, clean.class_map.of_folder,
        device=plan.where, precision="float32", batch=64 if plan.dry else 256, job=job,
    )  # fmt: skip
    whole = embed()
    tried = []
    for room in _rooms(plan, classifier.network):
        with room as megabytes:
            try:
                found = embed()
            except RuntimeError as error:  # not even one image fits
                need("out of memory" in str(error), error)
                break
        tried.append([megabytes, found.batch])
        if found.batch < whole.batch:
            off = float(np.abs(found.phi - whole.phi).max())
            need(off < 1e-2 * float(np.abs(whole.phi).max()), f"the embedding is {off} off")
            return {"rooms": tried, "off": off}
    raise AssertionError(f"no batch was halved: {tried}")


def _rooms(plan: Plan, network: torch.nn.Module) -> Iterator[Any]:
    """Less and less memory, in MB: of the GPU, or for a dry run, as if."""
    from tools.gpu.memory import cuda_room, pretended_room

    if plan.where.type != "cuda":
        yield pretended_room(network, 16)
        return
    for megabytes in (256, 128, 64, 48, 32, 16):
        yield cuda_room(megabytes)


class _Impatient(JobContext):
    """Canceled by its user at so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left, self.since = looks, 0.0

    def raise_if_canceled(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.cancel()
            self.since = time.perf_counter()
        super().raise_if_canceled()


def check_cancel(plan: Plan, job: JobContext) -> dict[str, Any]:
    """Work is canceled in its middle, ends, and what is done next is not disturbed."""
    audit, material = _audited(plan, plan.device)
    trigger, target = _truth(plan)
    images = material.clean.collection
    opened = open_checkpoint(plan.victim)
    settings = ScanSettings(device=plan.device)
    first = next(iter(CHANGES))

    def purify(one: JobContext) -> object:
        method = brief(METHODS.parse("fine-tuning"), dry=plan.dry)
        return purify_model(audit, material, method, target, device=plan.device, job=one)

    works: dict[str, Callable[[JobContext], object]] = {
        "scan": lambda one: scan_opened(opened, images, settings, job=one),
        "tac": lambda one: add_tac(
            audit, material, trigger, target, device=plan.device, job=one
        ),
        "purify": purify,
        "recover": lambda one: recover_trigger(
            audit, material, target, CHANGES.parse(first), budget=0.1, device=plan.device, job=one
        ),
    }  # fmt: skip
    took = {}
    for name, work in works.items():
        impatient = _Impatient(3)
        try:
            work(impatient)
        except Canceled:
            took[name] = round(time.perf_counter() - impatient.since, 3)
        else:
            raise AssertionError(f"{name} went on")
    again, _ = scan_opened(opened, images, settings, job=job)
    need(np.allclose(again.shifts.l2, audit.shifts.l2, rtol=1e-4), "the next scan is another one")
    return {"seconds until it has ended": took}


def steps(plan: Plan) -> list[WorkStep]:
    """All checks, in order, one after another."""
    from tools.gpu.training import checks

    named: list[tuple[str, str, float, Check]] = [
        ("machine", "signs", 10, check_machine),
        ("scan", "scan", 20, check_scan),
        ("solver", "solver", 40, check_solver),
        ("tac", "tac", 4, check_tac),
        ("memory", "memory", 4, check_memory),
        ("cancel", "cancel", 6, check_cancel),
    ]
    for kind, seconds, names, check in (
        ("purify", 4, METHODS, check_method),
        ("recover", 5, CHANGES, check_recovery),
        ("detect", 4, DETECTORS, check_detector),
    ):
        some = list(names)[: 1 if plan.dry else None]
        named += [(f"{kind} {one}", kind, seconds, partial(check, name=one)) for one in some]
    named += checks(plan)
    folder = plan.results / STAGE
    return [
        WorkStep(
            f"{STAGE}/{name}", f"check {kind}", seconds, folder / f"{name.replace(' ', '-')}.json",
            lambda job, check=check: {**plan.about(STAGE), **check(plan, job)},  # type: ignore[misc]
            lane=STAGE, alone=kind in ("scan", "solver", "speed"),
        )
        for name, kind, seconds, check in named
    ]  # fmt: skip
