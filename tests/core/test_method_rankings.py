"""What a purification said of the neurons: kept in the audit, beside the shift in the report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from bdshift.audit import Audit, add_tac, reopen
from bdshift.audit.cleaning import clean_model
from bdshift.audit.rankings import method_rankings
from bdshift.cli import main
from bdshift.errors import InputError
from bdshift.neurons.rankings import agreement
from bdshift.purify import ShiftTuning, parse_method
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger

TARGET = 9


@pytest.fixture(scope="module")
def ranked(victim_audit: Audit) -> Audit:
    """The victim's, with TAC, and CLP twice, the second time stricter."""
    classifier, clean = reopen(victim_audit)
    trigger = parse_trigger("badnets:size=4,color=ffd800,row=20,column=14")
    found = add_tac(victim_audit, classifier, clean, trigger, TARGET)
    methods = parse_method("clp"), ShiftTuning(epochs=1), parse_method("clp:u=2,form=reference")
    runs = tuple(clean_model(found, method, TARGET, trigger=trigger) for method in methods)
    return dataclasses.replace(found, runs=runs)


def test_the_last_ranking_of_each_method_toward_a_class(ranked: Audit) -> None:
    found = method_rankings(ranked, TARGET)
    assert list(found) == ["clp"], "shift tuning ranks by the shift, which is there"
    last = ranked.runs[2].run.ranking
    assert last is not None
    assert found["clp"].tolist() == last.astype(float).tolist()
    assert method_rankings(ranked, 0) == {}


def test_an_audit_file_keeps_them(ranked: Audit, tmp_path: Path) -> None:
    for name, embeddings in (("a.h5", True), ("small.h5", False)):
        save_audit(ranked, tmp_path / name, embeddings=embeddings)
        for one, again in zip(ranked.runs, load_audit(tmp_path / name).runs, strict=True):
            assert again.run.ranking is not None
            assert one.run.ranking is not None
            assert np.array_equal(again.run.ranking, one.run.ranking)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["runs/0/ranking"]
    assert load_audit(tmp_path / "a.h5").runs[0].run.ranking is None
    dim = ranked.model.embedding_dim
    for wrong in (np.zeros(3, np.float32), np.full(dim, np.nan, np.float32)):
        with h5py.File(tmp_path / "small.h5", "r+") as file:
            del file["runs/0/ranking"]
            file["runs/0/ranking"] = wrong
        with pytest.raises(InputError):
            load_audit(tmp_path / "small.h5")


def test_the_command_compares_them_with_tac(ranked: Audit, tmp_path: Path) -> None:
    save_audit(ranked, tmp_path / "a.h5")
    told = CliRunner().invoke(main, ["neurons", str(tmp_path / "a.h5")])
    assert told.exit_code == 0, told.output
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("clp, TAC")]
    found = agreement(method_rankings(ranked, TARGET)["clp"], ranked.tac[0].change)
    assert f"{found.cosine:.3f}".replace("-", "−") in line
    done = CliRunner().invoke(main, ["neurons", str(tmp_path / "a.h5"), "--json"])
    report = json.loads(done.stdout)
    assert report["trigger"]["methods_with_tac"]["clp"]["cosine"] == pytest.approx(found.cosine)
    first = report["neurons"][0]
    assert first["methods"]["clp"] == pytest.approx(
        method_rankings(ranked, TARGET)["clp"][first["neuron"]]
    )
