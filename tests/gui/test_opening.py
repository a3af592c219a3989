"""Whatever is dropped is opened as what it is; the card's details; several models in a file."""

from __future__ import annotations

import gzip
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pytestqt.qtbot import QtBot
from waiting import wait

from bdshift_gui.dialogs.model_page import ModelPage
from bdshift_gui.dialogs.which_model import WhichModelDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.opening import kind_of


def test_what_is_dropped_is_told_by_what_it_holds(tmp_path: Path, victim: Path) -> None:
    def path(name: str, data: bytes = b"") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    idx = b"\0\0\x08\x03" + struct.pack(">3I", 1, 28, 28) + bytes(784)
    batch = pickle.dumps({b"batch_label": b"", b"data": b"", b"labels": []}, 2)
    kinds = {
        path("t10k-images-idx3-ubyte", idx): "images",
        path("labels.gz", gzip.compress(idx)): "images",
        path("test_batch", batch): "images",
        path("test_batch.bin", bytes(3073 * 2)): "images",
        path("set.csv", b"path,label\na.png,1\n"): "images",
        path("set.parquet", b"PAR1...PAR1"): "images",
        path("model.pkl", pickle.dumps({"state_dict": {}}, 2)): "model",
        path("weights.bin", bytes(1000)): "model",
        victim: "model",
        tmp_path: "images",
    }
    np.savez(tmp_path / "set.npz", x=np.zeros((1, 8, 8), np.uint8), y=np.zeros(1, np.int64))
    kinds[tmp_path / "set.npz"] = "images"
    with h5py.File(tmp_path / "set.h5", "w") as file:
        file["x"] = np.zeros((1, 8, 8), np.uint8)
    kinds[tmp_path / "set.h5"] = "images"
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(victim, "cat/a.png")
    kinds[tmp_path / "set.tar"] = "images"
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        zipped.writestr("cat/a.png", b"")
    kinds[tmp_path / "set.zip"] = "images"
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit" / "model.safetensors").touch()
    kinds[tmp_path / "vit"] = "model"
    assert {one.name: kind_of(one) for one in kinds} == {
        one.name: kind for one, kind in kinds.items()
    }


def test_the_card_has_details(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(2048, 5),
    )  # fmt: skip
    torch.save({"model": network, "epoch": 3}, tmp_path / "m.pt")
    window.commands.open(tmp_path / "m.pt")
    wait(qtbot, window)
    assert window.work is not None
    window.work.model_card.details.click()
    (page,) = window.findChildren(ModelPage)
    told = {key.text(): value.accessibleName() for key, value in page.rows._shown}
    assert told["Saved class"].endswith("torch.nn.modules.container.Sequential")
    assert "1 convolution and 1 linear layer" in told["Architecture"]
    assert told["Beside it"].endswith("epoch")
    assert page.table.item(0, 1).text() == "Conv2d"
    assert page.table.item(0, 2).text() == "8 × 3 × 3 × 3"
    page.reject()


def test_of_several_models_one_is_chosen(
    window: MainWindow, qtbot: QtBot, victim: Path, tmp_path: Path
) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    torch.save({"teacher": state, "student": dict(state)}, tmp_path / "two.pt")
    window.commands.open(tmp_path / "two.pt")
    wait(qtbot, window)
    assert "several models" in window.error._text.text()
    window.error.which.click()
    (ask,) = window.findChildren(WhichModelDialog)
    ask.list.setCurrentRow(1)
    ask.use.click()
    wait(qtbot, window)
    assert window.session.state.model is not None
    assert window.session.state.model["wrapper"] == ["student"]
    assert window.session.state.corrections["weights"] == "student"
    assert not window.error.isVisible()


@pytest.mark.parametrize("name", ["details", "correct"])
def test_the_card_is_used_by_keyboard(opened: MainWindow, name: str) -> None:
    assert opened.work is not None
    button = getattr(opened.work.model_card, name)
    assert button.text()
    assert button.toolTip()
