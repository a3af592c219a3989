"""What people hold: every layout is read, recognized, and classifies as its source does."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from bdshift.audit import Audit, ScanSettings, reopen, scan
from bdshift.checkpoints.classifier import Classifier, Opened, open_checkpoint
from bdshift.checkpoints.describe import Description, Recognition, describe
from bdshift.checkpoints.export import EXPORT_FORMS, ExportedFile, write_checkpoint
from bdshift.errors import InputError, SeveralModels, UnknownArchitecture, UsageError
from bdshift.images.collection import open_images, sample_files
from bdshift.images.loader import decode_all
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.lab.samples.layouts import LAYOUTS, hugging_face_folder
from bdshift.lab.samples.small_networks import NETWORKS, to_gray, trained
from bdshift.triggers import parse_trigger

FAST = ScanSettings(sample=120)


@pytest.fixture(scope="module")
def small_audit(victim: Path, signs: Path) -> Audit:
    return scan(victim, signs, FAST)


def write_original(classifier: Classifier, path: Path) -> ExportedFile:
    return write_checkpoint(classifier, path, EXPORT_FORMS.parse("original"))


def described(path: Path) -> Description:
    opened = open_checkpoint(path)
    return describe(opened.file, opened=opened)


def recognition(path: Path) -> Recognition:
    found = described(path).recognized
    assert found is not None
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_and_gives_the_same_audit(
    small_audit: Audit, signs: Path, layout: str, tmp_path: Path
) -> None:
    classifier = reopen(small_audit).classifier
    before = {key: value.clone() for key, value in classifier.network.state_dict().items()}
    LAYOUTS[layout](classifier.network, tmp_path / "model")
    assert all(torch.equal(before[k], v) for k, v in classifier.network.state_dict().items())
    audit = scan(tmp_path / "model", signs, FAST)
    assert audit.model.architecture == small_audit.model.architecture
    assert audit.accuracy == small_audit.accuracy
    assert np.allclose(
        audit.shifts.l2, small_audit.shifts.l2, rtol=2e-2 if "16" in layout else 1e-4
    )
    assert audit.finding.classes == small_audit.finding.classes
    assert audit.finding.level == small_audit.finding.level


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_written_as_it_came(small_audit: Audit, layout: str, tmp_path: Path) -> None:
    source = tmp_path / "model"
    LAYOUTS[layout](reopen(small_audit).classifier.network, source)
    opened = open_checkpoint(source)
    loaded = opened.load(opened.candidates[0])
    given = loaded.with_preprocessing(small_audit.preprocessing)
    with torch.no_grad():
        given.head.weight.mul_(0.5)
    if "module by pickle.dump" in layout:  # its numbers are inside of its pickle
        with pytest.raises(UsageError, match="export format: state-dict, safetensors, "):
            write_original(given, tmp_path / "out")
        return
    told = write_original(given, tmp_path / "out")
    assert told.keeps_code == (
        "whole module" in layout or layout in ("TorchScript", "torch.export (.pt2)")
    )
    again = open_checkpoint(tmp_path / "out")
    assert again.file.container == opened.file.container
    assert again.state.layout.kind == opened.state.layout.kind
    assert again.state.layout.wrapper == opened.state.layout.wrapper
    assert list(again.state.layout.tensors) == list(opened.state.layout.tensors)
    head = again.state.tensors[f"{given.head_name}.weight"].load().float()
    assert torch.allclose(head, given.weight, rtol=1e-3, atol=1e-3)
    if layout == "TorchScript":
        images = torch.randn(2, 3, 32, 32)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would rather have torch.export
            script = torch.jit.load(tmp_path / "out")
            assert torch.allclose(script(images), given.network(images), atol=1e-4)


def test_a_file_that_changed_since_it_was_read(small_audit: Audit, tmp_path: Path) -> None:
    network, path = reopen(small_audit).classifier.network, tmp_path / "model"
    LAYOUTS["whole module (TrojAI, scripts)"](network, path)
    opened = open_checkpoint(path)
    loaded = opened.load(opened.candidates[0])
    given = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
    path.write_bytes(path.read_bytes().replace(b"their_script", b"other_script"))
    with pytest.raises(InputError, match="has changed since it was read"):
        write_original(given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_numbers_that_are_repeated_are_said_to_be(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.ones(1, 4).expand(3, 4)}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="repeats the numbers of its storage, as expand"):
        open_checkpoint(tmp_path / "m.pt")


def test_what_is_told_of_them(small_audit: Audit, signs: Path, tmp_path: Path) -> None:
    network = reopen(small_audit).classifier.network
    path = tmp_path / "model"
    LAYOUTS["Input-aware (netC, netG, netM, Namespace)"](network, path)
    told = described(path)
    assert (told.wrapper, told.other_models) == (("netC",), ("netG", "netM"))
    LAYOUTS["whole module (TrojAI, scripts)"](network, path)
    told = described(path)
    assert told.saved_class == "their_script.ResNet"
    assert told.foreign_names == ("their_script.ResNet", "their_script._ResidualBlock")
    assert not told.has_program
    assert {row.kind for row in told.layers} == {"Conv2d", "BatchNorm2d", "Linear"}
    audit = scan(path, signs, FAST)
    [note] = [note for note in audit.notes if note.code == "names-code"]
    assert "torch.load would import and run" in str(note.sentence)
    assert note in audit.finding.cautions
    LAYOUTS["an old head left in"](network, path)
    assert recognition(path).ignored == ("old_fc.bias", "old_fc.weight")
    LAYOUTS["BackdoorBench defense_result.pt of Fine-Pruning"](network, path)
    assert described(path).folded == {"mask": 20}
    LAYOUTS["a normalizing layer before it"](network, path)
    assert recognition(path).ignored == ("0.mean", "0.std")


def test_masked_weights_are_cut(tmp_path: Path) -> None:
    mask = torch.zeros(4, 3, 3, 3)
    mask[0] = 1
    state = {"conv.weight_orig": torch.ones(4, 3, 3, 3), "conv.weight_mask": mask,
             "fc.weight": torch.ones(5, 4), "fc.bias": torch.zeros(5)}  # fmt: skip
    torch.save(state, tmp_path / "m.pt")
    loaded = open_checkpoint(tmp_path / "m.pt").state.load()
    assert torch.equal(loaded["conv.weight"], mask)


def test_several_models_are_asked_about(victim: Path, tmp_path: Path) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    torch.save({"teacher": state, "student": dict(state)}, tmp_path / "two.pt")
    with pytest.raises(SeveralModels, match="teacher, student; say which with --weights") as error:
        open_checkpoint(tmp_path / "two.pt")
    assert error.value.names == ("teacher", "student")
    opened = open_checkpoint(tmp_path / "two.pt", weights="student")
    assert opened.state.layout.wrapper == ("student",)
    assert opened.state.layout.others == ("teacher",)
    with pytest.raises(UsageError, match="holds no model 'pupil'"):
        open_checkpoint(tmp_path / "two.pt", weights="pupil")


def test_a_head_of_several_layers(tmp_path: Path) -> None:
    network = torchvision.models.resnet18(num_classes=7)
    network.fc = nn.Sequential(nn.Linear(512, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 7))
    index = {"b": 1, "a": 0, "c": 2, "d": 3, "e": 4, "f": 5, "g": 6}
    torch.save({"model": network.state_dict(), "class_to_idx": index}, tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path / "m.pt")
    assert opened.class_names == tuple("abcdefg")
    first = opened.candidates[0]
    assert (first.name, first.head) == (
        "ResNet-18, ImageNet stem, head of 2 linear layers", "fc.3",
    )  # fmt: skip
    assert len(opened.candidates) == 3, "the three stems that the weights do not tell apart"
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network.eval()(images)
    assert torch.allclose(opened.load(first).embed(images)[1], expected, atol=1e-3)


def _saved(network: nn.Module, path: Path) -> tuple[Opened, torch.Tensor, torch.Tensor]:
    """A whole module that was saved and opened; images, and what it makes of them."""
    torch.save(network.eval(), path)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return open_checkpoint(path), images, network(images)


def _changed(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=7)
    if name == "a stride of its own":
        network.conv1.stride = (1, 1)
    elif name == "another epsilon":
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eps = 0.05
    elif name == "reflected edges":
        network.layer2[1].conv1 = nn.Conv2d(128, 128, 3, 1, 1, bias=False, padding_mode="reflect")
    elif name == "no pooling":
        network.maxpool = nn.Identity()
    elif name == "SiLU":
        for part in network.modules():
            if hasattr(part, "relu"):
                part.relu = nn.SiLU()
    return network


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("as it is", "ImageNet stem"),
        ("a stride of its own", "ImageNet stem, layer conv1 set as in the file"),
        ("another epsilon", "ImageNet stem, 20 layers set as in the file"),
        ("reflected edges", "ImageNet stem, layer layer2.1.conv1 set as in the file"),
        ("no pooling", "ImageNet stem without max-pool"),
        ("SiLU", "ImageNet stem, SiLU"),
    ],
)
def test_a_known_network_is_set_as_the_saved_one(name: str, words: str, tmp_path: Path) -> None:
    opened, images, expected = _saved(_changed(name), tmp_path / "m.pt")
    first = opened.candidates[0]
    assert first.name == f"ResNet-18, {words}"
    assert torch.allclose(opened.load(first).embed(images)[1], expected, atol=1e-3)


def test_a_layer_set_as_none_can_be(tmp_path: Path) -> None:
    network = _changed("as it is")
    conv = network.get_submodule("layer1.0.conv1")
    assert isinstance(conv, nn.Conv2d)
    conv.padding = (10**9, 1)  # terabytes of zeros
    torch.save(network, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"layer1.0.conv1 has padding \(1000000000, 1\)"):
        open_checkpoint(tmp_path / "m.pt")


def test_what_lies_outside_takes_nothing_of_its_name_away(victim: Path, tmp_path: Path) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    inner = {f"model.{key}": value for key, value in state.items()}
    torch.save({"fc.weight": torch.ones(3, 3), **inner}, tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path / "m.pt")
    assert opened.ignored == ("fc.weight",)
    assert torch.equal(opened.state.load()["fc.weight"], state["fc.weight"])


ZOO = (
    "mobilenet_v3_small", "efficientnet_b0", "vit_b_32", "convnext_tiny", "densenet121", "vgg11_bn",
    "swin_t", "googlenet", "regnet_y_400mf", "mnasnet0_5", "shufflenet_v2_x0_5", "alexnet",
)  # fmt: skip


@pytest.mark.parametrize("name", ZOO)
def test_torchvisions_zoo(name: str, tmp_path: Path) -> None:
    more = {"init_weights": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, num_classes=7, **more).eval()
    torch.save(network.state_dict(), tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path / "m.pt")
    candidate = next(c for c in opened.candidates if c.name == f"{name} (torchvision)")
    size = candidate.sizes[0] if not candidate.any_size else 64
    images = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        expected = network(images)
    loaded = opened.load(candidate)
    assert torch.allclose(loaded.embed(images)[1], expected, atol=1e-4)
    assert loaded.checked(images) is loaded


def test_a_folder_of_hugging_face(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is an extra")
    network = hugging_face_folder(tmp_path / "vit")
    for path in (tmp_path / "vit", tmp_path / "vit" / "model.safetensors"):
        opened = open_checkpoint(path)
        assert [one.name for one in opened.candidates] == [
            "ViTForImageClassification (transformers)"
        ]
        assert opened.class_names == tuple("abcdefg")
        assert [n.mean for n in opened.declared] == [(0.4, 0.5, 0.6)]
        images = torch.randn(2, 3, 32, 32)
        loaded = opened.load(opened.candidates[0])
        with torch.inference_mode():
            expected = network(pixel_values=images).logits
        assert torch.allclose(loaded.embed(images)[1], expected, atol=1e-4)
    given = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["half"]))
    told = write_original(given, tmp_path / "out.safetensors")
    assert told.logit_difference < 1e-5


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = pytest.importorskip("timm", reason="timm is an extra")
    torch.save(timm.create_model("convnext_atto", num_classes=7).state_dict(), tmp_path / "m.pt")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    told = 'convnext_atto of timm; to open it: pip install "timm>='
    with pytest.raises(UnknownArchitecture, match=told):
        open_checkpoint(tmp_path / "m.pt")


def test_a_classifier_that_is_a_convolution_is_said_to_be_one(tmp_path: Path) -> None:
    torch.save(torchvision.models.squeezenet1_1(num_classes=7).state_dict(), tmp_path / "m.pt")
    with pytest.raises(UnknownArchitecture, match=r"squeezenet1_1 of torchvision.* a convolution"):
        open_checkpoint(tmp_path / "m.pt")


@pytest.fixture(scope="module")
def gray_signs(signs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The signs as gray pictures of 28×28."""
    folder = tmp_path_factory.mktemp("gray")
    collection = open_images(signs)
    batch = decode_all(collection, collection.files, 32)
    for file, pixels in zip(batch.files, to_gray(batch.pixels), strict=True):
        path = folder / file.name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
    return folder


# The search takes longest on these; tools/layouts.py measures them all, saved either way.
SLOW = ("three convolutions, HWC reshaped", "Sequential, norms behind ReLU", "strided")
LONG_SEARCHED = (
    "Sequential",
    "converted from Keras",
    "LeNet-5, tanh and averages",
)  # a saved module says what the search has to find
FEW_IMAGES = (*SLOW, "Sequential", "converted from Keras")


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        pytest.param(name, "weights", marks=[pytest.mark.slow] if name in LONG_SEARCHED else [])
        for name in NETWORKS
        if name not in SLOW
    ]
    + [(name, "module") for name in ("MNIST example", *LONG_SEARCHED, *SLOW)],
)
def test_a_plain_network_is_reconstructed_from_its_weights(
    name: str, saved: str, signs: Path, gray_signs: Path, tmp_path: Path
) -> None:
    small, network, count = NETWORKS[name], trained(name), 72 if name in FEW_IMAGES else 144
    folder = gray_signs if small.gray else signs
    collection = open_images(folder)
    files = sample_files(collection.files, count)
    batch = decode_all(collection, files, 28 if small.gray else 32)
    pixels = batch.pixels[:, :1] if small.gray else batch.pixels
    expected = small.accuracy(network, pixels, batch.labels)
    torch.save(network.state_dict() if saved == "weights" else network, tmp_path / "m.pt")
    audit = scan(tmp_path / "m.pt", folder, ScanSettings(sample=count))
    assert small.words in audit.model.architecture
    # Of normalizations and activations that so few images do not tell apart, any may be taken.
    assert audit.accuracy == pytest.approx(expected, abs=0.05)
    assert audit.preprocessing.order == (
        "gray" if small.gray else "rgb-reshaped" if "reshaped" in name else "rgb"
    )


def test_images_that_no_network_of_these_weights_classifies(signs: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7200, 12))
    torch.save(network.state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"none classifies the images \(at best .*--arch"):
        scan(tmp_path / "m.pt", signs, FAST)


def test_wanets_grids_are_a_trigger(victim: Path, tmp_path: Path) -> None:
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, 8)] * 2, indexing="ij")
    identity = torch.stack([columns, rows], 2)[None]
    left = torch.zeros(1, 8, 8, 2)
    left[..., 0] = 8 * 2 / 7  # grid_sample's pixels are 2 / 7 apart, and H is 8
    held = {"netC": torch.load(victim, weights_only=True)["state_dict"]}
    torch.save(held | {"identity_grid": identity, "noise_grid": left * 2}, tmp_path / "w.pt")
    trigger = parse_trigger(f"warp:file={tmp_path / 'w.pt'},strength=0.5")
    pixels = torch.arange(64.0).view(1, 1, 8, 8).expand(2, 3, 8, 8)
    moved = trigger(pixels)
    assert torch.allclose(moved[..., :-1], pixels[..., 1:], atol=1e-3)
    assert torch.allclose(moved[..., -1], pixels[..., -1], atol=1e-3)
    assert parse_trigger(trigger.spec) == trigger
    assert trigger(torch.rand(1, 3, 32, 32) * 255).shape == (1, 3, 32, 32)
    with pytest.raises(InputError, match="holds no WaNet noise_grid"):
        parse_trigger(f"warp:file={victim}")(pixels)
    with pytest.raises(UsageError, match="strength"):
        parse_trigger("warp:file=x,strength=-1")
