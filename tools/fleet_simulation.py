"""Simulates a fleet of audits (`scale.simulation`).

    python tools/fleet_simulation.py --from results/fleet.sqlite --workers 2
    python tools/fleet_simulation.py --models 1000000 --workers 1000 --engine ray --seconds-each 60
    python tools/fleet_simulation.py --scenarios docs/results/scale/million.csv

The first compares a fleet that was run with its simulation, and can draw the times of its audits
from another one's (--times-of). The second simulates one that was not, with times and sizes drawn
around medians. The third simulates all that docs/scale.md lists, which takes half an hour. What
processes and the driver take is in --measured, from `tools/scale_measure.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from bdshift.audit.made import versions
from tools.scale.costs import measured_searches, read_networks
from tools.scale.fleets import Load
from tools.scale.measured import compared, read_fleet
from tools.scale.million import (
    SCENARIOS,
    fleet_of,
    forward_images,
    million,
    read_json,
    write_scenarios,
)
from tools.scale.simulation import simulate

RESULTS = Path(__file__).parents[1] / "docs" / "results"
_LIMIT = 3600.0


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--from", dest="database", type=Path, help="the results of a fleet")
    what.add_argument("--models", type=int)
    what.add_argument("--scenarios", type=Path, help="CSV to write")
    parser.add_argument("--times-of", type=Path, help="the results of another fleet")
    parser.add_argument("--wall", type=float, help="seconds that the command has taken")
    parser.add_argument("--load", default="", help="of the machine while it ran, to be noted")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--seconds-each", type=float, default=60.0, help="median of an audit")
    parser.add_argument("--spread", type=float, default=0.4, help="deviation of its logarithm")
    parser.add_argument("--megabytes", type=float, default=100.0, help="median of a file")
    parser.add_argument("--bandwidth", type=float, default=float("inf"), help="MB/s of a worker")
    parser.add_argument("--store", type=float, default=float("inf"), help="MB/s of all together")
    parser.add_argument("--limit", type=float, default=_LIMIT, help="seconds of an audit")
    parser.add_argument("--lost-every", type=float, default=float("inf"), help="hours, mean")
    parser.add_argument("--killed-every", type=float, default=float("inf"), help="hours, mean")
    parser.add_argument("--measured", type=Path, default=RESULTS / "scale" / "measured.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON to write")
    return parser.parse_args()


def _without_paths(words: list[str]) -> list[str]:
    return [Path(one).name if "/" in one else one for one in words]


def main() -> None:
    args = asked()
    measured = read_json(args.measured)
    if args.scenarios:
        networks = list(read_networks(RESULTS / "scale" / "networks.csv"))
        searches = measured_searches(RESULTS / "verdict" / "zoo.csv")
        passes = forward_images(measured)
        rows = []
        for one in SCENARIOS:
            rows.append(million(one, networks, searches, measured, passes, 1_000_000, args.seed))
            print(json.dumps(rows[-1]), flush=True)
            write_scenarios(args.scenarios, rows)
        return
    fleet = fleet_of(
        measured, args.workers, engine=args.engine, shards=args.shards, limit=args.limit,
        bandwidth=1e6 * args.bandwidth, store=1e6 * args.store,
        lost_every=3600 * args.lost_every, killed_every=3600 * args.killed_every,
    )  # fmt: skip
    found: dict[str, object] = {
        "command": " ".join(["python tools/fleet_simulation.py", *_without_paths(sys.argv[1:])]),
        "workers": args.workers, "seed": args.seed, "versions": versions(), "load": args.load,
    }  # fmt: skip
    if args.database:
        other = read_fleet(args.times_of) if args.times_of else None
        found |= compared(read_fleet(args.database), fleet, args.seed, other, args.wall)
    else:
        rng = np.random.default_rng(args.seed)
        seconds = args.seconds_each * rng.lognormal(0, args.spread, args.models)
        sizes = 1e6 * args.megabytes * rng.lognormal(0, args.spread, args.models)
        found |= simulate(Load(seconds, sizes), fleet, args.seed).summary()
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
