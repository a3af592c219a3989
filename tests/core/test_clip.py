"""CLIP models: every layout, and the head made of names."""

from __future__ import annotations

import json
from pathlib import Path

import clip_files
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from bdshift.checkpoints.classifier import Opened, open_checkpoint
from bdshift.checkpoints.clip.tensor_names import from_hugging_face, to_hugging_face
from bdshift.checkpoints.prompts import templates_of
from bdshift.errors import InputError, UsageError

NAMES = ("stop", "no_entry", "a cat, or kitten")


def images() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def logits(opened: Opened, number: int = 0) -> torch.Tensor:
    asked = opened.with_prompts(clip_files.prompts(NAMES))
    with torch.inference_mode():
        found: torch.Tensor = asked.load(asked.candidates[number]).network(images())
    return found


@pytest.mark.parametrize("resnet", [False, True])
@pytest.mark.parametrize("quick", [False, True])
def test_open_clip(tmp_path: Path, resnet: bool, quick: bool) -> None:
    model = clip_files.clip(resnet=resnet, quick=quick)
    state = {"module." + key: value for key, value in model.state_dict().items()}
    torch.save({"epoch": 3, "name": "x", "state_dict": state}, tmp_path / "c.pt")
    opened = open_checkpoint(tmp_path / "c.pt")
    assert [one.name.endswith("QuickGELU") for one in opened.candidates] == [True, False]
    assert (opened.classes, opened.embedding_dim, opened.ignored) == (0, clip_files.FEATURES, ())
    assert [one.name for one in opened.declared] == ["clip"]
    want = clip_files.expected(model, clip_files.prompts(NAMES), images())
    torch.testing.assert_close(logits(opened, 0 if quick else 1), want, atol=1e-4, rtol=1e-4)
    other = logits(opened, 1 if quick else 0)
    assert (other - want).abs().max() > 1e-3  # no weight shows which it is


def test_open_clip_with_its_config(tmp_path: Path) -> None:
    model = clip_files.clip(image_head=32, heads=4, quick=False)
    torch.save(model.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    sizes = {"vision_cfg": {"head_width": 32}, "text_cfg": {"heads": 4}}
    images_as = {"mean": [0.5, 0.5, 0.4], "std": [0.2, 0.2, 0.2]}
    config = {"model_cfg": sizes, "preprocess_cfg": images_as}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    opened = open_checkpoint(tmp_path)
    [one] = opened.candidates
    assert one.name.endswith("GELU, 32 per head, 16 per head in the text tower")
    assert opened.declared[0].mean == (0.5, 0.5, 0.4)
    want = clip_files.expected(model, clip_files.prompts(NAMES), images())
    torch.testing.assert_close(logits(opened), want, atol=1e-4, rtol=1e-4)


def test_other_numbers_of_heads_are_tried(tmp_path: Path) -> None:
    model = clip_files.clip(image_head=32, heads=2)
    torch.save(model.state_dict(), tmp_path / "c.pt")
    opened = open_checkpoint(tmp_path / "c.pt")
    rare = opened.candidates[0].rare
    [number] = [i for i, one in enumerate(rare) if "32 per head, 32 per head in" in one.name
                and "QuickGELU" in one.name]  # fmt: skip
    asked = opened.with_prompts(clip_files.prompts(NAMES))
    with torch.inference_mode():
        found = asked.load(rare[number]).network(images())
    want = clip_files.expected(model, clip_files.prompts(NAMES), images())
    torch.testing.assert_close(found, want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shard", ["5MB", "1GB"])
def test_hugging_face(tmp_path: Path, shard: str) -> None:
    transformers = pytest.importorskip("transformers")
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2,
             "num_hidden_layers": 2}  # fmt: skip
    config = transformers.CLIPConfig(
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        text_config={**tower, "vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407},
        projection_dim=32,
    )
    torch.manual_seed(0)
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path, max_shard_size=shard)
    opened = open_checkpoint(tmp_path)
    [one] = opened.candidates
    assert "QuickGELU, 32 per head" in one.name
    asked = clip_files.prompts(NAMES)
    tokenize = SimpleTokenizer()
    rows = []
    with torch.no_grad():
        for name in asked.names:
            tokens = tokenize([template.replace("{}", name) for template in asked.templates])
            out = model(input_ids=tokens, pixel_values=images())
            mean = out.text_embeds.mean(0)  # of length 1 already
            rows.append(mean / mean.norm())
        want = model.logit_scale.exp() * out.image_embeds @ torch.stack(rows).T
    torch.testing.assert_close(logits(opened), want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("resnet", [False, True])
def test_an_archive_of_openai(tmp_path: Path, resnet: bool) -> None:
    path = clip_files.write_archive(clip_files.clip(resnet=resnet), tmp_path / "c.pt")
    opened = open_checkpoint(path)
    assert sorted(opened.ignored) == ["context_length", "input_resolution", "vocab_size"]
    [one] = opened.candidates
    assert one.name.endswith("QuickGELU")
    rounded = clip_files.clip(resnet=resnet).half().float()
    want = clip_files.expected(rounded, clip_files.prompts(NAMES), images())
    torch.testing.assert_close(logits(opened), want, atol=1e-4, rtol=1e-4)


def test_models_that_are_not_read(tmp_path: Path) -> None:
    state = clip_files.clip().state_dict()

    def refused(tensors: dict[str, torch.Tensor], *words: str) -> None:
        torch.save(tensors, tmp_path / "c.pt")
        with pytest.raises(InputError) as caught:
            open_checkpoint(tmp_path / "c.pt")
        assert all(word in str(caught.value) for word in ("c.pt: ", *words)), caught.value

    other = {("text." + k if not k.startswith("visual") else k): v for k, v in state.items()}
    refused(other, "of the kind of CLIP")
    refused({**state, "visual.extra.weight": torch.zeros(3)}, "only in the file: visual.extra")
    few = {**state, "token_embedding.weight": torch.zeros(100, 64)}
    refused(few, "100 tokens")
    half = {k: v for k, v in state.items() if "resblocks.1" not in k or "visual" in k}
    del half["ln_final.weight"]
    refused(half, "not in the file: ln_final.weight")


def test_prompts() -> None:
    assert len(templates_of("cifar")) == 18
    assert len(set(templates_of("cifar"))) == 18
    assert "a photo of the small {}." in templates_of("cifar")
    assert len(templates_of("imagenet")) == 80
    assert all(one.count("{}") == 1 for one in templates_of("imagenet"))


def test_prompts_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a sign: {}\n\nthe {} sign\n")
    assert templates_of(str(tmp_path / "p.txt")) == ("a sign: {}", "the {} sign")
    for text in ("no place", "{} and {}", "", "x" * 300 + "{}"):
        (tmp_path / "p.txt").write_text(text)
        with pytest.raises(UsageError):
            templates_of(str(tmp_path / "p.txt"))
    with pytest.raises(UsageError, match="there are no prompts 'p'"):
        templates_of("p")


def test_names_of_hugging_face_come_back(tmp_path: Path) -> None:
    model = clip_files.clip()
    theirs = to_hugging_face(model.state_dict())
    assert "vision_model.encoder.layers.1.self_attn.q_proj.weight" in theirs
    assert theirs["visual_projection.weight"].shape == (clip_files.FEATURES, 64)
    back = from_hugging_face(theirs)
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(back[key], value) for key, value in model.state_dict().items())


def test_a_tower_of_timm_is_not_called_a_language_model(tmp_path: Path) -> None:
    """SigLIP and its like: what the network is, no shape tells."""
    tower = {"visual.trunk.patch_embed.proj.weight": torch.zeros(8, 3, 4, 4)}
    texts = {"text.token_embedding.weight": torch.zeros(9, 8), "logit_scale": torch.tensor(1.0)}
    torch.save({**tower, **texts}, tmp_path / "siglip.pt")
    with pytest.raises(InputError, match="of the kind of CLIP, but not one of"):
        open_checkpoint(tmp_path / "siglip.pt")


def test_a_network_around_a_clip_is_not_taken_for_it(tmp_path: Path) -> None:
    state = {f"clip.{key}": value for key, value in clip_files.clip().state_dict().items()}
    state |= {"fc.weight": torch.zeros(10, clip_files.FEATURES), "fc.bias": torch.zeros(10)}
    torch.save(state, tmp_path / "c.pt")
    with pytest.raises(InputError, match=r"holds a CLIP model and more than that \(fc.weight"):
        open_checkpoint(tmp_path / "c.pt")
