"""TAC, rankings and triggers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from bdshift.errors import InputError, UsageError
from bdshift.images.collection import ImageFile
from bdshift.neurons.rankings import agreement, compare_with_tac, data_free_direction, overlap_curve
from bdshift.neurons.tac import measure_tac
from bdshift.shift.embed import Embedding
from bdshift.triggers import TRIGGERS, BadNets, Blend, Patch, parse_trigger


def embedding(phi: np.ndarray, logits: np.ndarray, labels: list[int], name: str = "a") -> Embedding:
    files = tuple(ImageFile(f"{name}/{i}", label) for i, label in enumerate(labels))
    return Embedding(
        phi.astype(np.float32), logits.astype(np.float32), np.array(labels),
        np.zeros((len(labels), 3, 2, 2), np.uint8), files, "hash", (), "float32", 8, 0.0,
    )  # fmt: skip


def test_tac_asr_and_ra() -> None:
    labels = [0, 1, 2, 1]
    phi = np.zeros((4, 2))
    moved = np.array([[1.0, -2.0], [1.0, 2.0], [1.0, -2.0], [1.0, 2.0]])
    logits = np.eye(3)[[0, 1, 2, 1]]
    triggered = np.eye(3)[[0, 0, 2, 0]]  # of three images of other classes two go to class 0
    found = measure_tac(
        embedding(phi, logits, labels), embedding(phi + moved, triggered, labels), "t", 0
    )
    assert found.change.tolist() == [1.0, 2.0]
    assert found.signed.tolist() == [1.0, 0.0]
    assert found.asr == pytest.approx(2 / 3)
    assert found.ra == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="not those of the clean pass"):
        measure_tac(embedding(phi, logits, labels), embedding(phi, logits, labels, "b"), "t", 0)


def test_data_free_direction() -> None:
    weight = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]])
    assert data_free_direction(weight, 2).tolist() == [2.0, 4.0]


vectors = st.lists(st.floats(-10, 10), min_size=3, max_size=40)


@given(vectors, st.randoms(use_true_random=False))
def test_overlap_is_the_share_of_common_neurons(values: list[float], random: object) -> None:
    a = np.array(values)
    b = np.array(sorted(values, key=lambda _: random.random()))  # type: ignore[attr-defined]
    curve = overlap_curve(a, b)
    top_a, top_b = np.argsort(-a, kind="stable"), np.argsort(-b, kind="stable")
    for k in range(1, len(a) + 1):
        assert curve[k - 1] == pytest.approx(len(set(top_a[:k]) & set(top_b[:k])) / k)
    assert curve[-1] == 1
    assert (overlap_curve(a, a) == 1).all()


def test_agreement_against_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.normal(size=50)
    b[:10] = b[10:20]  # ties
    found = agreement(a, b)
    assert found.pearson == pytest.approx(stats.pearsonr(a, b).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(a, b).statistic)
    assert found.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert found.cosine_abs == pytest.approx(
        abs(a) @ abs(b) / np.linalg.norm(a) / np.linalg.norm(b)
    )
    assert found.overlap_at(0.1) == found.overlap[4]
    assert np.isnan(agreement(np.zeros(3), np.ones(3)).cosine)


def test_comparison_with_tac_has_its_ablation() -> None:
    rng = np.random.default_rng(0)
    shift, free = rng.normal(size=6), rng.normal(size=6)
    moved = rng.normal(size=(3, 6))
    zero = np.zeros((3, 6))
    tac = measure_tac(
        embedding(zero, zero[:, :2], [0, 1, 1]), embedding(moved, zero[:, :2], [0, 1, 1]), "t", 0
    )
    found = compare_with_tac(shift, free, tac)
    assert found["shift"].cosine == pytest.approx(agreement(shift, tac.change).cosine)
    assert found["data_free_signed"].cosine == pytest.approx(agreement(free, tac.signed).cosine)


# --- triggers


def pixels(size: int = 8) -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, size, size)).float()


def test_badnets_paints_its_patch_and_nothing_else() -> None:
    images = pixels()
    before = images.clone()
    found = BadNets(size=2, color="ffd800")(images)
    assert torch.equal(images, before)
    assert (found[:, :, 6:, 6:] == torch.tensor([255.0, 216.0, 0.0]).view(3, 1, 1)).all()
    found[:, :, 6:, 6:] = before[:, :, 6:, 6:]
    assert torch.equal(found, before)
    placed = BadNets(size=2, row=1, column=-3)(images)
    assert (placed[:, :, 1:3, 4:6] == 255).all()
    assert torch.equal(BadNets(size=2)(images), BadNets(size=2, row=6, column=6)(images))


def test_blend(tmp_path: Path) -> None:
    images = pixels()
    found = Blend(ratio=0.25, seed=3)(images)
    pattern = (found - 0.75 * images) / 0.25
    assert torch.allclose(pattern[0], pattern[1], atol=1e-3)  # one pattern for all
    assert pattern.min() >= -1e-3
    assert pattern.max() <= 255.001
    assert torch.equal(found, Blend(ratio=0.25, seed=3)(images))
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    red = Blend(ratio=1.0, pattern=str(tmp_path / "red.png"))(images)
    assert (red[:, 0] == 255).all()
    assert (red[:, 1:] == 0).all()


def test_patch_from_a_file_with_its_transparency_or_a_mask(tmp_path: Path) -> None:
    images = pixels()
    sticker = Image.new("RGBA", (2, 2), (255, 0, 0, 255))
    sticker.putpixel((0, 0), (0, 0, 0, 0))
    sticker.save(tmp_path / "s.png")
    found = Patch(file=str(tmp_path / "s.png"), row=2, column=3)(images)
    assert torch.equal(found[:, :, 2, 3], images[:, :, 2, 3])
    assert (found[:, 0, 3, 4] == 255).all()
    mask = Image.new("L", (2, 2), 0)
    mask.putpixel((1, 1), 255)
    mask.save(tmp_path / "m.png")
    masked = Patch(file=str(tmp_path / "s.png"), mask=str(tmp_path / "m.png"))(images)
    assert torch.equal(masked[:, :, :7, :], images[:, :, :7, :])
    assert (masked[:, 0, 7, 7] == 255).all()
    Image.new("RGB", (50, 50), (0, 255, 0)).save(tmp_path / "large.png")
    whole = Patch(file=str(tmp_path / "large.png"))(images)
    assert (whole[:, 1] == 255).all()


@pytest.mark.parametrize("spec", ["badnets", "badnets:size=4,color=ffd800,row=20,column=14",
                                  "blend:ratio=0.1,seed=5", "patch:file=x.png,row=3"])  # fmt: skip
def test_texts_round_trip(spec: str) -> None:
    trigger = parse_trigger(spec)
    assert parse_trigger(trigger.spec) == trigger
    assert spec.split(":")[0] in TRIGGERS


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nothing", "not known"),
        ("badnets:size", "not an option=value"),
        ("badnets:width=3", "not an option=value"),
        ("badnets:size=big", "size cannot be"),
        ("badnets:size=0", "at least 1"),
        ("badnets:color=red", "hexadecimal"),
        ("blend:ratio=2", "ratio must be"),
        ("patch", "needs file="),
    ],
)
def test_bad_texts(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_trigger(spec)


def test_triggers_that_cannot_be_applied(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        BadNets(size=9)(pixels())
    with pytest.raises(UsageError, match="does not fit"):
        BadNets(size=3, row=7)(pixels())
    with pytest.raises(InputError, match="not a readable picture"):
        Patch(file=str(tmp_path / "none.png"))(pixels())
    with pytest.raises(InputError, match="not a readable picture"):
        Blend(pattern=str(tmp_path))(pixels())


@pytest.mark.parametrize("path", ["//host/share/p.png", "\\\\host\\share\\p.png", "/dev/zero", "."])
def test_a_picture_is_a_file_of_this_machine(path: str) -> None:
    """An audit file from anybody may name it."""
    trigger = parse_trigger(f"patch:file={path}")
    with pytest.raises(InputError, match=r"another machine|not a readable picture"):
        trigger(torch.zeros(1, 3, 8, 8))
