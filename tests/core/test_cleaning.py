"""From an audit to a cleaned model: figures, rescan, the audit that keeps it, the commands."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from purified import of, same

from bdshift.audit import Audit, reopen
from bdshift.audit.cleaning import aligned, clean_model
from bdshift.audit.comparison import compare
from bdshift.audit.unfinished import Asked, Unfinished
from bdshift.errors import InputError, UsageError
from bdshift.jobs import Canceled, Event, Figures, JobContext
from bdshift.neurons.tac import Tac
from bdshift.purify import Cut, FineTuning
from bdshift.report.comparison_report import compared_text, runs_table, runs_text
from bdshift.shift.exact import solve_exact
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"
TARGET = 9


# --- the rescan


def test_the_rescan_is_of_the_purified_model(audit: Audit) -> None:
    tuned, cut = (run.rescan for run in audit.runs)
    assert not np.array_equal(tuned.model.weight, audit.model.weight)
    assert tuned.shifts.l2[TARGET] > 1.2 * audit.shifts.l2[TARGET]
    assert audit.verdict.poisoned == (TARGET,)
    assert cut.verdict.poisoned == (TARGET,), "one neuron less changes little"
    assert not cut.model.weight[:, 3].any()
    assert tuned.embedding is not None
    assert audit.embedding is not None
    assert tuned.embedding.files == audit.embedding.files
    assert tuned.embedding.accuracy == tuned.accuracy
    again = tuned.tac_of(TARGET)
    before = audit.tac_of(TARGET)
    assert again is not None
    assert before is not None
    assert again.asr < before.asr
    assert audit.runs[1].after.asr == pytest.approx(before.asr, abs=0.02)


def test_no_file_that_an_audit_names_is_opened(victim_audit: Audit, tmp_path: Path) -> None:
    """An audit may come from anybody: its trigger's picture is not looked for."""
    d = victim_audit.model.embedding_dim
    named = Tac(f"patch:file={tmp_path / 'gone.png'}", TARGET, np.zeros(d), np.zeros(d), 1, 0, 480)
    theirs = dataclasses.replace(victim_audit, tac=(named,))
    found = clean_model(theirs, Cut(neurons="3"), TARGET)
    assert found.rescan.tac == ()


def test_the_embedding_cache_is_not_asked_about_a_purified_model(audit: Audit) -> None:
    """It goes by the file's hash, which is the original's."""
    embedding = audit.runs[1].rescan.embedding
    assert embedding is not None
    weight, bias = audit.runs[1].rescan.model.weight, audit.runs[1].rescan.model.bias
    assert np.allclose(embedding.logits, embedding.phi @ weight.T + bias, atol=1e-3)


def test_stopped_it_tells_what_there_is_and_stopped_again_nothing(victim_audit: Audit) -> None:
    class Stopping(JobContext):
        def __init__(self, stage: str = "") -> None:
            super().__init__()
            self.stage = stage
            self.purified = False

        def report(self, event: Event) -> None:
            if isinstance(event, Figures):
                self.purified = True
                self.cancel()
            elif self.purified and getattr(event, "stage", "") == self.stage:
                self.cancel()

    found = clean_model(victim_audit, FineTuning(epochs=9), TARGET, job=Stopping())
    assert not found.run.complete
    assert len(found.run.rows) == 1
    with pytest.raises(Canceled):
        clean_model(victim_audit, FineTuning(epochs=9), TARGET, job=Stopping("Measuring"))


def test_test_images_are_only_reported_on(victim_audit: Audit, signs: Path) -> None:
    method = FineTuning(epochs=1)
    plain = clean_model(victim_audit, method, TARGET)
    trigger = parse_trigger(STICKER)
    other = clean_model(victim_audit, method, TARGET, test=signs, trigger=trigger)
    assert same(of(plain), of(other))
    assert (plain.test, plain.count) == (None, 96)
    assert (other.test, other.count) == (str(signs), 480)
    assert plain.after.asr is None
    assert other.after.asr is not None


def test_other_images_are_refused_before_anything_is_done(
    victim_audit: Audit, signs: Path, tmp_path: Path
) -> None:
    shutil.copytree(signs, tmp_path / "fewer")
    next((tmp_path / "fewer" / "stop").iterdir()).unlink()

    class NoPurifying(JobContext):
        def report(self, event: Event) -> None:
            assert getattr(event, "stage", "") != "Purifying"

    with pytest.raises(InputError, match="not the set that was audited"):
        clean_model(
            victim_audit, FineTuning(epochs=1), TARGET, images=tmp_path / "fewer",
            job=NoPurifying(),
        )  # fmt: skip


def test_rescans_follow_the_audits_alpha_and_rule(audit: Audit) -> None:
    changed = dataclasses.replace(
        audit,
        shifts=solve_exact(audit.embedding.logits, audit.model.weight, alpha=0.5),  # type: ignore[union-attr]
        verdict=dataclasses.replace(audit.verdict, rule="mad"),
    )
    found = aligned(changed)
    for run in found.runs:
        again = run.rescan
        assert again.shifts.alpha == 0.5
        assert (again.settings.alpha, again.verdict.rule) == (0.5, "mad")
        assert again.embedding is not None
        anew = solve_exact(again.embedding.logits, again.model.weight, alpha=0.5)
        assert np.array_equal(again.shifts.l2, anew.l2)
    assert aligned(audit).runs[0] is audit.runs[0], "nothing to do"


# --- two models side by side


def test_sides_are_compared_on_the_same_images(audit: Audit) -> None:
    found = compare(audit)
    assert (found.a.number, found.b.number) == (0, 2)
    tuned, cut = audit.runs
    assert compare(audit, 0, 1).measured == (tuned.before, tuned.after)
    assert compare(audit, 1, 0).measured == (tuned.after, tuned.before)
    both = compare(audit, 1, 2)
    assert both.comparable
    assert both.measured == (tuned.after, cut.after)
    assert compare(audit, 0, 0).der is None
    other = dataclasses.replace(audit, runs=(tuned, dataclasses.replace(cut, held=0.3)))
    assert not compare(other, 1, 2).comparable
    assert compare(other, 1, 2).der is None
    with pytest.raises(UsageError, match="there is no model 3"):
        compare(audit, 0, 3)


def test_what_was_measured_differently_is_not_put_into_one_row(audit: Audit) -> None:
    first, second = audit.runs
    other = dataclasses.replace(
        second, run=dataclasses.replace(second.run, target=3), trigger="badnets:size=1"
    )
    mixed = dataclasses.replace(audit, runs=(first, other))
    assert runs_table(audit)[0]["asr"] == first.before.asr
    row = runs_table(mixed)[0]
    assert (row["asr"], row["norm"], row["target"]) == (None, None, None)
    assert row["acc"] == audit.accuracy
    assert not compare(mixed, 1, 2).comparable
    assert "do not all compare" in runs_text(mixed)
    assert "do not all compare" not in runs_text(audit)
    assert "Not measured alike" in compared_text(compare(mixed, 1, 2))


def test_neurons_are_compared_under_the_purifications_trigger(audit: Audit) -> None:
    tac = audit.tac_of(TARGET)
    assert tac is not None
    later = dataclasses.replace(tac, trigger="badnets:size=1")
    more = dataclasses.replace(audit, tac=(*audit.tac, later))
    assert more.tac_of(TARGET) is later, "the last that was measured is shown"
    found = compare(more, 0, 1).tacs
    assert found is not None
    assert found[0].trigger == found[1].trigger == audit.runs[0].trigger


def test_changed_images_are_those_that_changed(audit: Audit) -> None:
    found = compare(audit, 0, 1)
    assert found.clean is not None
    assert found.triggered is not None
    first, second = audit.embedding, audit.runs[0].rescan.embedding
    assert first is not None
    assert second is not None
    was, now = first.logits.argmax(1), second.logits.argmax(1)
    assert {one.row for one in found.clean} == set(np.flatnonzero(was != now).tolist())
    mended = [one for one in found.triggered if one.kind == "mended"]
    assert len(mended) > 50, "the sticker no longer works"
    assert all(one.was == TARGET and one.now == one.label for one in mended)
    assert all(one.label != TARGET for one in found.triggered)
    back = compare(audit, 1, 0)
    assert back.triggered is not None
    assert sum(one.kind == "broken" for one in back.triggered) == len(mended)


# --- the audit file


def test_an_audit_keeps_its_purifications(audit: Audit, saved: Path) -> None:
    again = load_audit(saved)
    assert len(again.runs) == 2
    for one, two in zip(audit.runs, again.runs, strict=True):
        assert same(of(one), of(two))
        assert (one.run.rows, one.run.method, one.run.kept) == (
            two.run.rows, two.run.method, two.run.kept,
        )  # fmt: skip
        assert (one.before.acc, one.after.asr, one.trigger) == (
            two.before.acc, two.after.asr, two.trigger,
        )  # fmt: skip
        assert np.array_equal(one.rescan.shifts.shift, two.rescan.shifts.shift)
        assert two.rescan.embedding is not None
        assert two.rescan.verdict == one.rescan.verdict
    assert runs_table(again) == runs_table(audit)


def test_a_small_audit_file_has_no_weights(audit: Audit, tmp_path: Path) -> None:
    save_audit(audit, tmp_path / "small.h5", embeddings=False)
    again = load_audit(tmp_path / "small.h5")
    assert again.runs[0].run.weights is None
    assert compare(again).clean is None
    classifier, _ = reopen(again)
    with pytest.raises(UsageError, match="saved without the weights"):
        again.runs[0].run.applied_to(classifier)


def test_weights_of_another_network_are_refused(audit: Audit) -> None:
    classifier, _ = reopen(audit)
    weights = {"fc.weight": torch.zeros(3, 3)}
    wrong = dataclasses.replace(audit.runs[0].run, weights=weights)
    with pytest.raises(InputError, match="of another network"):
        wrong.applied_to(classifier)


@pytest.mark.parametrize("damage", ["head", "alpha", "beta", "infinite", "nested", "class"])
def test_runs_that_do_not_fit_are_refused(saved: Path, damage: str) -> None:
    with h5py.File(saved, "r+") as file:
        about = json.loads(file["audit.json"][()].tobytes())
        first = about["runs"][0]
        if damage == "head":  # other weights than the figures are of
            place = first["weights"].index("fc.weight")
            file[f"runs/0/weights/{place}"][...] = 1.0
        elif damage == "infinite":
            file["runs/0/rescan/shift/shift"][0, 0] = np.inf
        elif damage == "alpha":
            first["rescan"]["shifts"]["alpha"] = -5.0
        elif damage == "beta":
            first["rescan"]["verdict"]["beta"] = None
        elif damage == "nested":
            first["rescan"]["runs"] = [first["rescan"].copy()]
        else:
            first["run"]["target"] = 12
        del file["audit.json"]
        file["audit.json"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with pytest.raises(InputError, match="is damaged"):
        load_audit(saved)


# --- purifications that were interrupted


def test_what_was_begun_is_found_again_until_it_is_forgotten(audit: Audit, tmp_path: Path) -> None:
    states = Unfinished(tmp_path / "states")
    asked = [Asked(f"cut:neurons={i}", TARGET, STICKER, 0.2) for i in range(7)]
    assert states.find(audit) is None
    paths = []
    for one in asked:
        path = states.begin(audit, one)
        assert states.find(audit) != one, "nothing was done yet"
        path.write_bytes(b"state")
        os.utime(path, (len(paths) + 1, len(paths) + 1))
        paths.append(path)
        assert states.find(audit) == one
    left = list((tmp_path / "states").glob("*.state"))
    assert len(left) < len(asked), "the oldest go"
    assert len(left) == len(list((tmp_path / "states").glob("*.json")))
    oldest = min(left, key=lambda path: path.stat().st_mtime)
    again = asked[paths.index(oldest)]
    assert states.begin(audit, again) == oldest
    assert oldest.exists(), "begun again, it is not the one to go"
    assert states.find(audit, {paths[-1]}) == asked[-2]
    other = dataclasses.replace(
        audit, shifts=dataclasses.replace(audit.shifts, shift=audit.shifts.shift * 2)
    )
    assert states.find(other) is None, "of other shifts"
    for path in paths:
        states.forget(path)
    assert states.find(audit) is None
    assert not list((tmp_path / "states").iterdir())
