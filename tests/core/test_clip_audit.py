"""A CLIP model is audited, purified and written back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import clip_files
import numpy as np
import pytest
import torch
from commands import bdshift, one_line
from safetensors import safe_open

from bdshift.audit import reopen
from bdshift.audit.zero_shot import accuracy_with
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.clip.network import ClipTowers
from bdshift.checkpoints.prompts import ClassPrompts, templates_of
from bdshift.errors import InputError, UsageError
from bdshift.images.signs import CLASSES
from bdshift.store import load_audit, save_audit

_GENTLE = "fine-tuning:epochs=1,rate=0.0001"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A CLIP that recognizes signs, and a folder of them."""
    return clip_files.write_known(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def audited(known: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audited") / "a.h5"
    found = bdshift("scan", *known, "--quick", "--out", out, "--no-cache")
    assert found.exit_code == 0, found.output
    return out


def test_it_is_audited_by_the_names_of_the_folders(audited: Path) -> None:
    audit = load_audit(audited)
    assert audit.model.prompts is not None
    assert audit.model.prompts.names == tuple(name.replace("_", " ") for name in CLASSES)
    assert audit.images.class_names == CLASSES
    assert audit.model.prompts.templates == templates_of("cifar")
    assert audit.accuracy > 0.6
    assert audit.embedding is not None
    lengths = np.linalg.norm(audit.embedding.phi, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-4)
    again = reopen(audit)
    np.testing.assert_array_equal(again.classifier.weight.numpy(), audit.model.weight)
    page = audited.with_suffix(".html")
    assert bdshift("report", audited, "--out", page).exit_code == 0
    assert "a blurry photo of the {}." in page.read_text()


def test_the_effect_of_other_templates_is_that_of_a_scan_with_them(
    known: tuple[Path, Path], audited: Path
) -> None:
    audit, opened = load_audit(audited), open_checkpoint(known[0])
    assert accuracy_with(opened, audit, templates_of("cifar")) == audit.accuracy
    with pytest.raises(UsageError):
        accuracy_with(opened, audit, ("no place",))
    with pytest.raises(InputError, match="without embeddings"):
        accuracy_with(opened, replace(audit, embedding=None), templates_of("plain"))


def test_other_prompts_give_another_head(
    known: tuple[Path, Path], audited: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text("the sign that says {}\n")
    before = load_audit(audited)
    found = bdshift("scan", *known, "--quick", "--prompts", tmp_path / "p.txt", "--out",
                    tmp_path / "b.h5", "--arch", before.model.architecture, "--normalize",
                    before.preprocessing.normalization.spec)  # fmt: skip
    assert found.exit_code == 0, found.output
    audit = load_audit(tmp_path / "b.h5")
    assert audit.settings.prompts == ("the sign that says {}",)
    assert audit.model.prompts is not None
    assert audit.model.prompts.text(0, 0) == f"the sign that says {CLASSES[0]}"
    told = accuracy_with(open_checkpoint(known[0]), before, audit.settings.prompts)
    assert told == audit.accuracy
    assert not np.allclose(audit.model.weight, before.model.weight)


@pytest.mark.slow
def test_folders_that_are_numbers_need_names(known: tuple[Path, Path], tmp_path: Path) -> None:
    model, signs = known
    for number, folder in enumerate(sorted(signs.iterdir())):
        shutil.copytree(folder, tmp_path / "numbered" / str(number))
    one_line(
        bdshift("scan", model, tmp_path / "numbered", "--quick"),
        3,
        "--labels",
        "called 0, 1, 10, 11",
    )
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    out = tmp_path / "n.h5"
    found = bdshift("scan", model, tmp_path / "numbered", "--quick", "--out", out, "--labels",
                    tmp_path / "names.txt", "--no-cache")  # fmt: skip
    assert found.exit_code == 0, found.output
    audit = load_audit(out)
    assert audit.images.class_names == CLASSES
    assert audit.accuracy > 0.6
    tuned = bdshift("purify", out, "--method", _GENTLE, "--target", "0", "--out", tmp_path / "p.pt")
    assert tuned.exit_code == 0, tuned.output
    (tmp_path / "numbered/classes.txt").write_text("\n".join(CLASSES))  # the same, found there
    beside = bdshift("scan", model, tmp_path / "numbered", "--quick", "--out", out, "--overwrite",
                     "--no-cache")  # fmt: skip
    assert beside.exit_code == 0, beside.output
    again = load_audit(out)
    assert again.accuracy == audit.accuracy
    assert "classes.txt" in str(again.images.label_source)


def test_it_is_described_without_names(known: tuple[Path, Path]) -> None:
    found = bdshift("info", known[0])
    assert found.exit_code == 0, found.output
    assert "CLIP ResNet 1-1-1-1, width 16, QuickGELU" in found.stdout
    assert "made of the names of the classes" in found.stdout
    told = json.loads(bdshift("info", known[0], "--json").stdout)
    assert (told["classes"], told["embedding_dim"]) == (None, clip_files.FEATURES)


@pytest.mark.slow
def test_it_is_purified_and_exported(
    audited: Path, known: tuple[Path, Path], tmp_path: Path
) -> None:
    found = bdshift("purify", audited, "--method", _GENTLE, "--target", "0", "--out",
                    tmp_path / "p.pth", "--format", "state-dict")  # fmt: skip
    assert found.exit_code == 0, found.output
    opened = open_checkpoint(tmp_path / "p.pth")
    assert not opened.needs_names
    assert opened.classes == len(CLASSES)
    [made] = load_audit(audited).purifications
    rescanned = bdshift("scan", tmp_path / "p.pth", known[1], "--quick", "--no-cache", "--out",
                        tmp_path / "p.h5")  # fmt: skip
    assert rescanned.exit_code == 0, rescanned.output
    assert load_audit(tmp_path / "p.h5").accuracy == pytest.approx(made.rescan.accuracy)


def test_a_purified_clip_stays_a_clip(
    audited: Path, known: tuple[Path, Path], tmp_path: Path
) -> None:
    def purify(method: str, name: str) -> None:
        found = bdshift("purify", audited, "--method", method, "--target", "0", "--out",
                        tmp_path / name)  # fmt: skip
        assert found.exit_code == 0, found.output

    purify(_GENTLE, "tuned.pt")
    before = torch.load(known[0], weights_only=True)
    after = torch.load(tmp_path / "tuned.pt", weights_only=True)
    assert after.keys() == before.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert all(key.startswith("visual.") for key in changed)
    assert open_checkpoint(tmp_path / "tuned.pt").needs_names
    cut = bdshift("purify", audited, "--method", "cut:neurons=3", "--target", "0", "--out",
                  tmp_path / "cut.pt")  # fmt: skip
    one_line(cut, 2, "made of the names of the classes", "state-dict")


def test_what_a_clip_has_learned_is_a_vector_of_its_image_tower(
    known: tuple[Path, Path], audited: Path, tmp_path: Path
) -> None:
    tuned = bdshift("purify", audited, "--method", _GENTLE, "--target", "0", "--out",
                    tmp_path / "tuned.pt", "--overwrite")  # fmt: skip
    assert tuned.exit_code == 0, tuned.output
    out = tmp_path / "tau.safetensors"
    found = bdshift("vector", known[0], tmp_path / "tuned.pt", "--out", out, "--json")
    assert found.exit_code == 0, found.output
    with safe_open(out, "pt") as file:
        assert all(key.startswith("visual.") for key in file.keys())  # noqa: SIM118
    again = bdshift("vector", audited, "--out", tmp_path / "same.safetensors", "--json")
    assert again.exit_code == 0, again.output
    lengths = [json.loads(one.stdout)["length"] for one in (found, again)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)


def test_names_beside_the_images_may_be_written_otherwise(
    known: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(known[1], tmp_path / "signs")
    spoken = [name.replace("_", " ").upper() for name in CLASSES]
    (tmp_path / "signs/classes.txt").write_text("\n".join(spoken))
    found = bdshift("scan", known[0], tmp_path / "signs", "--quick", "--out", tmp_path / "a.h5")
    assert found.exit_code == 0, found.output
    audit = load_audit(tmp_path / "a.h5")
    assert audit.model.prompts is not None
    assert audit.model.prompts.names == tuple(spoken)
    assert reopen(audit).clean.class_map.of_folder == tuple(range(len(CLASSES)))


def test_prompts_of_anyones_audit_are_checked(audited: Path, tmp_path: Path) -> None:
    audit = load_audit(audited)
    names, templates = clip_files.prompts(CLASSES).names, clip_files.prompts(CLASSES).templates
    for prompts in (
        ClassPrompts((), ()), ClassPrompts(names, ()), ClassPrompts(names[1:], templates),
        ClassPrompts(names, ("{}" * 20,)), ClassPrompts(("x" * 300, *names[1:]), templates),
    ):  # fmt: skip
        save_audit(replace(audit, model=replace(audit.model, prompts=prompts)), tmp_path / "h.h5")
        with pytest.raises(InputError, match=r"h\.h5"):
            load_audit(tmp_path / "h.h5")
        (tmp_path / "h.h5").unlink()


def test_the_head_is_that_of_the_audit_whatever_the_machine_rounds(audited: Path) -> None:
    audit = load_audit(audited)
    weight = audit.model.weight * np.float32(1 + 1e-6)
    moved = replace(audit, model=replace(audit.model, weight=weight))
    np.testing.assert_array_equal(reopen(moved).classifier.weight.numpy(), weight)
    with pytest.raises(InputError, match="takes other weights"):
        reopen(replace(audit, model=replace(audit.model, weight=2 * audit.model.weight)))


def test_texts_are_read_once_for_all_forms_of_the_image_tower(
    known: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(towers: ClipTowers, tokens: torch.Tensor) -> torch.Tensor:
        asked.append(len(tokens))
        return ours(towers, tokens)

    ours = ClipTowers.encode_text
    monkeypatch.setattr(ClipTowers, "encode_text", counted)
    opened = open_checkpoint(known[0]).with_prompts(clip_files.prompts(CLASSES))
    first = opened.candidates[0]
    for form in (first, first, *(one for one in first.rare if "text tower" not in one.name)):
        opened.load(form)
    assert sum(asked) <= 2 * 12 * 18, "with both activations"


@pytest.mark.slow
def test_a_reference_gets_the_names_of_the_model(
    known: tuple[Path, Path], audited: Path, tmp_path: Path
) -> None:
    written = bdshift("export", audited, "--format", "state-dict", "--out", tmp_path / "p.pth")
    assert written.exit_code == 0, written.output
    (tmp_path / "classes.txt").write_text("\n".join(reversed(CLASSES)))  # beside the reference
    shutil.copy(known[0], tmp_path / "reference.pt")
    for model, reference in ((known[0], "p.pth"), (tmp_path / "p.pth", "reference.pt")):
        found = bdshift("scan", model, known[1], "--detector", "decree:rounds=1", "--no-cache",
                        "--reference", tmp_path / reference, "--out", tmp_path / "r.h5",
                        "--overwrite")  # fmt: skip
        assert found.exit_code == 0, found.output
        beside = load_audit(tmp_path / "r.h5").reference
        assert beside is not None
        assert beside.accuracy > 0.6
