"""Kinds of changes: what they do to images, how large they are, what they look like."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bdshift.changes import CHANGES, ChangeKind
from bdshift.changes.kinds.pixels import Pixels
from bdshift.changes.kinds.warp import WarpField

SIDE = 32
NUMBERS = torch.tensor([1, 4, 2])


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Four of them, (4, 3, s, s)."""
    return torch.rand((4, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=list(CHANGES))
def kind(request: pytest.FixtureRequest) -> ChangeKind:
    """Each kind there is."""
    return CHANGES.parse(request.param)


def test_a_change_stays_within_the_range_of_images(kind: ChangeKind, images: torch.Tensor) -> None:
    for params in (kind.scout(NUMBERS, SIDE, 0), kind.informed(torch.randn(3, 3, SIDE, SIDE))):
        if params is None:
            continue
        for factor in (1, 30):
            found = kind.changed({key: factor * value for key, value in params.items()}, images)
            assert found.shape == (3, 4, 3, SIDE, SIDE)
            assert found.min() >= 0
            assert found.max() <= 1
        assert (kind.changed(params, images) != images).flatten(1).any(1).all()


def test_gradients_reach_every_parameter(kind: ChangeKind, images: torch.Tensor) -> None:
    params = {
        key: value.clone().requires_grad_(True)
        for key, value in kind.scout(NUMBERS, SIDE, 0).items()
    }
    loss = (kind.changed(params, images) * images.flip(0)).sum() + kind.size(params).sum()
    for gradient in torch.autograd.grad(loss, list(params.values())):
        assert torch.isfinite(gradient).all()
        assert gradient.flatten(1).abs().sum(1).gt(0).all()


def test_a_scaled_change_is_smaller(kind: ChangeKind) -> None:
    params = kind.scout(NUMBERS, SIDE, 0)
    sizes = torch.stack([kind.size(kind.scaled(params, share)) for share in (0.2, 0.5, 0.8)])
    assert sizes.shape == (3, 3)
    assert (sizes >= 0).all()
    assert (sizes.diff(dim=0) > 0).all()


def test_pictures_and_strengths_can_be_shown(kind: ChangeKind) -> None:
    params = kind.scout(NUMBERS, SIDE, 0)
    picture, strength = kind.picture(params), kind.strength(params)
    assert picture.shape == (3, 3, SIDE, SIDE)
    assert strength.shape == (3, SIDE, SIDE)
    for shown in (picture, strength):
        assert shown.min() >= 0
        assert shown.max() <= 1
    assert picture.std() > 0


def test_a_start_is_the_same_every_time(kind: ChangeKind) -> None:
    first, again, other = (kind.scout(NUMBERS, SIDE, seed) for seed in (3, 3, 40))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_straight_warp_changes_nothing(images: torch.Tensor) -> None:
    straight = {"field": torch.zeros(2, 2, SIDE, SIDE)}
    assert torch.equal(WarpField().changed(straight, images)[1], images)
    assert WarpField().size(straight).max() < 1e-5


def test_a_warp_by_a_pixel_moves_the_image(images: torch.Tensor) -> None:
    field = torch.zeros(1, 2, SIDE, SIDE)
    field[:, 0] = 1.0
    found = WarpField().changed({"field": field}, images)[0]
    assert torch.allclose(found[..., :-1], images[..., 1:], atol=1e-5)
    assert torch.allclose(found[..., -1], images[..., -1], atol=1e-5)
    assert WarpField().size({"field": field}).item() == pytest.approx(1, abs=1e-4)


def test_a_warp_is_that_of_grid_sample(images: torch.Tensor) -> None:
    params = WarpField().scout(NUMBERS, SIDE, 0)
    field = params["field"]  # as smooth as it is made
    line = torch.linspace(-1, 1, SIDE)
    straight = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    grid = straight + field.permute(0, 2, 3, 1) * 2 / (SIDE - 1)
    expected = functional.grid_sample(
        images[:1].expand(3, -1, -1, -1), grid, padding_mode="border", align_corners=True
    )
    found = WarpField().changed(params, images)
    assert torch.allclose(found[:, 0], expected, atol=1e-4)


def test_signed_pixels_count_what_changes(images: torch.Tensor) -> None:
    up, down = torch.full((2, 1, 3, SIDE, SIDE), -0.5)
    up[0, :, 3, 4] = 0.5
    down[0, 1, 7, 7:9] = 0.9
    found = Pixels().changed({"up": up, "down": down}, images)[0]
    assert Pixels().size({"up": up, "down": down}).item() == pytest.approx(3, abs=1e-3)
    assert torch.equal(found[:, 0, 7, 7], images[:, 0, 7, 7])
    assert torch.allclose(found[:, :, 3, 4], (images[:, :, 3, 4] + 0.5).clamp_max(1))
    assert (found != images).any(1).sum(0).count_nonzero() == 3


def test_a_warp_is_smooth_and_its_size_in_pixels() -> None:
    rough = {"field": torch.randn(2, 2, SIDE, SIDE)}
    smooth = WarpField().scout(NUMBERS, SIDE, 0)
    again = {"field": 2 * smooth["field"]}
    assert WarpField().size(rough).max() < 0.5
    assert torch.allclose(WarpField().size(smooth), torch.tensor([1.0, 1.0, 2.0]), atol=1e-3)
    assert torch.allclose(WarpField().size(again), torch.tensor([2.0, 2.0, 4.0]), atol=1e-3)
