"""The whole story on the demo's models: what is found, what is settled, what is said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bdshift.audit import Audit, ScanSettings, add_tac, reopen, scan
from bdshift.audit.stages import embed_cached, native_size, open_clean_set
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import Canceled, Event, JobContext, Progress
from bdshift.shift import embed as embed_module
from bdshift.shift.cache import EmbeddingCache
from bdshift.shift.embed import embed_images
from bdshift.triggers import parse_trigger

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"
TARGET = 9  # speed_80


@pytest.fixture(scope="module")
def audit(victim: Path, signs: Path) -> Audit:
    return scan(victim, signs)


def test_the_victim_is_named(audit: Audit) -> None:
    assert audit.verdict.suspicious
    assert audit.verdict.poisoned == (TARGET,)
    assert audit.images.class_names[TARGET] == "speed_80"
    assert audit.verdict.p_value < 0.01
    assert audit.accuracy > 0.97
    assert audit.shifts.kkt_max < 1e-8
    assert audit.model.architecture == "ResNet-18, width 16, CIFAR stem"
    assert audit.preprocessing.preprocessing.normalization.name == "half"
    assert audit.preprocessing.preprocessing.order == "rgb"
    assert audit.warnings == ()


def test_its_clean_twin_is_not(clean_twin: Path, signs: Path) -> None:
    audit = scan(clean_twin, signs)
    assert not audit.verdict.suspicious
    assert audit.verdict.p_value > 0.05
    assert audit.accuracy > 0.97


def test_logits_are_those_of_the_cached_embedding(audit: Audit) -> None:
    assert audit.embedding is not None
    z = audit.embedding.phi @ audit.model.weight.T + audit.model.bias
    assert np.allclose(z, audit.embedding.logits, atol=1e-3)
    with pytest.raises(ValueError, match="read-only"):
        audit.embedding.phi[0, 0] = 1


def test_tac_finds_the_neurons_that_the_shift_points_at(audit: Audit) -> None:
    classifier, clean = reopen(audit)
    found = add_tac(audit, classifier, clean, parse_trigger(STICKER), TARGET)
    tac = found.tac[-1]
    assert tac.asr > 0.99
    assert (tac.change >= np.abs(tac.signed) - 1e-12).all()
    shift = audit.shifts.shift[TARGET]
    top = set(np.argsort(-shift)[:13]) & set(np.argsort(-tac.change)[:13])
    assert len(top) >= 6  # of a tenth of the neurons, half at least are common
    assert np.corrcoef(shift, tac.signed)[0, 1] > 0.6
    again = add_tac(found, classifier, clean, parse_trigger(STICKER), TARGET)
    assert len(again.tac) == 1  # renewed, not doubled
    other = add_tac(again, classifier, clean, parse_trigger("badnets:size=2"), TARGET)
    assert other.tac[-1].asr < 0.2  # another patch is no key
    assert len(other.tac) == 2


def test_reopening_needs_the_same_model_and_images(
    audit: Audit, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="not the model that was audited"):
        reopen(audit, model=clean_twin)
    shutil.copytree(signs, tmp_path / "clean")
    moved = shutil.copy(audit.model.path, tmp_path / "moved.pth")
    classifier, clean = reopen(audit, model=moved, images=tmp_path / "clean")
    add_tac(audit, classifier, clean, parse_trigger(STICKER), TARGET)
    (tmp_path / "clean" / "stop" / "0000.png").unlink()
    classifier, clean = reopen(audit, model=moved, images=tmp_path / "clean")
    with pytest.raises(InputError, match="not the set that was audited"):
        add_tac(audit, classifier, clean, parse_trigger(STICKER), TARGET)


def test_an_audit_file_cannot_name_code_to_run(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_arch.py").write_text("open('ran', 'w')\nNet = None\n")
    monkeypatch.chdir(tmp_path)
    model = replace(audit.model, architecture="evil_arch:Net")
    settings = replace(audit.settings, arch="evil_arch:Net")
    for hostile in (replace(audit, model=model), replace(audit, settings=settings)):
        with pytest.raises(UsageError, match="whose code would be run"):
            reopen(hostile)
        with pytest.raises(UsageError, match="whose code would be run"):
            reopen(hostile, arch="ResNet-18, width 16, CIFAR stem")
    assert not (tmp_path / "ran").exists()


def test_an_audit_of_a_seldom_activation_is_reopened(audit: Audit) -> None:
    name = f"{audit.model.architecture}, LeakyReLU(0.1)"
    classifier, _ = reopen(replace(audit, model=replace(audit.model, architecture=name)))
    assert classifier.architecture == name
    with pytest.raises(InputError, match="no longer recognized as ResNet-5"):
        reopen(replace(audit, model=replace(audit.model, architecture="ResNet-5")))


def test_a_class_file_may_be_gone_when_an_audit_is_reopened(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    names = sorted(folder.name for folder in signs.iterdir())
    names[0], names[1] = names[1], names[0]
    (tmp_path / "names").write_text("\n".join(names))
    audit = scan(victim, signs, ScanSettings(sample=120, labels=tmp_path / "names"))
    (tmp_path / "names").unlink()
    _, clean = reopen(audit)
    assert clean.class_map.names == tuple(names)
    assert clean.class_map.of_folder[:3] == (1, 0, 2)


def test_an_architecture_is_chosen_by_name(victim: Path) -> None:
    every = open_checkpoint(victim).candidates
    assert len(every) > 1
    (only,) = open_checkpoint(victim, arch=every[1].name).candidates
    assert only.name == every[1].name
    assert only.rare == ()
    with pytest.raises(UsageError, match="what fits is ResNet-18, width 16, CIFAR stem; "):
        open_checkpoint(victim, arch="VGG-19")


# --- what the weights do not say


def resaved(victim: Path, path: Path, change: object) -> Path:
    state = torch.load(victim, weights_only=True)["state_dict"]
    change(state)  # type: ignore[operator]
    torch.save(state, path)
    return path


def test_a_network_that_wants_bgr(victim: Path, signs: Path, tmp_path: Path) -> None:
    def swap(state: dict[str, torch.Tensor]) -> None:
        state["conv1.weight"] = state["conv1.weight"].flip(1)

    audit = scan(resaved(victim, tmp_path / "bgr.pth", swap), signs)
    assert audit.preprocessing.preprocessing.order == "bgr"
    assert audit.accuracy > 0.97
    assert audit.verdict.poisoned == (TARGET,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights(
    victim: Path, signs: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    def halve(state: dict[str, torch.Tensor]) -> None:
        for key, value in state.items():
            state[key] = value.to(dtype) if value.is_floating_point() else value

    audit = scan(resaved(victim, tmp_path / "half.pth", halve), signs)
    assert audit.verdict.poisoned == (TARGET,)
    assert audit.model.weight.dtype == np.float32


def test_another_order_of_the_folders_is_proposed(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in signs.iterdir())
    order = np.random.default_rng(0).permutation(len(names))
    for position, label in enumerate(order):
        shutil.copytree(signs / names[label], tmp_path / "clean" / f"{position:02d}_folder")
    audit = scan(victim, tmp_path / "clean")
    assert audit.proposal is not None
    assert audit.proposal.accuracy > 0.95
    assert [audit.proposal.of_folder[f"{i:02d}_folder"] for i in range(12)] == order.tolist()
    assert "another order" in audit.warnings[0]
    assert audit.preprocessing.preprocessing.normalization.name == "half"
    # Applied as a class-name file it is right, and the verdict names the same class.
    by_class = sorted(audit.proposal.of_folder, key=audit.proposal.of_folder.__getitem__)
    (tmp_path / "names.txt").write_text("\n".join(by_class))
    right = scan(victim, tmp_path / "clean", ScanSettings(labels=tmp_path / "names.txt"))
    assert right.proposal is None
    assert right.accuracy > 0.97
    assert right.verdict.poisoned == (TARGET,)


def test_images_of_something_else_are_said_to_mean_little(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in sorted(path.name for path in signs.iterdir()):
        (tmp_path / "noise" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "noise" / name / f"{i}.png")
    audit = scan(victim, tmp_path / "noise")
    assert audit.proposal is None
    assert "means little" in audit.warnings[0]


def test_few_images_are_said_to_be_few(victim: Path, signs: Path) -> None:
    audit = scan(victim, signs, ScanSettings(sample=24))
    assert sum(audit.images.counts) == 24
    assert any("are few" in warning for warning in audit.warnings)


def test_normalize_overrides(victim: Path, signs: Path) -> None:
    audit = scan(victim, signs, ScanSettings(normalize="0.5/0.5"))
    assert {trial.preprocessing.normalization.name for trial in audit.trials} == {"0.5/0.5"}
    assert audit.accuracy > 0.97


def test_the_rules_and_solvers(victim: Path, signs: Path) -> None:
    few = ScanSettings(sample=120, normalize="half")
    for rule in ("paper", "mad"):
        assert scan(victim, signs, replace(few, rule=rule)).verdict.rule == rule
    adam = scan(victim, signs, replace(few, solver="adam"))
    assert adam.shifts.solver == "adam"
    assert adam.shifts.l2.argmin() == TARGET


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": 0}, {"alpha": float("nan")}, {"beta": -1}, {"rule": "x"}, {"solver": "x"},
     {"batch": 0}],
)  # fmt: skip
def test_settings_are_checked_at_once(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ScanSettings(**wrong)  # type: ignore[arg-type]


def test_wrong_device_and_sample(victim: Path, signs: Path) -> None:
    with pytest.raises(UsageError, match="device 'nonsense'"):
        scan(victim, signs, ScanSettings(device="nonsense"))
    with pytest.raises(UsageError, match="sample"):
        scan(victim, signs, ScanSettings(sample=2.0))


def test_native_size(signs: Path, tmp_path: Path) -> None:
    from PIL import Image

    found = open_images(signs)
    assert native_size(found, found.files) == 32
    (tmp_path / "a").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "a" / "1.png")
    found = open_images(tmp_path)
    assert native_size(found, found.files) is None


# --- the pass


def embed(victim: Path, signs: Path, **options: object) -> embed_module.Embedding:
    opened = open_checkpoint(victim)
    classifier = opened.classifier(opened.candidates[0])
    classifier = classifier.with_preprocessing(Preprocessing(32, parse_normalization("half")))
    clean = open_clean_set(open_images(signs), 12, ScanSettings(sample=60))
    return embed_images(
        classifier, clean.collection, clean.files, clean.class_map.of_folder,
        precision="float32", **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_batches_do_not_change_the_numbers(victim: Path, signs: Path) -> None:
    one, many = embed(victim, signs, batch=7), embed(victim, signs)
    assert np.allclose(one.phi, many.phi, atol=1e-4)
    assert one.files == many.files
    assert one.images_hash == many.images_hash
    assert (one.labels == [file.label for file in one.files]).all()


def test_memory_running_out_halves_the_batch(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = embed_module._Pass._one
    sizes: list[int] = []

    def scarce(self: object, pixels: np.ndarray, trigger: object) -> object:
        sizes.append(len(pixels))
        if len(pixels) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB")
        return plain(self, pixels, trigger)  # type: ignore[arg-type]

    expected = embed(victim, signs)
    monkeypatch.setattr(embed_module._Pass, "_one", scarce)
    found = embed(victim, signs)
    assert found.batch <= 3
    assert max(sizes) > 3
    assert np.allclose(found.phi, expected.phi, atol=1e-4)


def test_other_faults_are_not_taken_for_memory(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, pixels: np.ndarray, trigger: object) -> object:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(embed_module._Pass, "_one", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        embed(victim, signs)


def test_cancel_leaves_at_the_next_batch(victim: Path, signs: Path) -> None:
    class Impatient(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Progress) and event.stage.startswith("Embedding"):
                self.cancel()

    with pytest.raises(Canceled):
        scan(victim, signs, job=Impatient())


def test_progress_ends_at_its_total(victim: Path, signs: Path) -> None:
    events: list[Progress] = []

    class Listener(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Progress):
                events.append(event)

    scan(victim, signs, job=Listener())
    last = {event.stage: event for event in events}
    assert {"Embedding clean images", "Solving shifts"} <= set(last)
    for stage in ("Embedding clean images", "Solving shifts"):
        assert last[stage].done == last[stage].total
    for event in events:
        assert 0 <= event.done <= event.total


# --- the cache


def test_the_cache_gives_the_same_audit(victim: Path, signs: Path, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    notes: list[str] = []

    class Listener(JobContext):
        def note(self, text: str) -> None:
            notes.append(text)

    first = scan(victim, signs, cache=cache, job=Listener())
    assert notes == []
    second = scan(victim, signs, ScanSettings(alpha=0.2), cache=cache, job=Listener())
    assert notes == ["The embeddings are in the cache"]
    assert first.embedding is not None
    assert second.embedding is not None
    assert np.array_equal(first.embedding.phi, second.embedding.phi)
    assert first.embedding.files == second.embedding.files
    assert (second.shifts.l2 < first.shifts.l2).all()


def test_another_image_is_another_entry(victim: Path, signs: Path, tmp_path: Path) -> None:
    shutil.copytree(signs, tmp_path / "clean")
    cache = EmbeddingCache(tmp_path / "cache")
    scan(victim, tmp_path / "clean", cache=cache)
    changed = tmp_path / "clean" / "stop" / "0000.png"
    shutil.copy(tmp_path / "clean" / "yield" / "0000.png", changed)
    scan(victim, tmp_path / "clean", cache=cache)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2


def test_a_broken_cache_is_no_error_and_a_full_one_makes_room(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    opened = open_checkpoint(victim)
    classifier = opened.classifier(opened.candidates[0])
    classifier = classifier.with_preprocessing(Preprocessing(32, parse_normalization("half")))
    clean = open_clean_set(open_images(signs), 12, ScanSettings(sample=36))
    first = embed_cached(cache, classifier, clean)
    [entry] = (tmp_path / "cache").glob("*.npz")
    entry.write_bytes(b"broken")
    again = embed_cached(cache, classifier, clean)
    assert np.array_equal(first.phi, again.phi)
    small = EmbeddingCache(tmp_path / "cache", limit=entry.stat().st_size + 10)
    other = embed_cached(small, classifier, clean, trigger=parse_trigger(STICKER))
    assert not np.array_equal(other.phi, first.phi)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1
    nowhere = EmbeddingCache(victim / "not-a-folder")
    assert np.array_equal(embed_cached(nowhere, classifier, clean).phi, first.phi)
