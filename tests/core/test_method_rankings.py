"""What a purification said of the neurons: kept in the audit, beside the shift in the report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import bdshift
from known import STICKER, TARGET

from bdshift.audit import Audit, Material
from bdshift.audit.purifying import purify_model
from bdshift.audit.rankings import method_rankings
from bdshift.errors import InputError
from bdshift.neurons.rankings import agreement
from bdshift.purification.methods.clp import Clp
from bdshift.purification.methods.shift_tuning import ShiftTuning
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger


@pytest.fixture(scope="module")
def ranked(measured_audit: Audit, victim_material: Material) -> Audit:
    """The victim's, with TAC, and CLP twice, the second time stricter."""
    methods = Clp(), ShiftTuning(epochs=1), Clp(u=2, form="reference")
    trigger = parse_trigger(STICKER)
    purifications = tuple(
        purify_model(measured_audit, victim_material, method, TARGET, trigger=trigger)
        for method in methods
    )
    return dataclasses.replace(measured_audit, purifications=purifications)


def test_the_last_ranking_of_each_method_toward_a_class(ranked: Audit) -> None:
    found = method_rankings(ranked, TARGET)
    assert list(found) == ["clp"], "shift tuning ranks by the shift, which is there"
    last = ranked.purifications[2].result.ranking
    assert last is not None
    assert found["clp"].tolist() == last.astype(float).tolist()
    assert method_rankings(ranked, 0) == {}


def test_an_audit_file_keeps_them(ranked: Audit, tmp_path: Path) -> None:
    for name, embeddings in (("a.h5", True), ("small.h5", False)):
        save_audit(ranked, tmp_path / name, embeddings=embeddings)
        read = load_audit(tmp_path / name).purifications
        for one, again in zip(ranked.purifications, read, strict=True):
            assert again.result.ranking is not None
            assert one.result.ranking is not None
            assert np.array_equal(again.result.ranking, one.result.ranking)
    place = "purifications/0/result/ranking"
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file[place]
    assert load_audit(tmp_path / "a.h5").purifications[0].result.ranking is None
    dim = ranked.model.embedding_dim
    for wrong in (np.zeros(3, np.float32), np.full(dim, np.nan, np.float32)):
        with h5py.File(tmp_path / "small.h5", "r+") as file:
            del file[place]
            file[place] = wrong
        with pytest.raises(InputError, match="is damaged"):
            load_audit(tmp_path / "small.h5")


def test_the_command_compares_them_with_tac(ranked: Audit, tmp_path: Path) -> None:
    save_audit(ranked, tmp_path / "a.h5")
    told = bdshift("neurons", tmp_path / "a.h5")
    assert told.exit_code == 0, told.output
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("clp, TAC")]
    ranking = method_rankings(ranked, TARGET)["clp"]
    found = agreement(ranking, ranked.tac[0].change)
    assert f"{found.cosine:.3f}".replace("-", "−") in line
    done = bdshift("neurons", tmp_path / "a.h5", "--json")
    report = json.loads(done.stdout)
    assert report["trigger"]["methods_with_tac"]["clp"]["cosine"] == pytest.approx(found.cosine)
    first = report["neurons"][0]
    assert first["methods"]["clp"] == pytest.approx(ranking[first["neuron"]])
