"""Export: every form reads back as the same network, and nothing is overwritten unasked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py
import pytest
import torch
from commands import bdshift, one_line
from purified import same_weights

from bdshift.audit import Audit, Material
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.export import EXPORT_FORMS, ExportForm, default_form, write_checkpoint
from bdshift.checkpoints.export.form import Function
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError, UsageError
from bdshift.store import save_audit

ORIGINAL, SAFETENSORS = EXPORT_FORMS.parse("original"), EXPORT_FORMS.parse("safetensors")


def weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    return classifier.network.state_dict()


def test_the_command_knows_every_form() -> None:
    told = bdshift("export", "--help").output
    assert f"[{'|'.join(EXPORT_FORMS)}]" in "".join(told.split()), "lines are broken anywhere"


@pytest.mark.parametrize("name", [kind.name for kind in EXPORT_FORMS.kinds() if kind.is_graph])
def test_a_graph_needs_no_class_and_takes_any_number_of_images(
    victim_material: Material, name: str, tmp_path: Path
) -> None:
    classifier, form = victim_material.classifier, EXPORT_FORMS.parse(name)
    path = tmp_path / "out"
    told = write_checkpoint(classifier, path, form, metadata={"bdshift": "{}"})
    assert told.logit_difference < 1e-4
    images = torch.randn(5, 3, 32, 32)
    with torch.inference_mode():
        theirs = form.read(classifier, path)(images)
        assert torch.allclose(theirs, classifier.network(images), atol=1e-3)
    if name == "onnx":
        import onnxruntime

        about = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
        assert json.loads(about["preprocessing"])["mean"] == [0.5, 0.5, 0.5]
        assert about["bdshift"] == "{}"


def test_an_export_that_gives_other_logits_is_not_kept(
    victim_material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = type(SAFETENSORS)
    right = form.read

    def wrong(self: ExportForm, classifier: Classifier, path: Path) -> Function:
        read = right(self, classifier, path)
        return lambda images: read(images) + 1e-2

    monkeypatch.setattr(form, "read", wrong)
    with pytest.raises(InputError, match="written as safetensors gives other logits"):
        write_checkpoint(victim_material.classifier, tmp_path / "out.safetensors", SAFETENSORS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [kind.name for kind in EXPORT_FORMS.kinds() if not kind.is_graph])
def test_an_export_reads_back_as_the_same_network(
    victim_material: Material, name: str, tmp_path: Path
) -> None:
    classifier, form = victim_material.classifier, EXPORT_FORMS.parse(name)
    path = tmp_path / "out.pth"
    told = write_checkpoint(classifier, path, form)
    assert told.logit_difference < 1e-5
    assert (told.form, told.size) == (name, path.stat().st_size)
    assert told.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not told.keeps_code
    again = open_checkpoint(path)
    assert same_weights(again.state.load(), weights(classifier))
    before, after = read_checkpoint(classifier.path), again.file
    layout = classifier.layout
    if name == ORIGINAL.name:
        assert again.state.layout.wrapper == layout.wrapper == ("state_dict",)
        assert after.container == before.container
    else:
        assert again.state.layout.wrapper == ()
    with pytest.raises(UsageError, match="exists"):
        write_checkpoint(classifier, path, form)
    write_checkpoint(classifier, path, form, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["out.pth"], "nothing is left beside it"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("legacy", [False, True])
def test_keys_prefix_dtype_and_container_stay(
    victim_audit: Audit, victim_material: Material, tmp_path: Path, dtype: str, legacy: bool
) -> None:
    kind = getattr(torch, dtype)
    state = {
        f"module.{key}": value.to(kind) if value.is_floating_point() else value
        for key, value in weights(victim_material.classifier).items()
    }
    source = tmp_path / "in.pth"
    torch.save({"net": state, "acc": 1}, source, _use_new_zipfile_serialization=not legacy)
    found = open_checkpoint(source, arch=victim_audit.model.architecture)
    given = found.load(found.candidates[0]).with_preprocessing(victim_audit.preprocessing)
    write_checkpoint(given, tmp_path / "out.pth", ORIGINAL)
    out = torch.load(tmp_path / "out.pth", weights_only=True)["net"]
    assert list(out) == list(state)
    assert {key: value.dtype for key, value in out.items()} == {
        key: value.dtype for key, value in state.items()
    }
    assert same_weights(out, state)
    assert read_checkpoint(tmp_path / "out.pth").container == read_checkpoint(source).container


def test_the_source_is_never_written(victim_audit: Audit, victim: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.pth"
    source.write_bytes(victim.read_bytes())
    found = open_checkpoint(source)
    given = found.load(found.candidates[0]).with_preprocessing(victim_audit.preprocessing)
    with pytest.raises(UsageError, match="is an input"):
        write_checkpoint(given, source, ORIGINAL, overwrite=True)
    assert source.read_bytes() == victim.read_bytes()


@pytest.mark.parametrize("source", ["audit", "model"])
def test_export_as_a_command(
    victim_audit: Audit, victim: Path, tmp_path: Path, source: str
) -> None:
    save_audit(victim_audit, tmp_path / "a.h5")
    given = tmp_path / "a.h5" if source == "audit" else victim
    out = tmp_path / "out.onnx"
    options = "--out", out, "--format", "onnx"
    found = bdshift("export", given, *options, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert set(told) == {"form", "sha256", "bytes", "logit_difference", "keeps_code"}
    assert (told["form"], told["bytes"]) == ("onnx", out.stat().st_size)
    assert ("none is written" in found.stderr) == (source == "model"), "no normalization is known"
    assert bdshift("export", given, *options).exit_code == 2, "an existing file is kept"
    assert bdshift("export", given, *options, "--overwrite").exit_code == 0
    missing = tmp_path / "missing.pth"
    one_line(bdshift("export", missing, *options, "--overwrite"), 3, "missing.pth")


def test_weights_under_spectral_norm_need_another_format(
    victim_audit: Audit, victim_material: Material, tmp_path: Path
) -> None:
    state = dict(weights(victim_material.classifier))
    weight = state.pop("conv1.weight")
    u, v = torch.ones(len(weight)), torch.ones(weight[0].numel())
    factors = {"weight_orig": weight, "weight_u": u / u.norm(), "weight_v": v / v.norm()}
    state |= {f"conv1.{name}": value for name, value in factors.items()}
    torch.save(state, tmp_path / "in.pth")
    found = open_checkpoint(tmp_path / "in.pth", arch=victim_audit.model.architecture)
    given = found.load(found.candidates[0]).with_preprocessing(victim_audit.preprocessing)
    with pytest.raises(
        UsageError, match=r"spectral norm cannot .*; choose another export format: state-dict, "
    ):
        write_checkpoint(given, tmp_path / "out.pth", ORIGINAL)
    assert not (tmp_path / "out.pth").exists()
    write_checkpoint(given, tmp_path / "out.pth", SAFETENSORS)


def test_export_of_an_hdf5_file_that_is_no_audit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        file.create_group("model_weights")
    found = bdshift("export", tmp_path / "keras.h5", "--out", tmp_path / "out.pth")
    one_line(found, 3, "holds a Keras model without a description of its layers")


def test_the_default_is_the_format_of_the_source() -> None:
    assert default_form() is type(ORIGINAL)
    assert [kind.name for kind in EXPORT_FORMS.kinds() if kind.as_source] == ["original"]
    assert "[default: original]" in " ".join(bdshift("export", "--help").output.split())
    assert EXPORT_FORMS.noun == "export format"
    with pytest.raises(UsageError, match="unknown export format 'zip'; choose one of original"):
        EXPORT_FORMS.parse("zip")
