"""The simulation of a fleet's scheduler, and the numbers of docs/scale.md."""

from __future__ import annotations

import csv
import importlib
import json
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scripted_engine import REASON

from bdshift.errors import InputError
from bdshift.fleet.engine import ATTEMPTS
from bdshift.fleet.identity import Stamp
from bdshift.fleet.ranking import q_values
from bdshift.fleet.results import AUDITS, Results, Row
from bdshift.fleet.task import Result
from bdshift.kinds import RESULTS

TOOLS = Path(__file__).parents[2] / "tools"
DOCS = Path(__file__).parents[2] / "docs"


def tool(name: str) -> Any:
    """A module of the tools."""
    return importlib.import_module(f"tools.{name}")


FLEETS: ModuleType = tool("scale.fleets")
simulate = tool("scale.simulation").simulate


def drawn(count: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return FLEETS.Load(rng.lognormal(3, 1, count), rng.lognormal(16, 1, count))


def alike(count: int, seconds: float = 1.0, size: float = 0.0) -> Any:
    return FLEETS.Load(np.full(count, seconds), np.full(count, size))


def checked(load: Any, fleet: Any, seed: int = 0) -> Any:
    """An outcome in which every model has one result, no more run at a time than there are workers,
    and all of the workers' time is accounted for.
    """
    out = simulate(load, fleet, seed)
    assert np.isfinite(out.written).all()
    assert (out.written >= out.ended).all()
    assert len(out.status) == len(load)
    assert sum(out.spent.values()) == pytest.approx(fleet.workers * out.makespan)
    assert min(out.spent.values()) >= 0
    ran = np.isfinite(out.began)
    moments = np.concatenate([out.began[ran], out.ended[ran]])
    changes = np.concatenate([np.ones(ran.sum()), -np.ones(ran.sum())])
    order = np.lexsort((changes, moments))
    assert changes[order].cumsum().max() <= fleet.workers
    return out


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_without_overhead_it_is_the_sum_or_an_even_share(engine: str) -> None:
    load = drawn(200)
    total, longest = load.seconds.sum(), load.seconds.max()
    out = checked(load, FLEETS.Fleet(1, engine))
    assert out.makespan == pytest.approx(total)
    assert out.spent["auditing"] == pytest.approx(total)
    for workers in (2, 7, 300):
        took = checked(load, FLEETS.Fleet(workers, engine)).makespan
        assert max(total / workers, longest) <= took * (1 + 1e-9)
        assert took <= total / workers + longest


def test_each_overhead_costs_what_it_says() -> None:
    plain = FLEETS.Fleet(2, before=3, start=4, fork=0.5, images=5, row=0.25, dispatch=0.125)
    out = checked(alike(2), plain)
    # The second is given away after the first; then come both rows.
    first, second = (3 + 4 + 0.5 + 5 + 1.0,) * 2
    assert out.ended.tolist() == [first, second]
    assert out.makespan == pytest.approx(second + 2 * 0.25)
    assert out.spent["images"] == 10
    assert out.spent["forking"] == 1
    # Who begins while the host decodes the images does so, too; later ones do not.
    assert checked(alike(8), FLEETS.Fleet(2, images=5)).spent["images"] == 2 * 5 * 2
    hashed = FLEETS.Fleet(8, hashing=10.0)
    assert checked(alike(4, 1.0, 20.0), hashed).makespan == pytest.approx(4 * 2 + 1)


def test_a_driver_bounds_what_many_workers_do() -> None:
    fleet = FLEETS.Fleet(100, "ray", dispatch=0.5, row=0.5)
    out = checked(alike(300), fleet)
    assert out.makespan >= 300
    assert out.summary()["driver_busy"] > 0.99
    assert out.spent["driver"] > out.spent["auditing"]
    shards = checked(alike(300), replace(fleet, shards=10))
    assert shards.makespan < out.makespan / 5


def test_what_takes_too_long_is_a_result() -> None:
    load = drawn(100)
    limit = float(np.median(load.seconds))
    out = checked(load, FLEETS.Fleet(3, limit=limit))
    assert out.status.count("timed-out") == 50
    assert out.spent["timed out"] == pytest.approx(50 * limit)
    slow = checked(alike(4, 1.0, 100.0), FLEETS.Fleet(4, limit=20.0, store=10.0))
    assert slow.status == ["timed-out"] * 4
    assert slow.fetched == pytest.approx(4 * 20 * 10 / 4)


def test_what_is_lost_is_done_again_but_not_for_ever() -> None:
    assert tool("scale.simulation").ATTEMPTS == ATTEMPTS
    load = drawn(300)
    fleet = FLEETS.Fleet(10, "ray", lost_every=300, restart=5, start=1)
    out = checked(load, fleet)
    assert out.losses > 5
    assert out.audits > 300
    assert out.spent["lost audits"] > 0
    assert out.status.count("done") >= 295
    hopeless = checked(alike(20, 1e4), replace(fleet, lost_every=1.0, limit=1e6))
    assert hopeless.status == ["crashed"] * 20
    assert hopeless.audits == 20 * ATTEMPTS
    local = checked(alike(20, 1e4), FLEETS.Fleet(10, lost_every=1.0, restart=5, limit=1e6))
    assert local.status == ["crashed"] * 20
    assert local.losses == ATTEMPTS, "what waited for a machine that is lost again and again, too"


def test_a_killed_driver_goes_on() -> None:
    fleet = FLEETS.Fleet(4, "ray", killed_every=500, resume=10, known=0.1, dispatch=0.1, row=0.1)
    out = checked(drawn(300), fleet)
    assert out.kills > 1
    assert out.status == ["done"] * 300
    assert out.audits > 300
    undisturbed = checked(drawn(300), replace(fleet, killed_every=float("inf")))
    assert out.makespan > undisturbed.makespan


def test_a_store_is_shared() -> None:
    load = FLEETS.Load(np.array([0.0, 0.0]), np.array([10.0, 30.0]))
    assert checked(load, FLEETS.Fleet(2, store=1.0)).ended.tolist() == [20, 40]
    assert checked(load, FLEETS.Fleet(2, bandwidth=1.0)).ended.tolist() == [10, 30]
    assert checked(load, FLEETS.Fleet(1, store=1.0)).ended.tolist() == [10, 40]
    many = drawn(500)
    cap = many.sizes.sum() / 3600
    out = checked(many, FLEETS.Fleet(20, "ray", store=cap, lost_every=9000, restart=1))
    assert out.status == ["done"] * 500
    assert out.losses > 1
    assert out.makespan >= 3600
    assert out.fetched / out.makespan <= cap * (1 + 1e-9)
    assert out.fetched >= many.sizes.sum() * (1 - 1e-9)


def test_a_seed_decides() -> None:
    fleet = FLEETS.Fleet(10, "ray", shards=2, lost_every=300, killed_every=900, store=1e7)
    first, again, other = (checked(drawn(200), fleet, seed).summary() for seed in (1, 1, 2))
    assert first == again
    assert first != other
    with pytest.raises(ValueError, match="no models"):
        simulate(alike(0), fleet)
    with pytest.raises(ValueError, match="shard"):
        FLEETS.Fleet(10, shards=3)


def test_a_measured_fleet_beside_its_simulation(tmp_path: Path) -> None:
    """Two workers, the second audit twice as long; a copy, and one that could not be read."""
    results, audits = Results(tmp_path), tmp_path / AUDITS
    audits.mkdir()
    began = 1.7e9
    for number, (start, seconds) in enumerate([(0, 10), (0, 20), (10, 10), (20, 10), (0, 0)]):
        name = f"{number}.audit.h5" if seconds else ""
        if name:
            (audits / name).write_bytes(b"")
            os.utime(audits / name, (began + start + seconds,) * 2)
        results.put(row(number, name, seconds))
    read, compared = (getattr(tool("scale.measured"), one) for one in ("read_fleet", "compared"))
    one = read(tmp_path / RESULTS)
    assert one.seconds.tolist() == [10, 20, 10, 10]
    assert one.began.tolist() == [0, 0, 10, 20]
    assert one.span == 30
    found = compared(one, FLEETS.Fleet(2, before=2, start=1), 0, None, 40.0)
    assert found["replayed"]["error"] == pytest.approx(0)
    assert found["replayed"]["span_seconds"] == pytest.approx(30)
    assert found["whole_command"]["replayed_seconds"] == pytest.approx(33)
    assert found["drawn"]["from"] <= found["drawn"]["span_seconds"] <= found["drawn"]["to"]
    with pytest.raises(InputError, match="no audits"):
        read(tmp_path / "nowhere" / RESULTS)


def row(number: int, file: str, seconds: float) -> Row:
    result = Result("done", REASON, seconds=seconds)
    return Row(f"{number}.pth", "/i", "q", f"{number}", Stamp(9, 9), file, "", result)


def test_the_page_has_the_tables_that_the_command_writes() -> None:
    page = tool("scale.page")
    numbers = page.Numbers(DOCS / "results")
    text = (DOCS / "scale.md").read_text("utf-8")
    assert page.with_tables(text, numbers) == text
    assert len(text.splitlines()) < 200
    with pytest.raises(ValueError, match="one place for the table bytes"):
        page.with_tables(text.replace("<!-- bytes -->", ""), numbers)


def test_what_the_page_counts_is_what_is_there() -> None:
    costs, page = tool("scale.costs"), tool("scale.page")
    written = page.Numbers(DOCS / "results").networks
    assert [one.name for one in written] == [*costs.NETWORKS]
    assert costs.count_network(costs.SMALL) == written[0]
    found = {one.kind: one for one in costs.measured_searches(DOCS / "results/verdict/zoo.csv")}
    assert found["mask"].forward(12) == 33952, "a number of classes that the line is not fitted to"
    assert found["mask"].backward(12) == 25200


def test_sentences_of_the_page_agree_with_its_numbers() -> None:
    text = (DOCS / "scale.md").read_text("utf-8")
    with (DOCS / "results/scale/million.csv").open(encoding="utf-8") as stream:
        files, norms, *_ = csv.DictReader(stream)
    hashed, asked = (
        float(one["driver_busy"]) * float(one["makespan_seconds"]) / 1e6 for one in (files, norms)
    )
    figure = tool("scale.page").figure
    assert f"one model in {figure(1e3 * asked)} ms, or in {figure(1e3 * hashed)} ms" in text
    audits = 1e6 / float(norms["makespan_seconds"]) / 100  # a second, of a GPU
    feeds = [figure(1 / one / audits) for one in (asked, hashed)]
    assert f"one driver feeds some {feeds[0]} GPUs, or {feeds[1]}." in text
    limits = [figure(1 / one) for one in (asked, hashed)]
    assert f"more than about {limits[0]} audits end in a second, or {limits[1]} of" in text
    rate = float(norms["store_bytes_per_second"]) / 100
    assert (
        f"a GPU asks for {figure(rate / 1e6)} MB/s, so 10 GB/s feed {figure(1e10 / rate)}." in text
    )
    assert f"{float(norms['bytes']) / 1e12:.0f} TB in all" in text
    measured = json.loads((DOCS / "results/scale/measured.json").read_text("utf-8"))
    row = measured["tables"]["bytes_of_row_by_classes"]["1000"]
    assert f"some {figure(16 * 1024**3 / row)} models of 1000 classes" in text


def test_which_p_a_small_q_takes() -> None:
    """The formula beside the ranking itself, with a p that is a little larger and smaller."""
    page = tool("scale.page")
    share, models = 0.01, 200_000
    bad = np.arange(models) < share * models
    strong = bad & (np.arange(models) < page.POWER * share * models)
    for times, below in ((1.03, False), (0.97, True)):
        p = np.where(
            strong, page.p_for(share) * times, (np.arange(models) * 7919 % models + 0.5) / models
        )
        assert (q_values(p.tolist()).min() < 0.1) == below
