"""The images of an audit, which of them, in what order; the picture of why."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import bdshift, one_line
from known import STICKER, TARGET
from PIL import Image
from recovered import made_recovery

from bdshift.audit import Audit, ScanSettings, scan_opened, with_recovery
from bdshift.audit import gallery as gallery_module
from bdshift.audit.exhibit import exhibit, in_turn, telling
from bdshift.audit.full_size import FullSizeImages
from bdshift.audit.gallery import (
    CLEAN,
    FILTERS,
    ORDERS,
    PARTS,
    Gallery,
    describe,
    galleries,
    pictures_of,
)
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.detect.detector import DETECTORS, Evidence
from bdshift.detect.inversion import InvertedChanges
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images
from bdshift.reports.pictures import contact_sheet
from bdshift.store import save_audit
from bdshift.triggers import parse_trigger


def of_trigger(audit: Audit) -> Gallery:
    [clean, one] = galleries(audit)
    assert (clean.which, one.which) == ((CLEAN, -1), (audit.tac[0].trigger, TARGET))
    return one


# --- which images, in what order


def test_filters(measured_audit: Audit) -> None:
    one = of_trigger(measured_audit)
    labels = one.clean.labels
    found = {name: set(one.rows(name).tolist()) for name in FILTERS}
    assert found["all"] == set(range(len(labels)))
    assert found["sent"] | found["stay"] == set(np.flatnonzero(labels != TARGET).tolist())
    assert not found["sent"] & found["stay"]
    assert all(one.after[row] == TARGET for row in found["sent"])
    assert found["wrong"] | found["right"] == found["all"]
    assert all(one.after[row] == labels[row] for row in found["right"])
    assert found["changed"] == set(np.flatnonzero(one.before != one.after).tolist())
    assert len(found["sent"]) > len(found["stay"])
    of_class = one.rows("sent", label=2)
    assert set(labels[of_class].tolist()) == {2}
    clean = galleries(measured_audit)[0]
    assert clean.rows("right", "file").tolist() == np.flatnonzero(clean.before == labels).tolist()
    with pytest.raises(UsageError, match="needs a trigger"):
        clean.rows("sent")


def test_a_trigger_of_one_source_is_for_its_images_alone(measured_audit: Audit) -> None:
    found = with_recovery(measured_audit, made_recovery(measured_audit, source=3))
    one = next(one for one in galleries(found) if one.recovery is not None)
    assert one.source == 3
    rows = np.concatenate([one.rows("sent"), one.rows("stay")])
    assert set(one.clean.labels[rows].tolist()) == {3}


def test_orders(measured_audit: Audit) -> None:
    one = of_trigger(measured_audit)
    in_folder, turns = one.rows("sent", "file"), one.rows("sent")
    assert np.all(np.diff(in_folder) > 0), "as in the folder"
    labels = one.clean.labels
    classes = len(np.unique(labels[in_folder]))
    assert len(set(labels[turns[:classes]].tolist())) == classes, "the first of each class"
    assert len(set(labels[turns[classes : 2 * classes]].tolist())) == classes, "then the second"
    assert sorted(turns.tolist()) == in_folder.tolist()
    for label in np.unique(labels[turns]):
        assert np.all(np.diff(turns[labels[turns] == label]) > 0)
    assert one.rows("sent", label=2).tolist() == one.rows("sent", "file", label=2).tolist()
    certain = one.rows("sent", "certain")
    logits = one.shown.logits[certain].astype(np.float64)
    others = np.delete(logits, TARGET, 1).max(1)
    assert np.all(np.diff(logits[:, TARGET] - others) <= 0)
    assert set(one.rows("sent", "doubtful")[:1]) == set(certain[-1:])
    by_neuron = one.rows("all", "neurons", neurons=[5, 7])
    assert np.all(np.diff(one.shown.phi[by_neuron][:, [5, 7]].mean(1, dtype=np.float64)) <= 0)
    with pytest.raises(UsageError, match="no neuron is selected"):
        one.rows("all", "neurons")


def test_every_filter_and_order_has_words(measured_audit: Audit) -> None:
    one = of_trigger(measured_audit)
    row = int(one.rows("sent")[0])
    names = measured_audit.images.class_names
    said = str(describe(one, row, names))
    assert said.startswith(one.clean.files[row].name)
    assert f"{names[int(one.before[row])]} → speed_80; labeled" in said
    assert " → " not in str(describe(galleries(measured_audit)[0], row, names))


def test_images_without_labels_have_no_right_and_wrong(measured_audit: Audit) -> None:
    clean = measured_audit.embedding
    assert clean is not None
    flat = replace(measured_audit, embedding=clean.with_predictions(), tac=())
    [one] = galleries(flat)
    with pytest.raises(UsageError, match="needs labels"):
        one.rows("wrong")
    assert [name for name, kept in FILTERS.items() if kept.fits(one)] == ["all"]
    assert "labeled" not in str(describe(one, 0, flat.images.class_names))


def test_the_newest_trigger_comes_first(measured_audit: Audit) -> None:
    tac = measured_audit.tac[0]
    two = replace(measured_audit, tac=(tac, replace(tac, trigger="blend:strength=0.1")))
    found = with_recovery(two, made_recovery(two))
    keys = [one.key.partition(":")[0] for one in galleries(found)]
    assert keys == [CLEAN, "blend", "badnets", "recovered"]
    assert galleries(replace(found, embedding=None)) == ()


def test_pictures_before_after_and_the_change() -> None:
    before = np.full((3, 2, 2), 100, np.uint8)
    after = before.copy()
    after[:, 0, 0], after[:, 1, 1] = 120, 90
    assert [len(pictures_of(before, after, name)) for name in gallery_module.PARTS] == [1, 2, 3]
    assert pictures_of(before, after, "after")[0] is after
    first, second, change = pictures_of(before, after, "change")
    assert (first is before, second is after) == (True, True)
    assert change[0].tolist() == [[255, 128], [128, 64]]
    assert pictures_of(before, None, "change") == [before]


# --- on a sheet


def test_a_sheet_holds_every_picture() -> None:
    groups = [[np.full((3, 4, 4), 10 * n + 40 * k, np.uint8) for k in range(2)] for n in range(5)]
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(groups, 8))))
    assert {10 * n + 40 * k for n in range(5) for k in range(2)} <= set(np.unique(sheet).tolist())
    assert (sheet[0] == 255).all(), "white at the edge"
    with pytest.raises(UsageError, match="too many for one sheet"):
        contact_sheet(groups * 100_000, 64)


def test_the_command(saved: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    args = ("images", saved, "--order", "certain", "--count", "7")
    told = json.loads(bdshift(*args, "--out", sheet, "--json").stdout)
    assert (told["only"], len(told["listed"]), told["trigger"]) == ("sent", 7, STICKER)
    assert {one["after"] for one in told["listed"]} == {"speed_80"}
    assert "speed_80" not in {one["label"] for one in told["listed"]}
    with Image.open(sheet) as drawn:
        assert drawn.width > 2 * 96
    one_line(bdshift(*args, "--out", sheet), 2, "exists")
    words = bdshift("images", saved, "--trigger", "none", "--label", "stop").stdout.splitlines()
    assert words[-1].endswith(" images")
    assert all("labeled stop" in line for line in words[:-1])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--trigger", "blend"], "no trigger of the audit starts with 'blend'"),
        (["--order", "neurons"], "no neuron is selected"),
        (["--neurons", "3,x"], "not a list of numbers"),
        (["--neurons", "3000"], "not a list of numbers"),
        (["--trigger", "none", "--only", "sent"], "needs a trigger"),
        (["--label", "nobody"], "neither a class name"),
    ],
)
def test_wrong_wishes(saved: Path, args: list[str], says: str) -> None:
    one_line(bdshift("images", saved, *args), 2, says)


@pytest.mark.parametrize("option", ["--only", "--order", "--parts"])
def test_a_name_that_is_none(option: str, tmp_path: Path) -> None:
    found = bdshift("images", tmp_path / "a.h5", option, "odd")
    assert found.exit_code == 2
    known = {"--only": list(FILTERS), "--order": list(ORDERS), "--parts": list(PARTS)}
    assert all(repr(name) in found.stderr for name in known[option])


def test_without_embeddings_there_are_no_images(measured_audit: Audit, tmp_path: Path) -> None:
    save_audit(measured_audit, tmp_path / "slim.h5", embeddings=False)
    one_line(bdshift("images", tmp_path / "slim.h5"), 3, "has no images")


# --- the picture of why


def with_search(audit: Audit, asr: float, side: int = 32) -> Audit:
    """The audit, as if a search had found the demo's sticker; no trigger is known."""
    classes = audit.model.classes
    sizes = np.full((classes, 3), 90.0)
    sizes[TARGET] = 16.0
    pictures = np.full((classes, 3, side, side), 128, np.uint8)
    strengths = np.zeros((classes, side, side), np.uint8)
    pictures[TARGET, :, 20:24, 14:18] = np.array([255, 216, 0], np.uint8)[:, None, None]
    strengths[TARGET, 20:24, 14:18] = 255
    record = InvertedChanges(sizes, np.full(classes, asr), pictures, strengths)
    mask = Evidence(DETECTORS["mask"]().spec, sizes[:, 1].copy(), record=record)
    return replace(audit, evidence=(audit.evidence[0], mask), tac=(), recoveries=())


def test_a_known_trigger_is_shown_on_the_images_that_it_sends(measured_audit: Audit) -> None:
    assert measured_audit.finding.suspected == (TARGET,)
    shown = exhibit(measured_audit)
    assert shown is not None
    assert (shown.target, shown.which) == (TARGET, (measured_audit.tac[0].trigger, TARGET))
    assert len(shown.before) == len(shown.captions) == 4
    assert all(str(one).endswith("→ speed_80") for one in shown.captions)
    assert len({str(one) for one in shown.captions}) == 4, "one of each class"
    changed = np.argwhere((shown.before != shown.after).any((0, 1)))
    assert changed.min(0).tolist() == [20, 14]
    assert changed.max(0).tolist() == [23, 17]


def test_a_recovered_trigger_is_shown_if_none_is_known(measured_audit: Audit) -> None:
    found = made_recovery(measured_audit)
    shown = exhibit(with_recovery(replace(measured_audit, tac=()), found))
    assert shown is not None
    assert shown.which == (found.tac.trigger, TARGET)
    assert "recovered" in str(shown.sentence)


def test_what_a_search_has_found_is_laid_over_the_images(measured_audit: Audit) -> None:
    shown = exhibit(with_search(measured_audit, asr=0.9))
    assert shown is not None
    assert (shown.captions, shown.which) == ((), (CLEAN, -1))
    assert "works on 90% of unused images" in str(shown.sentence)
    assert (shown.after[:, :, 20:24, 14:18].reshape(4, 3, -1) == [[[255], [216], [0]]]).all()
    far = np.ones((32, 32), bool)
    far[20:24, 14:18] = False
    assert np.abs(shown.after[..., far].astype(int) - shown.before[..., far]).max() <= 1


def test_nothing_is_shown_that_does_not_work(measured_audit: Audit) -> None:
    assert exhibit(with_search(measured_audit, asr=0.4)) is None
    assert exhibit(with_search(measured_audit, asr=0.9, side=24)) is None, "of another size"
    failing = replace(measured_audit.tac[0], asr=0.01)
    assert exhibit(replace(measured_audit, tac=(failing,))) is None
    assert exhibit(replace(measured_audit, embedding=None)) is None


def test_nothing_is_shown_of_a_clean_model(clean_twin: Path, signs: Path) -> None:
    audit, _ = scan_opened(open_checkpoint(clean_twin), open_images(signs), ScanSettings())
    assert not audit.finding.suspected
    assert exhibit(audit) is None


def test_those_that_it_sends_come_first(measured_audit: Audit) -> None:
    of = of_trigger(measured_audit)
    count = len(of.clean.labels)
    assert sorted(telling(of, count).tolist()) == np.flatnonzero(of.meant).tolist()
    first = telling(of, 11)
    assert len(set(of.clean.labels[first].tolist())) == 11, "one of each class"
    sent = of.after[telling(of, 4)] == TARGET
    assert sent.all()


def test_one_of_each_class_in_turn() -> None:
    labels = np.array([0, 0, 1, 2, 1])
    assert in_turn(labels, np.array([1, 0, 4, 2, 3]), 4).tolist() == [1, 4, 3, 0]


# --- at full size


def test_an_image_is_read_again(measured_audit: Audit, signs: Path) -> None:
    reader = FullSizeImages(measured_audit, signs)
    assert not reader.are_larger
    clean, triggered = reader.read(3)
    embedding = measured_audit.embedding
    assert embedding is not None
    assert np.array_equal(clean, embedding.thumbnails[3])
    assert triggered is None
    tac = measured_audit.tac[0].triggered
    assert tac is not None
    changed = reader.read(3, parse_trigger(STICKER))[1]
    assert changed is not None
    assert np.array_equal(changed, tac.thumbnails[3])


def test_a_thumbnail_of_another_device_may_be_rounded_otherwise(
    measured_audit: Audit, signs: Path
) -> None:
    embedding = measured_audit.embedding
    assert embedding is not None
    off = embedding.thumbnails.copy()
    off[3, 0, 0, 0] += 1 if off[3, 0, 0, 0] < 255 else -1
    other = replace(measured_audit, embedding=replace(embedding, thumbnails=off))
    assert np.array_equal(FullSizeImages(other, signs).read(3)[0], embedding.thumbnails[3])


def test_another_image_of_that_name_is_not_shown(measured_audit: Audit, signs: Path) -> None:
    embedding = measured_audit.embedding
    assert embedding is not None
    thumbnails = embedding.thumbnails.copy()
    thumbnails[3] = 255 - thumbnails[3]
    other = replace(measured_audit, embedding=replace(embedding, thumbnails=thumbnails))
    with pytest.raises(InputError, match="has changed since the audit"):
        FullSizeImages(other, signs).read(3)
