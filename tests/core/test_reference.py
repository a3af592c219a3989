"""A reference: a model that is known to be clean, and what its classes have, too."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import bdshift, one_line
from matrix import MATRIX, searched

from bdshift.audit import Audit, Material, ScanSettings, scan
from bdshift.audit.reference import add_reference, check_reference, with_reference
from bdshift.audit.second_stage import reaching_as_many, second_stage
from bdshift.detect.detector import DETECTORS, Evidence, Subject
from bdshift.detect.detectors.decree import Decree, DecreeRecord
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.detectors.mask import MaskInversion
from bdshift.detect.inversion import InversionDetector, InvertedChanges
from bdshift.errors import InputError, UsageError
from bdshift.jobs import Canceled, JobContext, Progress
from bdshift.outputs import Output
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.store import load_audit, save_audit, save_merged
from bdshift.store.finished import FinishedEvidence

FEW = "--sample", 120, "--normalize", "half", "--detector", "mask:images=160"


SETTINGS = ScanSettings(
    detectors=(EmbeddingShift(), DETECTORS.parse("mask")), sample=120, normalize="half"
)
EASY = {"victim.pth": {9: 15.0, 4: 4.8}, "clean-twin.pth": {4: 3.2}}
"""Classes that take so many times smaller masks than the others, by model."""


def find_at_once(self: MaskInversion, subject: Subject, job: JobContext) -> Evidence:
    """What a search for masks is said to find, without searching."""
    assert subject.classifier is not None
    job.progress("Searching", 0, 1, "masks")
    job.raise_if_canceled()
    classes = len(subject.class_names)
    scores = np.linspace(90, 100, classes)
    for index, factor in EASY[subject.classifier.path.name].items():
        scores[index] /= factor
    record = InvertedChanges(
        np.tile(scores[:, None], 3), np.ones(classes), np.zeros((classes, 3, 8, 8), np.uint8),
        np.zeros((classes, 8, 8), np.uint8),
    )  # fmt: skip
    return Evidence(self.spec, scores, record=record)


@pytest.fixture
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks are found at once."""
    monkeypatch.setattr(MaskInversion, "detect", find_at_once)


@pytest.fixture(scope="module")
def compared(victim: Path, clean_twin: Path, signs: Path) -> Audit:
    """The victim beside its clean twin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MaskInversion, "detect", find_at_once)
        return scan(victim, signs, SETTINGS, reference=clean_twin)


def test_it_is_examined_as_the_model(compared: Audit, clean_twin: Path) -> None:
    reference = compared.reference
    assert reference is not None
    assert Path(reference.model.path) == clean_twin
    assert [one.detector for one in reference.evidence] == [
        one.detector for one in compared.evidence
    ]
    assert (reference.images, reference.embedding) == (compared.images, None)
    assert reference.accuracy > 0.9
    assert reference.verdict is not None
    assert compared.finding.suspected == (9,)
    assert compared.verdict_alone is not None
    assert compared.verdict_alone.suspected == (9, 4)
    said = {one.code: str(one.sentence) for one in compared.finding.reasons}
    assert "class 4 “no_entry” is nothing unusual" in said["reference-explains"]
    assert "Mask and pattern 4.8" in said["reference-explains"]
    assert "here and 3.2" in said["reference-explains"]
    assert "class 9 “speed_80”" in said["reference-leaves"]


def test_decree_gives_the_ratio_to_it(compared: Audit) -> None:
    found = Decree()
    shares = np.full(12, 1 / 12)

    def evidence(pl1: float) -> Evidence:
        return Evidence(found.spec, pl1 / shares, record=DecreeRecord(shares, pl1, 0.99, 40))

    def codes(own: float, other: float) -> dict[str, str]:
        reference = compared.reference
        assert reference is not None
        beside = replace(reference, evidence=(*reference.evidence[:1], evidence(other)))
        audit = replace(compared, evidence=(*compared.evidence[:1], evidence(own)),
                        reference=beside)  # fmt: skip
        return {one.code: str(one.sentence) for one in audit.finding.reasons}

    assert (
        "4.2% of the image here and 12.0% in the reference: 0.35 times"
        in (codes(0.042, 0.12)["decree-beside"])
    )
    assert "decree-beside" not in codes(0.042, math.nan)


def test_a_file_keeps_it(compared: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(compared, path)
    found = load_audit(path)
    assert not found.unknown
    assert json.dumps(audit_json(found)) == json.dumps(audit_json(compared))
    assert found.reference is not None
    save_audit(replace(compared, reference=None), tmp_path / "b.h5")
    assert load_audit(tmp_path / "b.h5").reference is None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: replace(a, model=replace(a.model, sha256="1" * 64)), "is the model itself"),
        (lambda a: replace(a, images=replace(a.images, sha256="2" * 64)), "with other images"),
        (
            lambda a: replace(a, trials=(replace(
                a.trials[0], preprocessing=replace(a.preprocessing, size=28)),)),
            "takes images of 28 pixels, the model of 32",
        ),
    ],
)  # fmt: skip
def test_one_in_a_file_that_does_not_fit_is_refused(
    compared: Audit, spoil: Any, message: str, tmp_path: Path
) -> None:
    model = replace(compared.model, sha256="1" * 64)
    reference = compared.reference
    assert reference is not None
    odd = replace(compared, model=model, reference=spoil(reference))
    save_audit(odd, tmp_path / "a.h5")
    with pytest.raises(InputError, match=message):
        load_audit(tmp_path / "a.h5")


def test_another_number_of_classes_is_none(compared: Audit) -> None:
    model = replace(
        compared.model, sha256="1" * 64, weight=compared.model.weight[:5],
        bias=compared.model.bias[:5],
    )  # fmt: skip
    with pytest.raises(InputError, match="has 12 classes, the model has 5"):
        check_reference(replace(compared, model=model), compared)


def test_what_the_command_says_and_refuses(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path, no_search: None
) -> None:
    out = tmp_path / "a.h5"
    given = ("scan", victim, signs, *FEW)
    found = bdshift(*given, "--reference", clean_twin, "--json", "--out", out)
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["reference"]["path"] == str(clean_twin)
    assert [one["detector"].partition(":")[0] for one in told["reference"]["evidence"]] == [
        "shift",
        "mask",
    ]
    assert told["verdict"]["p"] >= told["verdict_without_reference"]["p"]
    one_line(bdshift(*given, "--reference", victim), 3, "is the model itself")
    one_line(bdshift(*given, "--reference", tmp_path / "none.pth"), 3, "cannot be read")
    for more in (("--rule", "grubbs"), ("--detector", "pairs")):
        searched = given[:-2] if "--detector" in more else given
        one_line(bdshift(*searched, *more, "--reference", clean_twin), 2, "a reference is")
    quick = ("scan", victim, signs, "--quick", "--reference", clean_twin)
    one_line(bdshift(*quick), 2, "leave out --quick")
    one_line(bdshift(*given, "--reference", clean_twin, "--out", clean_twin, "--overwrite"), 2, "")


def test_a_model_that_is_wrong_about_the_images_is_none(
    victim: Path, clean_twin: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bdshift.audit.reference.is_poor", lambda accuracy, classes: True)
    ran: list[str] = []
    monkeypatch.setattr(
        "bdshift.audit.one_model.examine", lambda *_, **__: ran.append("a detector")
    )
    with pytest.raises(InputError, match="so it is no reference"):
        scan(victim, signs, SETTINGS, reference=clean_twin)
    assert not ran, "it is an error before anything is searched for"


def test_an_audit_can_be_compared_later(
    victim_audit: Audit, victim_material: Material, clean_twin: Path, no_search: None
) -> None:
    with pytest.raises(UsageError, match="a reference is"):
        add_reference(victim_audit, victim_material, clean_twin)
    make, *_ = MATRIX["it stands out beside clean models"]
    found = add_reference(make(victim_audit), victim_material, clean_twin)
    assert found.reference is not None
    assert [one.name for one in found.reference.evidence] == ["shift", "mask"]
    again = with_reference(found, None)
    assert again.verdict is not None
    assert found.verdict_alone is not None
    assert again.verdict.standing == found.verdict_alone.standing


class _Stopped(JobContext):
    """Cancels itself where the reference is searched."""

    def __init__(self) -> None:
        super().__init__()
        self.searches = 0

    def report(self, event: Any) -> None:
        if isinstance(event, Progress) and str(event.stage) == "Searching":
            self.searches += 1
            if self.searches == 2:
                self.cancel()


@pytest.mark.slow
def test_interrupted_in_the_reference_it_goes_on_there(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path, no_search: None
) -> None:
    settings, state, job = SETTINGS, tmp_path / "state", _Stopped()
    with pytest.raises(Canceled):
        scan(victim, signs, settings, finished=FinishedEvidence(state), reference=clean_twin,
             job=job)  # fmt: skip
    notes: list[str] = []

    class Watching(JobContext):
        def report(self, event: Any) -> None:
            notes.append(str(getattr(event, "sentence", "")))

    scan(victim, signs, settings, finished=FinishedEvidence(state), reference=clean_twin,
         job=Watching())  # fmt: skip
    done = [one for one in notes if "was finished before" in one]
    assert len(done) == 3, "both of the model's, and the shift of the reference"


def test_what_is_suspected_or_measured_otherwise_explains_nothing(measured_audit: Audit) -> None:
    make, *_ = MATRIX["a reference explains it"]
    audit = make(measured_audit)
    reference = audit.reference
    assert reference is not None
    other = replace(reference.evidence[1], detector="mask:images=80,budget=60.0")
    odd = replace(reference, evidence=(reference.evidence[0], other))
    found = with_reference(audit, odd)
    assert found.finding.classes == (4,)
    assert found.verdict is not None
    mask = next(one for one in found.verdict.kinds if one.detector.name == "mask")
    assert not mask.explained.any()
    make, *_ = MATRIX["a reference is suspected of it, too"]
    both = make(measured_audit)
    assert both.verdict is not None
    mask = next(one for one in both.verdict.kinds if one.detector.name == "mask")
    assert mask.explained[9] == 0
    by_rule = audit.under(audit.settings.rule, by_rule=True)
    remarks = (*by_rule.finding.reasons, *by_rule.finding.cautions)
    assert not [one for one in remarks if one.code.startswith("reference")]


def test_cautions_of_a_reference(measured_audit: Audit) -> None:
    for name, code, text in (
        ("a reference is suspected of another class", "reference-suspected", "4 “no_entry”"),
        ("a reference was read wrongly", "reference-not-used", "do not match the statistics"),
        ("a reference without a search", "reference-not-used", "not searched for"),
    ):
        make, *_ = MATRIX[name]
        audit = make(measured_audit)
        [caution] = [one for one in audit.finding.cautions if one.code == code]
        assert text in str(caution.sentence)
        assert "beside  twin.pth" in audit_text(audit)


def test_a_reference_is_searched_for_as_many_classes(victim_material: Material) -> None:
    network = victim_material.classifier
    detectors = second_stage(network, 10_000.0, "float32", (EmbeddingShift(),))
    own = network, "float32"
    assert reaching_as_many(detectors, own, own) == detectors
    heavy = network.with_preprocessing(replace(network.preprocessing, size=64)), "float32"
    wide = dict(zip(detectors, reaching_as_many(detectors, own, heavy), strict=True))
    for one, other in wide.items():
        assert one.name == other.name
        if isinstance(one, InversionDetector) and isinstance(other, InversionDetector):
            assert other.budget > 2 * one.budget
    few = (EmbeddingShift(), DETECTORS.parse("mask:budget=1e-6"))
    assert reaching_as_many(few, own, own) == few


def test_a_purified_model_is_judged_beside_it_too(audit: Audit, tmp_path: Path) -> None:
    make, *_ = MATRIX["a reference does not explain it"]
    reference = make(audit).reference
    beside = with_reference(audit, reference)
    save_audit(beside, tmp_path / "a.h5")
    found = load_audit(tmp_path / "a.h5")
    assert found.reference is not None
    for one in (*beside.purifications, *found.purifications):
        assert one.rescan.reference is not None
        assert np.array_equal(
            one.rescan.reference.evidence[1].scores, found.reference.evidence[1].scores
        )


def test_a_class_that_stays_unusual_is_not_explained(measured_audit: Audit) -> None:
    """The reference has a little of the first class, so that another one comes first."""
    quiet, *_ = MATRIX["nothing unusual"]
    model = replace(measured_audit.model, path="/models/twin.pth", sha256="0" * 64)
    twin = replace(searched(quiet(measured_audit), {4: 1.15}), model=model, embedding=None, tac=())
    audit = with_reference(searched(quiet(measured_audit), {4: 4.2, 5: 4.0}), twin)
    assert audit.verdict is not None
    assert audit.verdict_alone is not None
    assert (audit.verdict_alone.index, audit.verdict.index) == (4, 5)
    assert set(audit.verdict.unusual) == {4, 5}
    codes = [one.code for one in audit.finding.reasons]
    assert "reference-leaves" in codes
    assert "reference-explains" not in codes


def test_nothing_made_of_an_audit_may_replace_its_reference(
    compared: Audit, clean_twin: Path
) -> None:
    assert clean_twin in compared.inputs


def test_what_another_program_added_is_beside_the_reference(audit: Audit, tmp_path: Path) -> None:
    make, *_ = MATRIX["a reference explains it"]
    beside = make(audit)
    assert audit.purifications
    path = tmp_path / "a.h5"
    save_audit(audit, path)
    merged = save_merged(replace(beside, purifications=()), Output(path, overwrite=True))
    assert len(merged.purifications) == len(audit.purifications)
    assert all(one.rescan.reference is beside.reference for one in merged.purifications)


def test_a_reference_that_another_program_added_is_kept(audit: Audit, tmp_path: Path) -> None:
    make, *_ = MATRIX["a reference explains it"]
    path = tmp_path / "a.h5"
    save_audit(make(audit), path)
    merged = save_merged(audit, Output(path, overwrite=True))
    for found in (merged, load_audit(path)):
        assert found.reference is not None
        assert all(one.rescan.reference is found.reference for one in found.purifications)
    assert save_merged(merged, Output(path, overwrite=True)) is merged
