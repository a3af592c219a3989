"""Files of timm's networks, and of others that are compared with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bdshift.checkpoints.classifier import open_checkpoint


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vit_tiny_patch16_224", {}),
        ("vit_tiny_patch16_224", {"img_size": 96}),
        ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 4}),
        ("vit_tiny_patch16_224", {"global_pool": "avg"}),
        (
            "vit_tiny_patch16_224",
            {"global_pool": "avg", "class_token": False, "img_size": 32, "patch_size": 2},
        ),
        ("convnext_atto", {"in_chans": 1}),
        ("tf_efficientnet_b0", {}),
        ("mixer_s32_224", {}),
    ],
)
def test_timms_zoo(name: str, options: dict[str, object], tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm is an extra")
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=7, **options).eval()
    torch.save({"state_dict": network.state_dict(), "arch": name}, tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path / "m.pt")
    candidate = next(c for c in opened.candidates if c.name.startswith(name))
    loaded = opened.load(candidate)
    size = candidate.sizes[0] if not candidate.any_size else 64
    images = torch.randn(1, loaded.channels, size, size)
    with torch.inference_mode():
        assert torch.allclose(loaded.embed(images)[1], network(images), atol=1e-4)


LUKEMELAS = {
    "conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
    "classifier": "_fc",
}  # fmt: skip
FIRST_BLOCK = {
    "conv_dw": "_depthwise_conv", "bn1": "_bn1", "se.conv_reduce": "_se_reduce",
    "se.conv_expand": "_se_expand", "conv_pw": "_project_conv", "bn2": "_bn2",
}  # fmt: skip
BLOCK = {
    "conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
    "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand", "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}  # fmt: skip


def as_lukemelas(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Timm's tf_efficientnet in the names of efficientnet_pytorch."""
    blocks: dict[str, int] = {}
    found = {}
    for key, value in state.items():
        path, _, name = key.rpartition(".")
        if path.startswith("blocks."):
            _, stage, block, layer = path.split(".", 3)
            number = blocks.setdefault(f"{stage}.{block}", len(blocks))
            names = FIRST_BLOCK if stage == "0" else BLOCK
            found[f"_blocks.{number}.{names[layer]}.{name}"] = value
        else:
            found[f"{LUKEMELAS[path]}.{name}"] = value
    return found


@pytest.mark.parametrize("size", [64, 75])
def test_efficientnets_of_lukemelas(size: int, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm is an extra")
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_b0", num_classes=7).eval()
    torch.save(as_lukemelas(network.state_dict()), tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path / "m.pt")
    assert [one.name for one in opened.candidates] == [
        "EfficientNet of 16 blocks, width 32 (lukemelas)"
    ]
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        expected = network(images)
    loaded = opened.load(opened.candidates[0]).checked(images)
    assert torch.allclose(loaded.embed(images)[1], expected, atol=1e-4)
