"""Images without labels: the network's own predictions stand in for them, and that is said."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import bdshift, one_line
from known import STICKER, TARGET

from bdshift.audit import Audit, Material, ScanSettings, add_tac, reopen, scan, scan_opened
from bdshift.audit.doubts import doubts
from bdshift.audit.label_doubts import NO_LABELS, READING_UNCONFIRMED, UNLABELED_UNSURE
from bdshift.audit.next_step import next_step
from bdshift.audit.purifying import purify_model
from bdshift.audit.recovery_ground import ground_of
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.signs import CLASSES
from bdshift.jobs import SILENT
from bdshift.neurons.what_if import cut
from bdshift.purification.methods.cut import Cut
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.shift.cache import EmbeddingCache
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger


@pytest.fixture(scope="module")
def flat(signs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The signs in one folder, by names that tell nothing."""
    folder = tmp_path_factory.mktemp("flat") / "clean"
    folder.mkdir()
    for number, path in enumerate(sorted(signs.rglob("*.png"))):
        shutil.copy(path, folder / f"{number * 7919 % 10007:05d}.png")
    return folder


@pytest.fixture(scope="module")
def unlabeled(victim: Path, flat: Path) -> tuple[Audit, Material]:
    return scan_opened(open_checkpoint(victim), open_images(flat), ScanSettings(sample=None))


def test_a_folder_of_images_opens_and_says_that_there_are_no_labels(flat: Path) -> None:
    found = open_images(flat)
    assert (found.labeled, found.folders, found.counts()) == (False, (), [])
    assert len(found.files) == len(list(flat.iterdir()))
    assert str(found.notes[-1]).startswith("There are no labels")
    with pytest.raises(InputError, match="have no labels, and this needs them"):
        found.require_labels()


def test_so_do_a_zip_and_a_folder_called_images(flat: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in list(flat.iterdir())[:5]:
            archive.write(path, path.name)
    packed = open_images(tmp_path / "a.zip")
    assert (packed.labeled, len(packed.files)) == (False, 5)
    shutil.copytree(flat, tmp_path / "set" / "images")
    (tmp_path / "set" / "readme.md").write_text("about")
    found = open_images(tmp_path / "set")
    assert not found.labeled
    assert [one.name for one in found.skipped] == ["readme.md"]
    shutil.copytree(flat, tmp_path / "other" / "cat")
    assert open_images(tmp_path / "other").folders == ("cat",), "a class, if the only one"


def test_loose_images_beside_class_folders_are_left_out_as_before(
    signs: Path, tmp_path: Path
) -> None:
    shutil.copytree(signs, tmp_path / "mixed")
    shutil.copy(next(signs.rglob("*.png")), tmp_path / "mixed" / "loose.png")
    found = open_images(tmp_path / "mixed")
    assert found.folders == tuple(sorted(CLASSES))
    assert [(one.name, str(one.reason)) for one in found.skipped] == [
        ("loose.png", "not in a class folder")
    ]


def test_the_scan_finds_what_it_finds_with_labels(
    unlabeled: tuple[Audit, Material], victim_scan: tuple[Audit, Material]
) -> None:
    audit, labeled = unlabeled[0], victim_scan[0]
    assert audit.preprocessing == labeled.preprocessing
    np.testing.assert_allclose(audit.shifts.l2, labeled.shifts.l2, rtol=1e-6)
    assert audit.finding.classes == labeled.finding.classes == (TARGET,)
    assert audit.embedding is not None
    assert np.array_equal(audit.embedding.labels, audit.embedding.logits.argmax(1))
    assert audit.images.counts == tuple(np.bincount(audit.embedding.labels, minlength=12).tolist())
    assert math.isnan(audit.accuracy)
    assert all(math.isnan(one.accuracy) for one in audit.trials)
    assert NO_LABELS in [one.code for one in audit.finding.cautions]
    assert NO_LABELS not in [one.code for one in labeled.finding.cautions]


def test_what_is_not_known_is_no_number_anywhere(unlabeled: tuple[Audit, Material]) -> None:
    audit = unlabeled[0]
    found = json.loads(json.dumps(audit_json(audit), allow_nan=False))
    assert found["images"]["labeled"] is False
    assert found["clean_accuracy"] is None
    text = " ".join(audit_text(audit).split())
    assert "no labels, accuracy unknown" in text
    assert "nan" not in text.replace("finance", "")
    for language in ("en", "ja"):
        page = html_report(audit, language)
        assert "nan%" not in page
        assert ("unknown: the images have no labels" in page) == (language == "en")


def test_it_is_kept_in_the_file(unlabeled: tuple[Audit, Material], tmp_path: Path) -> None:
    audit = unlabeled[0]
    save_audit(audit, tmp_path / "a.h5")
    again = load_audit(tmp_path / "a.h5")
    assert not again.images.labeled
    assert again.embedding is not None
    assert audit.embedding is not None
    assert again.embedding.files == audit.embedding.files
    assert not again.embedding.labeled
    assert again.finding == audit.finding


@pytest.mark.parametrize("embeddings", [True, False])
def test_the_predictions_stay_the_labels(
    unlabeled: tuple[Audit, Material], tmp_path: Path, *, embeddings: bool
) -> None:
    audit, material = unlabeled
    save_audit(audit, tmp_path / "a.h5", embeddings=embeddings)
    loaded = load_audit(tmp_path / "a.h5")
    again = reopen(loaded)
    assert again.clean.files == material.clean.files
    measured = add_tac(loaded, again, parse_trigger(STICKER), TARGET)
    (tac,) = measured.tac
    assert tac.asr > 0.9
    assert math.isnan(tac.ra), "of unknown labels none are still right"
    assert audit.embedding is not None
    outcome = cut(audit.embedding, audit.model.weight, [0], tac)
    assert 0.5 < outcome.accuracy <= 1, "the share of predictions that stay"
    assert outcome.ra is None


def test_images_of_a_source_are_those_that_are_taken_for_it(
    unlabeled: tuple[Audit, Material],
) -> None:
    audit, material = unlabeled
    ground = ground_of(audit, material, None, None, 0, torch.device("cpu"), SILENT)
    for source in (0, TARGET):
        files = ground.files_of(source)
        assert len(files) == audit.images.counts[source] > 0
        assert {one.label for one in files} == {source}


def test_purifying_says_that_it_needs_labels(
    unlabeled: tuple[Audit, Material], flat: Path, victim: Path, tmp_path: Path
) -> None:
    audit, material = unlabeled
    with pytest.raises(InputError, match="have no labels, and this needs them"):
        purify_model(audit, material, Cut(neurons="3"), TARGET)
    measured = add_tac(audit, material, parse_trigger(STICKER), TARGET)
    assert next_step(measured) == "report"
    images = replace(measured.images, labeled=True)
    assert next_step(replace(measured, images=images)) == "purify"
    save_audit(audit, tmp_path / "a.h5")
    for sources in ([tmp_path / "a.h5"], [victim, flat]):
        done = bdshift("purify", *sources, "--out", tmp_path / "p.pth")
        one_line(done, 3, "have no labels", "labels.csv with the columns filename and label")
        assert not (tmp_path / "p.pth").exists()


def test_the_command_says_it(victim: Path, flat: Path) -> None:
    done = bdshift("scan", victim, flat, "--quick", "--no-cache")
    assert done.exit_code == 0
    assert "There are no labels" in done.stderr
    assert "! The images have no labels: the network's own predictions stand in" in " ".join(
        done.stdout.split()
    )


def test_classes_are_named_by_a_file_beside_the_images(
    victim: Path, flat: Path, tmp_path: Path
) -> None:
    shutil.copytree(flat, tmp_path / "named")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    audit = scan(victim, tmp_path / "named", ScanSettings(sample=60))
    assert audit.images.class_names == CLASSES
    assert str(audit.images.label_source) == str(tmp_path / "classes.txt")
    given = tmp_path / "given.txt"
    given.write_text("\n".join(f"sign {i}" for i in range(12)))
    audit = scan(victim, tmp_path / "named", ScanSettings(sample=60, labels=given))
    assert audit.images.class_names[3] == "sign 3"
    given.write_text("\n".join(f"sign {i}" for i in range(13)))
    with pytest.raises(InputError, match="numbered up to 12, but the network has 12 classes"):
        scan(victim, tmp_path / "named", ScanSettings(sample=60, labels=given))


def test_of_images_of_one_class_alone_nothing_is_concluded(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    shutil.copytree(signs / "stop", tmp_path / "images")
    audit = scan(victim, tmp_path / "images")
    assert audit.finding.level == "inconclusive"
    assert audit.finding.classes == ()


def test_a_constant_network_is_refused(victim: Path, flat: Path, tmp_path: Path) -> None:
    held = torch.load(victim, weights_only=True)
    held["state_dict"]["fc.weight"].zero_()
    held["state_dict"]["fc.bias"].copy_(torch.eye(12)[3])
    torch.save(held, tmp_path / "constant.pth")
    with pytest.raises(InputError, match=r"class 3 for every image\. Without labels nothing tells"):
        scan(tmp_path / "constant.pth", flat, ScanSettings(sample=60))


def test_the_second_scan_takes_the_embedding_from_the_cache(
    victim: Path, flat: Path, tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    settings = ScanSettings(sample=60)
    first = scan(victim, flat, settings, cache=cache)
    (entry,) = cache.folder.iterdir()
    before = entry.stat().st_ino
    again = scan(victim, flat, settings, cache=cache)
    assert [one.stat().st_ino for one in cache.folder.iterdir()] == [before], "read, not written"
    assert first.embedding is not None
    assert again.embedding is not None
    assert again.embedding.files == first.embedding.files


def test_without_labels_or_batch_norms_the_normalization_has_to_be_named(
    unlabeled: tuple[Audit, Material],
) -> None:
    audit = unlabeled[0]
    first, *others = audit.trials
    bare = replace(audit, trials=(replace(first, mismatch=None, norms=None), *others))
    assert READING_UNCONFIRMED in [one.code for one in doubts(bare.facts)]
    assert bare.finding.level == "inconclusive"
    named = replace(bare, settings=replace(bare.settings, normalize="half"))
    assert not doubts(named.facts)
    unsure = replace(audit, trials=(replace(first, confidence=0.3), *others))
    assert UNLABELED_UNSURE in [one.code for one in doubts(unsure.facts)]
    assert not doubts(audit.facts)
