"""Binary classifiers whose head has one output are read as two classes, below and above zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import bdshift
from keras_files import layer, sequential, write_hdf5
from known import STICKER
from PIL import Image
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from bdshift.audit import ScanSettings, add_tac, scan_opened
from bdshift.audit.reading_notes import reading_notes
from bdshift.checkpoints.classifier import LoadedNetwork, Opened, open_checkpoint
from bdshift.checkpoints.describe import describe
from bdshift.checkpoints.export import EXPORT_FORMS, write_checkpoint
from bdshift.checkpoints.users_own import OwnNetwork
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.neurons.what_if import cut
from bdshift.store import save_audit
from bdshift.triggers import parse_trigger

_RNG = np.random.default_rng(1)
PIXELS = (_RNG.integers(0, 256, (40, 32, 32, 3)) * _RNG.uniform(0, 1, (40, 1, 1, 1))).astype("u1")
IMAGES = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255


def _plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(2048, 16), nn.ReLU(), nn.Linear(16, 1),
    )  # fmt: skip


def _loaded(opened: Opened) -> LoadedNetwork:
    return opened.load(opened.candidates[0]).checked(IMAGES)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A plain network of one output, around zero on `IMAGES`."""
    network = _plain()
    with torch.no_grad():
        network[6].bias -= network(IMAGES).quantile(0.5)  # between two images
    torch.save(network.state_dict(), tmp_path / "plain.pt")
    return tmp_path / "plain.pt"


def _by_torch(path: Path) -> torch.Tensor:
    """What the network of a file returns for `IMAGES`, (8, 1)."""
    network = _plain()
    network.load_state_dict(torch.load(path, weights_only=True))
    with torch.inference_mode():
        return network(IMAGES)


def test_the_classes_are_below_and_above_zero(plain: Path) -> None:
    opened = open_checkpoint(plain)
    loaded, z = _loaded(opened), _by_torch(plain)
    assert (opened.classes, loaded.classes, loaded.embedding_dim) == (2, 2, 16)
    logits = loaded.embed(IMAGES)[1]
    above = z[:, 0].sigmoid() > 0.5
    assert 0 < above.sum() < len(above)
    assert torch.equal(logits.argmax(1) == 1, above)
    assert torch.allclose(logits.softmax(1)[:, 1], z[:, 0].sigmoid(), atol=1e-6)
    assert not loaded.weight[0].any()
    assert not loaded.bias[0]
    told = describe(opened.file, opened=opened).recognized
    assert told is not None
    assert (told.classes, told.embedding_dim) == (2, 16)
    chosen = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
    assert [note.code for note in reading_notes(opened, chosen)] == ["one-output"]


@pytest.mark.parametrize("bias", [True, False])
def test_a_known_network_too(bias: bool, victim: Path, tmp_path: Path) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    state["fc.weight"] = state["fc.weight"][:1].clone()
    state["fc.bias"] = state["fc.bias"][:1].clone()
    if not bias:
        del state["fc.bias"]
    torch.save(state, tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path / "m.pt")
    assert not any("cosine" in one.name for one in opened.candidates[0].rare)
    loaded = _loaded(opened)
    assert loaded.one_output
    assert torch.equal(loaded.weight[1:], state["fc.weight"])


@pytest.mark.parametrize("form", ["original", "state-dict", "safetensors", "torchscript"])
def test_it_is_written_as_it_was(form: str, plain: Path, tmp_path: Path) -> None:
    loaded = _loaded(open_checkpoint(plain))
    with torch.no_grad():  # as a purification may: both rows change
        loaded.head.weight.add_(torch.randn(2, 16, generator=torch.Generator().manual_seed(2)))
        loaded.head.bias.add_(torch.tensor([0.25, -0.5]))
    logits = loaded.embed(IMAGES)[1]
    classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
    kind = EXPORT_FORMS.parse(form)
    write_checkpoint(classifier, tmp_path / "out", kind)
    assert loaded.classes == 2, "the one in memory stays"
    with torch.inference_mode():
        written = kind.read(classifier.as_in_file(), tmp_path / "out")(IMAGES)
    assert torch.allclose(written, logits[:, 1:] - logits[:, :1], atol=1e-5)
    if not kind.is_graph:
        again = open_checkpoint(tmp_path / "out")
        assert again.state.tensors["6.weight"].shape == (1, 16)
        assert again.state.tensors["6.bias"].shape == (1,)
        difference = loaded.weight[1] - loaded.weight[0]
        assert torch.equal(_loaded(again).weight[1], difference)


def test_an_unchanged_one_keeps_every_number(plain: Path, tmp_path: Path) -> None:
    loaded = _loaded(open_checkpoint(plain))
    classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
    write_checkpoint(classifier, tmp_path / "out.pt", EXPORT_FORMS.parse("original"))
    old, new = (torch.load(path, weights_only=True) for path in (plain, tmp_path / "out.pt"))
    assert list(old) == list(new)
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_a_folded_head_is_written_as_its_factors(tmp_path: Path) -> None:
    network = _plain()
    weight_norm(network[6])
    torch.save(network.state_dict(), tmp_path / "m.pt")
    loaded = _loaded(open_checkpoint(tmp_path / "m.pt"))
    classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
    write_checkpoint(classifier, tmp_path / "out.pt", EXPORT_FORMS.parse("original"))
    network.load_state_dict(torch.load(tmp_path / "out.pt", weights_only=True))
    logits = loaded.embed(IMAGES)[1]
    assert torch.allclose(network(IMAGES)[:, 0], logits[:, 1], atol=1e-5)


def test_a_sigmoid_inside_is_looked_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = np.random.default_rng(0).normal(size=(3072, 1)).astype(np.float32)
    model = sequential(layer("Flatten", "f"), layer("Dense", "d", activation="sigmoid"))
    weights = {"d": {"kernel": kernel, "bias": np.zeros(1, np.float32)}}
    write_hdf5(tmp_path / "m.h5", model, weights)
    keras = _loaded(open_checkpoint(tmp_path / "m.h5"))
    (tmp_path / "my_sigmoid.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 1), nn.Sigmoid())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.save({"1.weight": torch.randn(1, 3072), "1.bias": torch.zeros(1)}, tmp_path / "m.pt")
    own = _loaded(open_checkpoint(tmp_path / "m.pt", arch=OwnNetwork("my_sigmoid:net")))
    for loaded in (keras, own):
        assert loaded.one_output
        assert loaded.softmax_inside
        classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
        write_checkpoint(classifier, tmp_path / "out", EXPORT_FORMS.parse("torchscript"),
                         overwrite=True)  # fmt: skip


def test_no_class_of_two_can_stand_out_and_either_can_be_purified(
    plain: Path, tmp_path: Path
) -> None:
    above = _by_torch(plain)[:, 0] > 0
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
    for i, pixels in enumerate(PIXELS):
        folder = tmp_path / "images" / ("dog" if above[i] else "cat")
        Image.fromarray(pixels).save(folder / f"{i}.png")
    opened, images = open_checkpoint(plain), open_images(tmp_path / "images")
    audit, material = scan_opened(opened, images, ScanSettings(sample=40))
    assert audit.accuracy > 0.9
    assert audit.finding.level == "inconclusive"
    assert audit.finding.reasons[0].code == "too-few-classes"
    assert "one-output" in [note.code for note in audit.notes]
    audit = add_tac(audit, material, parse_trigger(STICKER), 1)
    assert audit.embedding is not None
    found = cut(audit.embedding, audit.model.weight, range(16), audit.tac[0])
    assert found.accuracy == pytest.approx(0.5)
    save_audit(audit, tmp_path / "a.h5")
    told = bdshift("purify", tmp_path / "a.h5", "--target", "dog", "--out", tmp_path / "out.pt",
                   "--method", "shift-tuning:epochs=1")  # fmt: skip
    assert told.exit_code == 0, told.output
    purified = torch.load(tmp_path / "out.pt", weights_only=True)
    assert purified["6.weight"].shape == (1, 16)
    assert torch.isfinite(_by_torch(tmp_path / "out.pt")).all()


def test_a_head_of_no_rows_stays_refused(tmp_path: Path) -> None:
    state = _plain().state_dict()
    state["6.weight"], state["6.bias"] = torch.zeros(0, 16), torch.zeros(0)
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(InputError, match="holds no numbers"):
        open_checkpoint(tmp_path / "m.pt")
