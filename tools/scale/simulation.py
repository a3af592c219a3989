"""The scheduler of `bdshift fleet` as a discrete-event simulation: drivers that do one thing at a
time and give a few tasks away ahead, hosts that start, decode the images and may be lost, audits
that fetch their model, compute, and end or run into their limit.

It follows `bdshift.fleet.drive`, `local`, `host` and `ray_engine`. What it leaves out: files of the
same content, and processors that are shared, so that audits slow each other down.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tools.scale.fleets import Fleet, Load, Outcome, Status
from tools.scale.store import Download, Store

ATTEMPTS = 3
"""As in `bdshift.fleet.engine`, which takes a second to import; a test compares them."""

_WAITING = "driver"

_Task = tuple[int, int]  # model, and how many hosts have lost it


@dataclass(eq=False)
class _Driver:
    """That of one shard."""

    left: deque[int]
    hosts: list[_Host] = field(default_factory=list)
    queue: deque[_Task] = field(default_factory=deque)
    inbox: deque[tuple[int, Status]] = field(default_factory=deque)
    given: set[int] = field(default_factory=set)  # models that are away
    idle: deque[_Slot] = field(default_factory=deque)
    works: bool = True
    life: int = 0  # changes when it is killed
    rows: int = 0
    exhausted: float = math.inf  # since when nothing is left to give away

    @property
    def has_ended(self) -> bool:
        return not self.left and not self.given


@dataclass(eq=False)
class _Host:
    """A process that forks audits."""

    driver: _Driver
    slots: list[_Slot] = field(default_factory=list)
    life: int = 0  # changes when it is lost
    kept: float = math.inf  # from when on it has the images
    restarts: int = 0  # since the last result


@dataclass(eq=False)
class _Slot:
    """Room for one audit."""

    number: int
    host: _Host
    doing: str = "start"
    since: float = 0.0
    task: _Task | None = None
    audit: int = 0  # changes with each audit, and when one is lost
    deadline: float = math.inf
    phases: list[tuple[str, float]] = field(default_factory=list)  # of the audit


def simulate(load: Load, fleet: Fleet, seed: int = 0) -> Outcome:
    """Run a list of models. The seed decides when hosts are lost and drivers are killed. Raises
    `ValueError` for an empty list.
    """
    if not len(load):
        raise ValueError("there are no models")
    return _Simulation(load, fleet, seed).run()


class _Simulation:
    def __init__(self, load: Load, fleet: Fleet, seed: int) -> None:
        self._fleet = fleet
        self._seconds, self._sizes = load.seconds.tolist(), load.sizes.tolist()
        self._random = np.random.default_rng(seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._numbers = self._rows = self._store_turn = 0
        self._now = 0.0
        models = len(load)
        began, ended, written = (np.full(models, np.nan) for _ in range(3))
        self._out = Outcome(
            0.0, began, ended, written, ["crashed"] * models, fleet.workers, fleet.shards
        )
        self._store = Store(fleet.bandwidth, fleet.store)
        self._fetches: deque[tuple[_Slot, int]] = deque()  # some of them have ended
        self._awaits = False  # whether there is an event for the deadline of one
        self._slots: list[_Slot] = []
        each = fleet.workers // fleet.shards
        self._local = fleet.engine == "local"
        self._window = fleet.ahead * each
        hosts, slots = (1, each) if self._local else (each, 1)
        self._drivers = []
        for shard in range(fleet.shards):
            driver = _Driver(deque(range(shard, models, fleet.shards)))
            for _ in range(hosts):
                host = _Host(driver)
                host.slots = [_Slot(len(self._slots) + at, host) for at in range(slots)]
                self._slots += host.slots
                driver.hosts.append(host)
            self._drivers.append(driver)

    def run(self) -> Outcome:
        """Until every model has its row."""
        for driver in self._drivers:
            self._at(self._fleet.before, self._start_driver, driver)
        while self._rows < len(self._seconds):
            self._now, _, happens, what = heapq.heappop(self._events)
            happens(*what)
        for slot in self._slots:
            self._become(slot, "nothing left")
        self._out.makespan, self._out.fetched = self._now, self._store.fetched
        return self._out

    def _at(self, time: float, happens: Callable[..., None], *what: object) -> None:
        self._numbers += 1
        heapq.heappush(self._events, (time, self._numbers, happens, what))

    def _become(self, slot: _Slot, doing: str) -> None:
        """What a slot has done since it last changed is over."""
        took = self._now - slot.since
        if slot.task is not None:
            slot.phases.append((slot.doing, took))
        elif slot.doing == _WAITING:
            late = max(0.0, self._now - max(slot.since, slot.host.driver.exhausted))
            self._out.spent["nothing left"] += late
            self._out.spent[_WAITING] += took - late
        else:
            self._out.spent[slot.doing] += took
        slot.doing, slot.since = doing, self._now

    def _settle(self, slot: _Slot, doing: str, cause: str = "") -> None:
        """The audit of a slot is over; all of its time goes to the cause, if one is given."""
        self._become(slot, doing)
        for phase, took in slot.phases:
            self._out.spent[cause or phase] += took
        slot.phases.clear()
        slot.task = None
        slot.audit += 1

    # The driver

    def _start_driver(self, driver: _Driver) -> None:
        for host in driver.hosts:
            self._start_host(host, host.life)
        if math.isfinite(self._fleet.killed_every):
            life = self._random.exponential(self._fleet.killed_every)
            self._at(self._now + life, self._kill, driver)
        self._drive(driver, driver.life)

    def _drive(self, driver: _Driver, life: int) -> None:
        """Give the next model away, if there is room; then look for results."""
        if life != driver.life:
            return
        if not driver.left or len(driver.given) >= self._window:
            self._look(driver)
            return
        driver.works = True
        model = driver.left.popleft()
        driver.given.add(model)
        took = self._fleet.dispatch + self._sizes[model] / self._fleet.hashing
        self._out.busy += took
        self._at(self._now + took, self._give, driver, life, model)

    def _give(self, driver: _Driver, life: int, model: int) -> None:
        if life != driver.life:
            return
        if not driver.left:
            driver.exhausted = self._now
        driver.queue.append((model, 0))
        self._fill(driver)
        self._look(driver)

    def _look(self, driver: _Driver) -> None:
        """Write rows of the results that are there: all of them, or with Ray one."""
        found = len(driver.inbox) if self._local else min(1, len(driver.inbox))
        if found:
            driver.works = True
            told = [driver.inbox.popleft() for _ in range(found)]
            self._out.busy += found * self._fleet.row
            self._at(self._now + found * self._fleet.row, self._write, driver, driver.life, told)
        elif driver.left and len(driver.given) < self._window:
            self._drive(driver, driver.life)
        else:
            driver.works = False

    def _write(self, driver: _Driver, life: int, told: list[tuple[int, Status]]) -> None:
        if life != driver.life:
            return
        for model, status in told:
            driver.given.remove(model)
            self._out.written[model], self._out.status[model] = self._now, status
        driver.rows += len(told)
        self._rows += len(told)
        self._drive(driver, life)

    def _tell(self, driver: _Driver, model: int, status: Status) -> None:
        self._out.ended[model] = self._now
        driver.inbox.append((model, status))
        if not driver.works:
            self._look(driver)

    def _kill(self, driver: _Driver) -> None:
        """Its hosts end with it; what was away is given away again when it is resumed."""
        if driver.has_ended:
            return
        self._out.kills += 1
        driver.life += 1
        for host in driver.hosts:
            self._stop(host)
        driver.left.extendleft(sorted(driver.given, reverse=True))
        for kept in (driver.given, driver.queue, driver.inbox):
            kept.clear()
        driver.works, driver.exhausted = True, math.inf
        again = self._fleet.resume + driver.rows * self._fleet.known
        self._at(self._now + again, self._start_driver, driver)

    # Hosts

    def _start_host(self, host: _Host, life: int) -> None:
        if life != host.life:
            return
        for slot in host.slots:
            self._become(slot, "start")
        self._at(self._now + self._fleet.start, self._serve, host, life)

    def _serve(self, host: _Host, life: int) -> None:
        if life != host.life:
            return
        host.kept = math.inf
        for slot in host.slots:
            self._become(slot, _WAITING)
        host.driver.idle += host.slots
        self._fill(host.driver)
        if math.isfinite(self._fleet.lost_every):
            life_time = self._random.exponential(self._fleet.lost_every)
            self._at(self._now + life_time, self._lose, host, life)

    def _lose(self, host: _Host, life: int) -> None:
        """What ran is tried again, before what waits; too often, and it is a result. If a machine's
        only host is lost again and again without any result, what waits for it is one, too.
        """
        driver = host.driver
        if life != host.life or driver.has_ended:
            return
        self._out.losses += 1
        host.restarts += self._local
        tried = [(model, attempt + 1) for model, attempt in self._stop(host)]
        if host.restarts >= ATTEMPTS:
            tried += driver.queue
            driver.queue.clear()
        for model, attempt in reversed(tried):
            if max(attempt, host.restarts) < ATTEMPTS:
                driver.queue.appendleft((model, attempt))
            else:
                self._tell(driver, model, "crashed")
        self._fill(driver)
        self._at(self._now + self._fleet.restart, self._start_host, host, host.life)

    def _stop(self, host: _Host) -> list[_Task]:
        """End a host and its audits. Returns what it lost."""
        host.life += 1
        lost = []
        for slot in host.slots:
            if slot.task is None:
                if slot.doing == _WAITING:
                    host.driver.idle.remove(slot)
                self._become(slot, "down")
            else:
                lost.append(slot.task)
                self._leave_store(slot)
                self._settle(slot, "down", "lost audits")
        return lost

    # Audits

    def _fill(self, driver: _Driver) -> None:
        while driver.queue and driver.idle:
            slot = driver.idle.popleft()
            self._become(slot, "forking")
            slot.task, slot.deadline = driver.queue.popleft(), self._now + self._fleet.limit
            self._out.audits += 1
            self._at(self._now + self._fleet.fork, self._fetch, slot, slot.audit)

    def _fetch(self, slot: _Slot, audit: int) -> None:
        if audit != slot.audit or slot.task is None:
            return
        model = slot.task[0]
        self._out.began[model] = self._now
        if self._store.unlimited:
            self._open(slot)
            return
        self._become(slot, "download")
        self._store.begin(self._now, (slot.number, audit), self._sizes[model])
        self._fetches.append((slot, audit))
        self._await_deadline()
        self._await_store()

    def _await_deadline(self) -> None:
        """Of the download that began first, for all have the same limit."""
        while self._fetches:
            slot, audit = self._fetches[0]
            if audit == slot.audit and slot.doing == "download":
                if not self._awaits:
                    self._awaits = True
                    self._at(slot.deadline, self._expire_fetch, slot, audit)
                return
            self._fetches.popleft()

    def _expire_fetch(self, slot: _Slot, audit: int) -> None:
        self._awaits = False
        if slot.doing == "download":
            self._expire(slot, audit)
        self._await_deadline()

    def _await_store(self) -> None:
        self._store_turn += 1
        following = self._store.next(self._now)
        if following is not None:
            self._at(following[0], self._fetched, self._store_turn, following[1])

    def _fetched(self, turn: int, one: Download) -> None:
        if turn == self._store_turn:  # else another download has begun or ended since
            slot = self._slots[one[0]]
            self._leave_store(slot)
            self._open(slot)

    def _leave_store(self, slot: _Slot) -> None:
        if slot.doing == "download":
            self._store.end(self._now, (slot.number, slot.audit))
            self._await_store()

    def _open(self, slot: _Slot) -> None:
        if self._now < slot.host.kept and self._fleet.images:
            self._become(slot, "images")
            until = min(self._now + self._fleet.images, slot.deadline)
            self._at(until, self._compute, slot, slot.audit)
        else:
            self._compute(slot, slot.audit)

    def _compute(self, slot: _Slot, audit: int) -> None:
        if audit != slot.audit or slot.task is None:
            return
        self._become(slot, "auditing")
        until = self._now + self._seconds[slot.task[0]]
        if until <= slot.deadline:
            self._at(until, self._end, slot, audit)
        else:
            self._at(max(self._now, slot.deadline), self._expire, slot, audit)

    def _end(self, slot: _Slot, audit: int) -> None:
        if audit == slot.audit:
            slot.host.kept = min(slot.host.kept, self._now + self._fleet.images)
            self._close(slot, "done")

    def _expire(self, slot: _Slot, audit: int) -> None:
        if audit == slot.audit and slot.deadline <= self._now:
            self._leave_store(slot)
            self._close(slot, "timed-out", "timed out")

    def _close(self, slot: _Slot, status: Status, cause: str = "") -> None:
        if slot.task is None:
            return
        model, driver = slot.task[0], slot.host.driver
        self._settle(slot, _WAITING, cause)
        slot.host.restarts = 0
        driver.idle.append(slot)
        self._fill(driver)
        self._tell(driver, model, status)
