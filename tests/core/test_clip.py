"""CLIP models: every layout, the head made of names, and what is done with it."""

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
from open_clip.tokenizer import SimpleTokenizer
from safetensors import safe_open

from bdshift.audit import reopen
from bdshift.audit.zero_shot import accuracy_with
from bdshift.checkpoints.classifier import Opened, open_checkpoint
from bdshift.checkpoints.clip.tensor_names import from_hugging_face, to_hugging_face
from bdshift.checkpoints.prompts import templates_of
from bdshift.errors import InputError, UsageError
from bdshift.images.signs import CLASSES
from bdshift.store import load_audit

_GENTLE = "fine-tuning:epochs=1,rate=0.0001"
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


def test_names_of_hugging_face_come_back(tmp_path: Path) -> None:
    model = clip_files.clip()
    theirs = to_hugging_face(model.state_dict())
    assert "vision_model.encoder.layers.1.self_attn.q_proj.weight" in theirs
    assert theirs["visual_projection.weight"].shape == (clip_files.FEATURES, 64)
    back = from_hugging_face(theirs)
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(back[key], value) for key, value in model.state_dict().items())
