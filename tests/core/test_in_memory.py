"""A scan of a module and of images that a program has in memory."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from known import TARGET
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from bdshift import Audit, InputError, ScanSettings, UsageError, open_checkpoint, reopen, scan
from bdshift.audit.reading_notes import BY_RANGE
from bdshift.images.collection import open_images
from bdshift.images.loader import DecodedImages, decode_all
from bdshift.images.signs import CLASSES


@pytest.fixture(scope="module")
def decoded(signs: Path) -> DecodedImages:
    found = open_images(signs)
    return decode_all(found, found.files, 32)


@pytest.fixture(scope="module")
def pixels(decoded: DecodedImages) -> NDArray[np.uint8]:
    return decoded.pixels


@pytest.fixture(scope="module")
def labels(decoded: DecodedImages) -> NDArray[np.int64]:
    return decoded.labels


@pytest.fixture(scope="module")
def floats(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """As the victim gets them: −1…1."""
    return torch.from_numpy(pixels).float() / 127.5 - 1


@pytest.fixture
def module(victim: Path) -> nn.Module:
    opened = open_checkpoint(victim)
    return opened.load(opened.candidates[0]).network.requires_grad_(True)


@pytest.fixture(scope="module")
def from_file(victim: Path, signs: Path) -> Audit:
    return scan(victim, signs, ScanSettings(normalize="half"))


class Pairs(Dataset[Any]):
    """A map-style data set, as those of torchvision."""

    classes = tuple(sorted(CLASSES))

    def __init__(self, images: Any, labels: NDArray[np.int64]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Any:
        return self.images[row], int(self.labels[row])


class Endless(IterableDataset[Any]):
    def __init__(self, images: torch.Tensor, labels: NDArray[np.int64]) -> None:
        self.images, self.labels = images, labels
        self.given = 0

    def __iter__(self) -> Iterator[Any]:
        rng = np.random.default_rng(0)
        while True:
            self.given += 1
            row = int(rng.integers(len(self.labels)))
            yield self.images[row], int(self.labels[row])


def _is_as_from_a_file(found: Audit, from_file: Audit) -> None:
    assert found.finding.classes == from_file.finding.classes == (TARGET,)
    np.testing.assert_allclose(found.shifts.l2, from_file.shifts.l2, rtol=1e-4)
    assert found.accuracy == from_file.accuracy


@pytest.mark.parametrize(
    "form", ["tensor", "array", "channels last", "8 bits", "data set", "pictures", "loader",
             "generator", "batches"],
)  # fmt: skip
def test_every_form_of_images_gives_the_audit_of_the_files(
    form: str, module: nn.Module, pixels: NDArray[np.uint8], labels: NDArray[np.int64],
    floats: torch.Tensor, from_file: Audit,
) -> None:  # fmt: skip
    forms: dict[str, Callable[[], Any]] = {
        "tensor": lambda: (floats, torch.from_numpy(labels)),
        "array": lambda: (floats.numpy(), labels.tolist()),
        "channels last": lambda: (floats.permute(0, 2, 3, 1).numpy(), labels),
        "8 bits": lambda: (pixels, labels),
        "data set": lambda: TensorDataset(floats, torch.from_numpy(labels)),
        "pictures": lambda: Pairs(
            [Image.fromarray(one) for one in pixels.transpose(0, 2, 3, 1)], labels
        ),
        "loader": lambda: DataLoader(Pairs(floats, labels), batch_size=50),
        "generator": lambda: zip(floats, labels, strict=True),
        "batches": lambda: [(floats[i : i + 64], labels[i : i + 64]) for i in range(0, 336, 64)],
    }
    data = forms[form]()
    count = ScanSettings(sample=len(labels))
    found = scan(module, data, count)
    _is_as_from_a_file(found, from_file)
    assert found.preprocessing.normalization.name == "half"
    assert (found.model.path, found.images.path) == ("memory:ResNet", "memory:images")
    named = form in ("pictures", "loader")
    assert found.images.class_names[TARGET] == ("speed_80" if named else str(TARGET))


def test_the_module_is_left_as_it_was(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    module.train()
    module.get_submodule("layer1").eval()
    modes = [part.training for part in module.modules()]
    module(floats[:8]).sum().backward()
    grads = [one.grad.clone() for one in module.parameters() if one.grad is not None]
    before = copy.deepcopy(module.state_dict())
    seen: list[int] = []
    hook = module.register_forward_hook(lambda *given: seen.append(len(given[1][0])))
    scan(module, (floats[::4], labels[::4]))
    assert [part.training for part in module.modules()] == modes
    assert all(one.requires_grad for one in module.parameters())
    now = [one.grad for one in module.parameters() if one.grad is not None]
    assert all(map(torch.equal, now, grads))
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert seen == [2], "the hook is there, and was run once, to see that it changes nothing"
    hook.remove()
    assert not module._forward_hooks


def test_a_hook_that_changes_the_output_is_refused(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    module.register_forward_hook(lambda _module, _images, output: output.flip(1))
    with pytest.raises(InputError, match="a hook changes what it returns"):
        scan(module, (floats, labels))


def test_weights_that_torch_computes_are_part_of_the_module(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64], from_file: Audit
) -> None:
    head = next(part for part in module.modules() if isinstance(part, nn.Linear))
    parametrizations.weight_norm(head)
    prune.identity(next(part for part in module.modules() if isinstance(part, nn.Conv2d)), "weight")
    module.eval()(floats[:2])  # leaves tensors with a history in it, which have no copy
    _is_as_from_a_file(scan(module, (floats, labels)), from_file)


def test_a_wrapped_module_of_another_precision_gets_the_images(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64], from_file: Audit
) -> None:
    wrapped = nn.DataParallel(module.double())
    found = scan(wrapped, (floats.double(), labels))
    assert found.finding.classes == from_file.finding.classes
    assert next(module.parameters()).dtype == torch.float64


def test_images_that_are_normalized_in_an_unknown_way_are_read_by_their_range(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64], from_file: Audit
) -> None:
    scale = torch.tensor([3.0, 0.2, 1.0]).view(3, 1, 1)
    given = nn.Sequential(_Scaled(1 / scale), module)
    unknown = scan(given, (floats * scale, labels))
    assert [one.code for one in unknown.notes] == [BY_RANGE]
    assert unknown.finding.classes == from_file.finding.classes
    np.testing.assert_allclose(unknown.shifts.l2, from_file.shifts.l2, rtol=2e-2)
    known = dataclasses.replace(ScanSettings(), normalize="0.5/0.5")
    assert scan(module, (floats, labels), known).notes == ()
    with pytest.raises(InputError, match="values from −1 to 1: they were prepared in another way"):
        scan(module, (floats, labels), ScanSettings(normalize="none"))


class _Scaled(nn.Module):
    def __init__(self, by: torch.Tensor) -> None:
        super().__init__()
        self.by = nn.Parameter(by)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * self.by


def test_images_without_labels_and_a_file_with_images_in_memory(
    victim: Path, module: nn.Module, pixels: NDArray[np.uint8], labels: NDArray[np.int64],
    floats: torch.Tensor, signs: Path, from_file: Audit,
) -> None:  # fmt: skip
    unlabeled = scan(module, floats)
    assert not unlabeled.images.labeled
    assert unlabeled.shifts.l2.argmin() == TARGET
    _is_as_from_a_file(scan(victim, (pixels, labels)), from_file)
    _is_as_from_a_file(scan(victim, (floats, labels)), from_file)
    _is_as_from_a_file(scan(module, signs), from_file)


def test_a_stream_is_read_no_further_than_the_sample(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    endless = Endless(floats, labels)
    found = scan(module, DataLoader(endless, batch_size=16), ScanSettings(sample=100))
    assert sum(found.images.counts) == 100
    assert endless.given <= 112
    with pytest.raises(UsageError, match="nothing says how many images"):
        scan(module, endless, ScanSettings(sample=None))
    of_many = scan(module, DataLoader(Pairs(floats, labels)), ScanSettings(sample=0.5))
    assert sum(of_many.images.counts) == len(labels) // 2
    assert min(of_many.images.counts) > 0, "a loader that is not shuffled is read at random"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x, y: (x[:, 0, 0], y), "no array of images|not an array of images"),
        (lambda x, y: (x[:, :2], y), "no axis of 1, 3 or 4 channels"),
        (lambda x, y: (x[..., :20], y), "20 × 32 pixels; they have to be square"),
        (lambda x, y: (x[:0], y[:0]), "holds no (images|labels)"),
        (lambda x, y: (x, y[:5]), "336 images, but 5 labels"),
        (lambda x, y: (x, y + 4), "a label is 15, but the model has 12 classes"),
        (lambda x, y: (x, y - 1), "classes are counted from 0"),
        (lambda x, y: (x * np.nan, y), "not numbers"),
        (lambda x, y: (x, y * 0), "all of its 336 images have one label"),
        (lambda x, y: (x > 9, y), "predicts class"),
        (lambda x, y: [(x[0], 1), (x[1, :, ::2, ::2], 1)], "several sizes"),
        (lambda x, y: [{"image": x[0]}], "an item is a dict"),
        (lambda x, y: [(x[:4], y[:4]), x[:4]], "some have labels and others none"),
        (lambda x, y: (x.long() * 500, y), "hold whole numbers from"),
        (lambda x, y: [], "there are none"),
    ],
)
def test_what_is_wrong_with_images_is_said(
    given: Any, message: str, module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    with pytest.raises(InputError, match=message):
        scan(module, given(floats, labels))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda module: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), "no linear layer"),
        (lambda module: nn.Sequential(module, nn.Linear(12, 12), nn.ReLU()), "something after"),
        (lambda module: nn.Sequential(nn.Flatten(), nn.LazyLinear(12)), "has no shape yet"),
        (lambda module: nn.Sequential(nn.Flatten(), nn.Linear(7, 12)), "cannot be run on these"),
        (lambda module: torch.jit.trace(nn.Linear(3, 3), torch.zeros(1, 3)), "by TorchScript"),
    ],
)
def test_what_is_wrong_with_a_module_is_said(
    spoil: Any, message: str, module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    with pytest.raises(InputError, match=message):
        scan(spoil(module), (floats, labels))


def test_weights_that_are_no_numbers_are_named(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    with torch.no_grad():
        next(module.parameters())[0] = torch.nan
    with pytest.raises(InputError, match=r"memory:ResNet: its \S+ holds values that are not"):
        scan(module, (floats, labels))


def test_what_is_no_model_and_no_images(module: nn.Module, floats: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="or a torch Module, not a dict"):
        scan({}, floats)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="or a Dataset, not a int"):
        scan(module, 3)  # type: ignore[arg-type]


def test_the_head_is_the_layer_whose_output_is_returned(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64], from_file: Audit
) -> None:
    module.projector = nn.Linear(7, 128)
    _is_as_from_a_file(scan(module, (floats, labels)), from_file)


def test_an_audit_is_reopened_with_the_same_module_and_images(
    module: nn.Module, clean_twin: Path, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    audit = scan(module, (floats, labels), ScanSettings(sample=120))
    material = reopen(audit, model=module, images=(floats, labels))
    assert len(material.clean.files) == sum(audit.images.counts)
    with pytest.raises(UsageError, match="give the module again"):
        reopen(audit, images=(floats, labels))
    with pytest.raises(UsageError, match="give them again"):
        reopen(audit, model=module)
    other = open_checkpoint(clean_twin)
    with pytest.raises(InputError, match="SHA-256 differs"):
        reopen(audit, model=other.load(other.candidates[0]).network, images=(floats, labels))


def test_a_reference_may_be_a_module(
    module: nn.Module, clean_twin: Path, floats: torch.Tensor, labels: NDArray[np.int64]
) -> None:
    other = open_checkpoint(clean_twin)
    clean = other.load(other.candidates[0]).network
    settings = ScanSettings(sample=120, search=0.01)
    audit = scan(module, (floats, labels), settings, reference=clean)
    assert audit.reference is not None
    assert audit.reference.model.path == "memory:ResNet"
    with pytest.raises(InputError, match="the model itself"):
        scan(module, (floats, labels), settings, reference=module)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_module_on_a_gpu_and_images_in_memory_or_the_other_way(
    module: nn.Module, floats: torch.Tensor, labels: NDArray[np.int64], from_file: Audit
) -> None:
    on_cpu = ScanSettings(device="cpu")
    _is_as_from_a_file(scan(module.cuda(), (floats, labels), on_cpu), from_file)
    assert next(module.parameters()).is_cuda
    images = floats.cuda(), torch.from_numpy(labels).cuda()
    _is_as_from_a_file(scan(module.cpu(), images, on_cpu), from_file)
