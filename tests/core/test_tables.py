"""The papers' tables: rows that are kept, tables and figures from them, ablations."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from xml.etree import ElementTree

import numpy as np
import pytest
from commands import bdshift

from bdshift.lab.ablations import ablate, ablation_table
from bdshift.lab.compared import compare, compared_files, compared_table
from bdshift.lab.protocol import Attack, TableScale, scales
from bdshift.lab.rows import Places, Tables
from bdshift.lab.tables import tables
from bdshift.lab.trojan import TrojanPatch
from bdshift.purification import METHODS

RESULTS = Path(__file__).parents[2] / "docs/results"


@pytest.fixture
def tiny_scale(monkeypatch: pytest.MonkeyPatch) -> TableScale:
    small = scales()["small"]
    recipe = replace(small.recipe, width=4, epochs=1, batch=64, normalization="half", flip=False)
    methods = {
        "shift tuning": "shift-tuning:epochs=1", "CLP": "clp", "BEEAR": "beear:epochs=1,inner=2",
    }  # fmt: skip
    attacks = {"BadNets": Attack("badnets:size=6"), "Trojan": Attack("trojan")}
    more = {
        "BadNets rate 0.05": Attack("badnets:size=6", rate=0.05),
        "BadNets to 3": Attack("badnets:size=6", target=3),
    }
    tiny = replace(
        small, recipe=recipe, methods=methods, ours="shift tuning", attacks=attacks, more=more,
        as_published={"CLP as published": "clp:form=reference"}, share=0.9,
        drawn_on=replace(recipe, width=5),
    )  # fmt: skip
    monkeypatch.setattr("bdshift.lab.protocol.scales", lambda: {**scales(), "small": tiny})
    monkeypatch.setattr("bdshift.lab.trojan.TrojanPatch", partial(TrojanPatch, steps=5))
    return tiny


def test_every_method_has_its_rows() -> None:
    small, paper = scales()["small"], scales()["paper"]
    assert [kind.name for kind in METHODS.kinds() if kind.our_row] == ["shift-tuning"]
    assert paper.methods[paper.ours] == "shift-tuning"
    for scale in (small, paper):
        for name, text in scale.every_method.items():
            kind = METHODS[METHODS.parse(text).name]
            known = dict((*kind.table_rows, *kind.published_rows))
            if scale is small:
                known |= dict(kind.quick_rows)
            assert known[name] == text
            assert scale.method(name).ranks_by_shift == kind.ranks_by_shift
    assert list(small.every_method) == list(paper.every_method)
    titles = [title for kind in METHODS.kinds() for title, _ in kind.table_rows]
    assert list(paper.methods) == titles, "in the order of the methods, and no two of one name"


def test_what_was_published_is_of_attacks_and_methods_that_exist() -> None:
    for scale in scales().values():
        known = scale.published
        assert known.purified.keys() <= scale.methods.keys()
        assert known.cosines.keys() <= {"shift", *scale.methods}
        figures: list[Mapping[str, object]] = [*known.purified.values(), *known.cosines.values()]
        figures += [some for some in (known.before, known.norms) if some]
        assert all(one.keys() == scale.attacks.keys() for one in figures)
        assert known.rates.keys() <= scale.more.keys()
        assert known.norms_in == known.purified_in - 2


def test_a_table_shows_what_was_published_for_its_network() -> None:
    about = {"attack": "WaNet", "seed": 0, "z": [-2.5] + [0.0] * 9, "p": 0.001, "flagged": [0]}
    row = {
        **about, "l2": [3.0] + [5.0] * 9, "tac": [4.0, 3.0],
        "training": {"outcome": {"acc": 0.94, "asr": 1.0}},
        "agreement": {key: {"cosine": 0.7, "cosine_abs": 0.7} for key in ("shift", "data_free")},
    }  # fmt: skip
    for name, norms, z, known, numbers in (
        ("paper-30", "3.31", "−2.82", "93.4 / 99.6", (4, 2)),
        ("paper-50-30", "3.53", "−2.86", "92.8 / 98.9", (5, 3)),
    ):
        text = tables([row], scales()[name])
        assert f"| *{norms}* |" in text
        assert f"| *{z}* |" in text
        assert f"| *{known}* |" in text
        assert "| all alike | – | – | – | 0.990 (1) |" in text, "7 of 5 times the root of 2"
        assert [f"(Table {number})" in text for number in numbers] == [True, True]
    assert "*93.4 / 99.6*" not in tables([row], scales()["small"])


def test_every_cell_stands_beside_the_published_one() -> None:
    scale = scales()["paper-cpu"]
    cosines = {"cosine": -0.7, "cosine_abs": 0.73}
    victims: list[dict[str, object]] = [
        {
            "attack": "WaNet", "seed": seed, "z": [-2.0] + [0.0] * 9,
            "training": {"outcome": {"acc": 0.92, "asr": asr}}, "agreement": {"shift": cosines},
        }
        for seed, asr in ((0, 0.9), (1, 1.0))
    ]  # fmt: skip
    ours = {"attack": "WaNet", "method": scale.ours, "acc": 0.95, "asr": 0.0, "der": 0.9909}
    cells = compare([*victims, ours], scale)
    by = {(cell.what, cell.figure): cell for cell in cells}
    assert {cell.attack for cell in cells} == {"WaNet"}
    asr = by["none", "ASR"]
    assert (asr.table, asr.count) == (4, 2)
    assert asr.ours == pytest.approx(0.95)
    assert asr.difference == pytest.approx(0.95 - 0.9959)
    assert [asr.differs, by["none", "ACC"].differs] == [True, False]
    assert by["shift", "z"].table == 2
    assert not by["shift", "z"].differs
    assert [by[name, "cosine"].differs for name in ("shift", "|shift|")] == [True, False]
    assert by[scale.ours, "DER"].published == 0.9909, "of the paper's own method"
    assert ("FP", "ACC") not in by, "there is no row"
    text = "\n".join(compared_table(cells))
    assert "2 of 7 cells differ" in text
    assert "| 1 | shift | WaNet | cosine | −0.700 | 0.717 | −1.417 |" in text
    assert "| 4 | none | WaNet | ASR | 95.0 | 99.6 | −4.6 |" in text
    files = compared_files(cells)
    table = list(csv.DictReader(files["compared.csv"].splitlines()))
    assert len(table) == len(cells) == 8
    assert sum(int(row["differs"]) for row in table) == 2
    drawn = ElementTree.fromstring(files["compared.svg"])
    assert sum(element.tag.endswith("circle") for element in drawn.iter()) == 7
    assert compared_files([]) == {}
    assert list(compared_table([])) == []


@pytest.mark.usefixtures("tiny_scale")
def test_tables_are_made_row_by_row_and_go_on(few_signs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        "lab", "tables", "--data", few_signs, "--test", few_signs, "--work", tmp_path / "work",
        "--out", out,
    ]  # fmt: skip
    first = bdshift(*command, "--attacks", "BadNets", "--methods", "CLP")
    assert first.exit_code == 0, first.output
    assert {path.name for path in out.iterdir()} == {
        "badnets-0.json", "badnets-0-clp.json", "tables.md", "overlap.csv", "overlap.svg",
        "norms.csv", "purified.csv", "rankings.csv", "scatter.csv", "scatter.svg", "z.svg",
        "compared.csv", "compared.svg",
    }  # fmt: skip
    row = json.loads((out / "badnets-0-clp.json").read_text())
    assert row["spec"].startswith("clp:u=3.0")
    assert 0 <= row["der"] <= 1
    assert len(row["agreement"]["overlap"]) == 100
    assert str(tmp_path) not in json.dumps(row)
    written = (out / "badnets-0.json").stat().st_mtime_ns
    second = bdshift(*command)
    assert second.exit_code == 0, second.output
    assert (out / "badnets-0.json").stat().st_mtime_ns == written, "not made again"
    assert (tmp_path / "work" / "trojan.png").exists()
    about = json.loads((tmp_path / "work/drawn-on/card.json").read_text("utf-8"))
    assert about["recipe"]["width"] == 5, "the patch is drawn on a model of another recipe"
    text = (out / "tables.md").read_text()
    for cell in ("| shift tuning |", "| CLP |", "Trojan 0", "*published*"):
        assert cell in text
    assert not list((tmp_path / "work").glob("*.state"))
    drawn = ElementTree.fromstring((out / "overlap.svg").read_text())
    words = {element.text for element in drawn.iter() if element.tag.endswith("text")}
    assert {"shift", "w − w̄", "CLP", "Trojan: overlap with TAC", "overlap, %"} <= words
    assert {"0", "100"} <= words, "an axis of shares ends where shares do"
    lines = list(csv.reader((out / "overlap.csv").read_text("utf-8").splitlines()))
    assert lines[-1][:3] == ["Trojan", "BEEAR", "100"]
    assert float(lines[-1][3]) == 1.0, "all neurons are the same ones"
    dots = ElementTree.fromstring((out / "scatter.svg").read_text())
    count = sum(element.tag.endswith("circle") for element in dots.iter())
    victim = json.loads((out / "badnets-0.json").read_text())
    assert count == 2 * len(victim["tac"]) == 2 * len(victim["shift"])
    beear = ElementTree.fromstring((out / "beear.svg").read_text())
    assert sum(element.tag.endswith("circle") for element in beear.iter()) == count
    rows = list(csv.DictReader((out / "rankings.csv").read_text("utf-8").splitlines()))
    purified = json.loads((out / "badnets-0-beear.json").read_text())
    mine = [one for one in rows if (one["attack"], one["method"]) == ("BadNets", "BEEAR")]
    for key, values in (("tac", victim["tac"]), ("ranking", purified["ranking"])):
        assert [float(one[key]) for one in mine] == pytest.approx(values, rel=1e-3, abs=1e-6)
    assert json.loads((out / "badnets-0-shift-tuning.json").read_text())["ranking"] is None
    assert "CLP as published" not in text
    chosen = ["--attacks", "BadNets", "--methods", "CLP as published"]
    assert bdshift(*command, *chosen).exit_code == 0
    assert "| CLP as published | `clp:form=reference` |" in (out / "tables.md").read_text()
    told = shlex.split(row["command"])
    assert told[:5] == ["bdshift", "lab", "tables", "--scale", "small"]
    assert told[-2:] == ["--methods", "CLP"]
    other = bdshift(*command, "--scale", "paper")
    assert other.exit_code == 3
    assert "is of scale small" in other.stderr
    changed = row | {"spec": row["spec"].replace("u=3.0", "u=5.0")}
    (out / "badnets-0-clp.json").write_text(json.dumps(changed))
    other = bdshift(*command, "--attacks", "badnets", "--methods", " clp")
    assert other.exit_code == 3
    assert "was made by clp:u=5.0" in other.stderr
    wrong = bdshift(*command, "--attacks", "Magic")
    assert wrong.exit_code == 2
    assert "unknown 'Magic'; choose one of" in wrong.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_scale")
def test_lower_rates_and_other_targets_have_a_table_of_their_own(
    few_signs: Path, tmp_path: Path
) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    done = bdshift(
        "lab", "tables", "--data", few_signs, "--test", few_signs, "--work", work, "--out", out,
        "--attacks", "BadNets rate 0.05,BadNets to 3", "--methods", "shift tuning",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    cards = {
        path.name: json.loads((path / "card.json").read_text())
        for path in work.iterdir() if path.is_dir()
    }  # fmt: skip
    assert set(cards) == {"badnets-rate-0.05-0", "badnets-to-3-0"}
    rare, other = cards["badnets-rate-0.05-0"], cards["badnets-to-3-0"]
    assert rare["recipe"]["rate"] == 0.05
    assert rare["outcome"]["poisoned_images"] * 2 == other["outcome"]["poisoned_images"]
    assert other["recipe"]["target"] == sorted(path.name for path in few_signs.iterdir())[3]
    text = (out / "tables.md").read_text()
    table = text[text.index("## Lower rates") :]
    assert "| BadNets to 3 |" in table
    assert "*91.5 / 2.5 / 0.974*" in table, "what the paper has for this rate"
    assert "| none | – | – |" in text, "only what was asked for is there"
    victim = json.loads((out / "badnets-to-3-0.json").read_text())
    row = json.loads((out / "badnets-to-3-0-shift-tuning.json").read_text())
    norms = list(csv.DictReader((out / "norms.csv").read_text().splitlines()))
    assert {one["attack"] for one in norms} == {"BadNets rate 0.05", "BadNets to 3"}
    mine = [one for one in norms if one["attack"] == "BadNets to 3"]
    assert [float(one["l2"]) for one in mine] == pytest.approx(victim["l2"], rel=1e-4)
    assert [one["class"] for one in mine if one["flagged"] == "1"] == [
        str(number) for number in victim["flagged"]
    ]
    drawn = ElementTree.fromstring((out / "z.svg").read_text())
    words = {element.text for element in drawn.iter() if element.tag.endswith("text")}
    assert {"to class 3", "BadNets: z of every class"} <= words
    assert "to class 0" not in words, "a lower rate is another victim"
    (purified,) = [
        one for one in csv.DictReader((out / "purified.csv").read_text().splitlines())
        if one["attack"] == "BadNets to 3"
    ]  # fmt: skip
    assert float(purified["der"]) == pytest.approx(row["der"], rel=1e-4)
    assert float(purified["asr_before"]) == pytest.approx(row["before"]["asr"], abs=1e-4)
    assert not (out / "overlap.svg").exists(), "that is of the four attacks"


@pytest.mark.parametrize(("name", "folder"), [("small", "small"), ("paper-cpu", "paper/paper-cpu")])
def test_the_tables_in_the_documentation_are_those_of_its_rows(
    name: str, folder: str, tmp_path: Path
) -> None:
    kept = RESULTS / folder
    for path in kept.glob("*.json"):
        shutil.copy(path, tmp_path)
    making = Tables(scales()[name], Places("", "", tmp_path, tmp_path))
    making.write_tables()
    making.write_ablations()
    assert (tmp_path / "tables.md").exists()
    for path in kept.iterdir():
        again = (tmp_path / path.name).read_text("utf-8")
        assert again == path.read_text("utf-8"), f"{path.name} is of other rows"


def test_the_means_in_the_documentation_are_those_of_its_rows() -> None:
    kept = RESULTS / "small"
    rows = {path.stem: json.loads(path.read_text("utf-8")) for path in kept.glob("*.json")}
    for many, seeds in (("", "0"), ("s", "012")):
        ders = {
            method: fmean(rows[f"{a}-{s}-{method}"]["der"]
                          for a in ("badnets", "trojan", "blend", "wanet") for s in seeds)
            for method in ("shift-tuning", "sharp-shift-tuning")
        }  # fmt: skip
        table = (kept / "tables.md").read_text("utf-8").split("(Table 4)")[1]
        heads, _, *lines = [line.split(" | ") for line in table.splitlines() if "|" in line]
        column = [head.strip(" |") for head in heads].index(
            f"mean DER, seed{many} {', '.join(seeds)}"
        )
        cells = {line[0].strip("| "): line[column].strip(" |*") for line in lines[:14]}
        assert cells["shift tuning"] == f"{ders['shift-tuning']:.3f}"
        assert cells["sharp shift tuning"] == f"{ders['sharp-shift-tuning']:.3f}"


def test_ablations_of_a_detector() -> None:
    """A head whose class 0 is reached by a short shift, and embeddings drawn around zero."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(10, 32)).astype(np.float32)
    weight[0] *= 4
    logits = ((rng.normal(size=(300, 32)) * 0.1) @ weight.T).astype(np.float32)
    tac = np.abs(rng.normal(size=32))
    rows = ablate(logits, weight, tac, 0, {"noise": logits[:50]}, seed=1)
    tried = {(row["what"], row["value"]) for row in rows}
    assert {("solver", "adam"), ("alpha", 0.3), ("images", 10), ("other images", "noise")} <= tried
    by = {(row["what"], row["value"]): row for row in rows}
    assert by["solver", "exact"]["flagged"] == 1
    assert by["solver", "exact"]["l2"] == by["alpha", 0.1]["l2"]
    assert min(by["solver", "adam"]["l2"]) >= min(by["solver", "exact"]["l2"]) - 1e-6
    assert by["images", 10]["sets"] == 10
    assert ("images", 500) not in by, "there are only 300"
    text = ablation_table({"BadNets 0": rows})
    assert "## alpha" in text
    assert "| w − w̄ |" in text
    clean = ablate(logits, weight, None, -1, {})
    assert all(row["flagged"] == 0 for row in clean)
    assert clean[0]["false_alarms"] == 1, "no class is the right one of a clean model"


def test_a_table_without_rows_is_empty() -> None:
    text = tables([], scales()["small"])
    assert "| none | – | – | – | – |" in text
