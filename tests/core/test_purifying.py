"""From an audit to a purified model: figures, rescan, the audit that keeps it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from known import SIGNS, STICKER, TARGET
from purified import same_weights, weights_of
from quick import quick_detector

from bdshift.audit import Audit, Material, Purification, reopen
from bdshift.audit.comparison import compare
from bdshift.audit.purifying import aligned, at_alpha, purify_model, rescan
from bdshift.audit.unfinished import PurificationRequest, Unfinished
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rules.mad import Mad
from bdshift.errors import InputError, UsageError
from bdshift.jobs import Canceled, Event, Figures, JobContext, JobPart, Note, Progress
from bdshift.neurons.tac import Tac
from bdshift.purification.methods.cut import Cut
from bdshift.purification.methods.fine_tuning import FineTuning
from bdshift.reports.comparison_report import compared_text, models_table, models_text
from bdshift.resume import write_state
from bdshift.shift.exact import solve_exact
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger


def purified(audit: Audit, *purifications: Purification) -> Audit:
    """The audit with these purifications alone."""
    return dataclasses.replace(audit, purifications=purifications)


# The rescan


def test_the_rescan_is_of_the_purified_model(audit: Audit) -> None:
    tuned, cut = (one.rescan for one in audit.purifications)
    assert not np.array_equal(tuned.model.weight, audit.model.weight)
    assert tuned.shifts.l2[TARGET] > 1.2 * audit.shifts.l2[TARGET]
    assert audit.finding.classes == audit.judgment.flagged == (TARGET,)
    assert cut.judgment.flagged == (TARGET,), "one neuron less changes little"
    assert (audit.finding.level, cut.finding.level) == ("backdoored", "backdoored")
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
    assert audit.purifications[1].after.asr == pytest.approx(before.asr, abs=0.02)


def test_no_file_that_an_audit_names_is_opened(
    victim_audit: Audit, victim_material: Material, tmp_path: Path
) -> None:
    """An audit may come from anybody: its trigger's picture is not looked for."""
    nothing = np.zeros(victim_audit.model.embedding_dim)
    named = Tac(
        trigger=f"patch:file={tmp_path / 'gone.png'}", target=TARGET, asr=1, ra=0, images=480,
        change=nothing, signed=nothing,
    )  # fmt: skip
    theirs = dataclasses.replace(victim_audit, tac=(named,))
    found = purify_model(theirs, victim_material, Cut(neurons="3"), TARGET)
    assert found.rescan.tac == ()


def test_the_embedding_cache_is_not_asked_about_a_purified_model(audit: Audit) -> None:
    """It goes by the file's hash, which is the original's."""
    again = audit.purifications[1].rescan
    assert again.embedding is not None
    logits = again.embedding.phi @ again.model.weight.T + again.model.bias
    assert np.allclose(again.embedding.logits, logits, atol=1e-3)


def test_stopped_it_tells_what_there_is_and_stopped_again_nothing(
    victim_audit: Audit, victim_material: Material
) -> None:
    class Stopping(JobContext):
        """Stops after the first step, then in ``stage``."""

        def __init__(self, stage: str = "") -> None:
            super().__init__()
            self.stage = stage
            self.stopped = False
            self.parts: list[JobPart] = []

        def report(self, event: Event) -> None:
            if isinstance(event, JobPart):
                self.parts.append(event)
            elif isinstance(event, Figures):
                self.stopped = True
                self.cancel()
            elif self.stopped and isinstance(event, Progress) and str(event.stage) == self.stage:
                self.cancel()

    given = victim_audit, victim_material, FineTuning(epochs=9), TARGET
    found = purify_model(*given, job=(job := Stopping()))
    assert job.parts == [JobPart(1, 2), JobPart(2, 2)]
    assert not found.result.complete
    assert len(found.result.rows) == 1
    with pytest.raises(Canceled):
        purify_model(*given, job=Stopping("Measuring"))


def test_a_quick_rescan_searches_nothing(victim_audit: Audit, victim_material: Material) -> None:
    settings = replace(
        victim_audit.settings, detectors=(EmbeddingShift(), quick_detector("mask")), search=9.0
    )
    audit = replace(victim_audit, settings=settings)
    found = rescan(audit, victim_material, quick=True)
    assert [one.name for one in found.settings.detectors] == ["shift"]
    assert found.settings.search == 0
    assert len(rescan(audit, victim_material).evidence) == 2


def test_test_images_that_cannot_be_read_are_counted(
    victim_audit: Audit, victim_material: Material, signs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "test"
    shutil.copytree(signs, folder)
    images = sorted(folder.rglob("*.png"))
    for one in images[:3]:
        one.write_bytes(b"no picture")
    told: list[str] = []

    class Told(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Note):
                told.append(str(event.sentence))

    given = victim_audit, victim_material, FineTuning(epochs=1), TARGET
    found = purify_model(*given, test=folder, job=Told())
    assert found.count == SIGNS - 3
    assert any("3 test images cannot be read and are left out" in one for one in told)
    for one in images:
        one.write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of the test images can be read"):
        purify_model(*given, test=folder)


def test_test_images_are_only_reported_on(
    victim_audit: Audit, victim_material: Material, signs: Path
) -> None:
    given = victim_audit, victim_material, FineTuning(epochs=1), TARGET
    plain = purify_model(*given)
    other = purify_model(*given, test=signs, trigger=parse_trigger(STICKER))
    assert same_weights(weights_of(plain), weights_of(other))
    assert (plain.test, plain.count) == (None, 72)
    assert (other.test, other.count) == (str(signs), SIGNS)
    assert plain.after.asr is None
    assert other.after.asr is not None


def test_other_images_are_refused_before_anything_is_done(
    victim_audit: Audit, signs: Path, tmp_path: Path
) -> None:
    shutil.copytree(signs, tmp_path / "fewer")
    next((tmp_path / "fewer" / "stop").iterdir()).unlink()

    class NoPurifying(JobContext):
        def report(self, event: Event) -> None:
            assert not (isinstance(event, Progress) and str(event.stage) == "Purifying")

    material = reopen(victim_audit, images=tmp_path / "fewer")
    with pytest.raises(InputError, match="not the set that was audited"):
        purify_model(victim_audit, material, FineTuning(epochs=1), TARGET, job=NoPurifying())


def test_a_share_that_cannot_be_held_out_is_refused(
    victim_audit: Audit, victim_material: Material
) -> None:
    with pytest.raises(UsageError, match="held-out share must be between 0 and 1, not 1"):
        purify_model(victim_audit, victim_material, Cut(neurons="3"), TARGET, held_out=1)


def test_rescans_follow_the_audits_alpha_and_rule(audit: Audit) -> None:
    changed = at_alpha(audit, 0.5)
    assert changed.shifts.alpha == 0.5
    assert changed.finding != audit.finding, "the norms in it are others"
    settings = dataclasses.replace(changed.settings, rule=Mad())
    found = aligned(dataclasses.replace(changed, settings=settings))
    for made in found.purifications:
        again = made.rescan
        assert again.shifts.alpha == 0.5
        assert again.settings.detectors == (EmbeddingShift(alpha=0.5),)
        assert again.evidence[0].detector == EmbeddingShift(alpha=0.5).spec
        assert again.settings.rule == again.judgment.rule == Mad()
        assert again.embedding is not None
        anew = solve_exact(again.embedding.logits, again.model.weight, alpha=0.5)
        assert np.array_equal(again.shifts.l2, anew.l2)
        assert np.array_equal(again.evidence[0].scores, anew.l2)
    assert aligned(audit).purifications[0].rescan is audit.purifications[0].rescan, "nothing to do"


# Two models side by side


def test_sides_are_compared_on_the_same_images(audit: Audit) -> None:
    found = compare(audit)
    assert (found.a.number, found.b.number) == (0, 2)
    tuned, cut = audit.purifications
    assert (found.a.purification, found.b.purification) == (None, cut)
    assert compare(audit, 0, 1).measured == (tuned.before, tuned.after)
    assert compare(audit, 1, 0).measured == (tuned.after, tuned.before)
    both = compare(audit, 1, 2)
    assert both.comparable
    assert both.measured == (tuned.after, cut.after)
    assert compare(audit, 0, 0).der is None
    other = purified(audit, tuned, dataclasses.replace(cut, held_out=0.3))
    assert not compare(other, 1, 2).comparable
    assert compare(other, 1, 2).der is None
    with pytest.raises(UsageError, match=r"there is no model 3: .* holds 2 purifications"):
        compare(audit, 0, 3)


def test_what_was_measured_differently_is_not_put_into_one_row(audit: Audit) -> None:
    first, second = audit.purifications
    other = dataclasses.replace(
        second, result=dataclasses.replace(second.result, target=3), trigger="badnets:size=1"
    )
    mixed = purified(audit, first, other)
    assert models_table(audit)[0].asr == first.before.asr
    row = models_table(mixed)[0]
    assert (row.asr, row.norm, row.target) == (None, None, None)
    assert row.acc == audit.accuracy
    assert not compare(mixed, 1, 2).comparable
    assert "not all comparable" in models_text(mixed)
    assert "not all comparable" not in models_text(audit)
    assert "Measured differently" in compared_text(compare(mixed, 1, 2))


def test_neurons_are_compared_under_the_purifications_trigger(audit: Audit) -> None:
    tac = audit.tac_of(TARGET)
    assert tac is not None
    later = dataclasses.replace(tac, trigger="badnets:size=1")
    more = dataclasses.replace(audit, tac=(*audit.tac, later))
    assert more.tac_of(TARGET) is later, "the last that was measured is shown"
    found = compare(more, 0, 1).tacs
    assert found is not None
    assert found[0].trigger == found[1].trigger == audit.purifications[0].trigger


def test_changed_images_are_those_that_changed(audit: Audit) -> None:
    found = compare(audit, 0, 1)
    assert found.clean is not None
    assert found.triggered is not None
    first, second = audit.embedding, audit.purifications[0].rescan.embedding
    assert first is not None
    assert second is not None
    was, now = first.logits.argmax(1), second.logits.argmax(1)
    assert {one.row for one in found.clean} == set(np.flatnonzero(was != now).tolist())
    fixed = [one for one in found.triggered if one.kind == "fixed"]
    assert len(fixed) > 50, "the sticker no longer works"
    assert all(one.was == TARGET and one.now == one.label for one in fixed)
    assert all(one.label != TARGET for one in found.triggered)
    back = compare(audit, 1, 0)
    assert back.triggered is not None
    assert sum(one.kind == "broken" for one in back.triggered) == len(fixed)


# The audit file


def test_an_audit_keeps_its_purifications(audit: Audit, saved: Path) -> None:
    again = load_audit(saved)
    assert len(again.purifications) == 2
    for one, two in zip(audit.purifications, again.purifications, strict=True):
        assert same_weights(weights_of(one), weights_of(two))
        assert one.result.rows == two.result.rows
        assert (one.result.method, one.result.kept) == (two.result.method, two.result.kept)
        assert (one.before.acc, one.after.asr) == (two.before.acc, two.after.asr)
        assert (one.trigger, one.held_out) == (two.trigger, two.held_out)
        assert np.array_equal(one.rescan.shifts.shift, two.rescan.shifts.shift)
        assert two.rescan.embedding is not None
        assert two.rescan.finding == one.rescan.finding
    assert models_table(again) == models_table(audit)


def test_a_small_audit_file_has_no_weights(
    audit: Audit, victim_material: Material, tmp_path: Path
) -> None:
    save_audit(audit, tmp_path / "small.h5", embeddings=False)
    again = load_audit(tmp_path / "small.h5")
    assert again.purifications[0].result.weights is None
    assert compare(again).clean is None
    with pytest.raises(UsageError, match="saved without the weights"):
        again.purifications[0].result.applied_to(victim_material.classifier)


def test_weights_of_another_network_are_refused(audit: Audit, victim_material: Material) -> None:
    weights = {"fc.weight": torch.zeros(3, 3)}
    wrong = dataclasses.replace(audit.purifications[0].result, weights=weights)
    with pytest.raises(InputError, match="do not belong to the audited network"):
        wrong.applied_to(victim_material.classifier)


@pytest.mark.parametrize("damage", ["head", "alpha", "rule", "infinite", "nested", "class"])
def test_purifications_that_do_not_fit_are_refused(saved: Path, damage: str) -> None:
    with h5py.File(saved, "r+") as file:
        about = json.loads(file["audit.json"][()].tobytes())
        first = about["purifications"][0]
        if damage == "head":  # other weights than the figures are of
            place = first["result"]["weights"].index("fc.weight")
            file[f"purifications/0/result/weights/{place}"][...] = 1.0
        elif damage == "infinite":
            file["purifications/0/rescan/evidence/shift/record/shift"][0, 0] = np.inf
        elif damage == "alpha":
            first["rescan"]["evidence"]["shift"]["record"]["alpha"] = -5.0
        elif damage == "rule":
            first["rescan"]["settings"]["rule"] = None
        elif damage == "nested":
            first["rescan"]["purifications"] = [first["rescan"].copy()]
        else:
            first["result"]["target"] = 12
        del file["audit.json"]
        file["audit.json"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with pytest.raises(InputError, match="is damaged"):
        load_audit(saved)


def test_a_setting_of_a_file_that_is_out_of_range_is_the_files_fault(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        about = json.loads(file["audit.json"][()].tobytes())
        about["purifications"][0]["rescan"]["settings"]["rule"] = "paper:beta=-1.0"
        del file["audit.json"]
        file["audit.json"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with pytest.raises(InputError, match=rf"^{saved}: paper: beta is a number above 0"):
        load_audit(saved)


# Purifications that were interrupted


def test_what_was_begun_is_found_again_until_it_is_forgotten(audit: Audit, tmp_path: Path) -> None:
    states = Unfinished(tmp_path / "states")
    asked = [PurificationRequest(f"cut:neurons={i}", TARGET, STICKER, 0.2) for i in range(7)]
    assert states.find(audit) is None
    paths: list[Path] = []
    for one in asked:
        path = states.begin(audit, one)
        assert states.find(audit) != one, "nothing was done yet"
        write_state(path, {})
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
    assert states.find(at_alpha(audit, 0.5)) is None, "of other shifts"
    for path in paths:
        states.forget(path)
    assert states.find(audit) is None
    assert not list((tmp_path / "states").iterdir())
