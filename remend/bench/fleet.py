"""What a robot costs the service: processor time and memory of what looks after it, over the size of a fleet."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remend.bench.figure import Figure
from remend.bench.living import LivingService, family, let_in
from remend.service.client import Client
from remend.service.robots import RobotEntry, enter
from remend.store import Store
from remend.web.resources import RobotShown

FLAT = 1.25  # cost of a robot of the largest fleet, over that of a single one
_MODEL = "diffdrive"
_SIZES, _QUICK_SIZES = (1, 8, 25, 50, 100), (1, 4)
_ROOM_MB = 600.0  # that a simulated robot with all that looks after it may take
_COUNTED_S = 30.0
_LEARN_S = 30.0
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_KB = 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one robot among `robots`, while all are watched and none is ill."""

    robots: int
    watching_cpu: float  # share of a processor that its caretaker takes
    robot_cpu: float  # the same, for what a real robot would do itself: host and plant
    service_cpu: float  # the same, for pages and records, over all robots
    caretaker_mb: float  # that no other process has a share in, as far as the kernel knows (PSS)
    family_mb: float  # with workers, host and plant
    behind_s: float  # of the robot that is furthest behind
    lost_rows: int  # of all


def fleet(quick: bool) -> Iterator[Figure]:
    """What a robot costs in fleets that grow, as far as memory goes."""
    alone: Cost | None = None
    for robots in _QUICK_SIZES if quick else _SIZES:
        name = f"fleet of {robots} {_MODEL}"
        if robots * _ROOM_MB > (free := _available_mb()):
            why = f"they take about {robots * _ROOM_MB:g} MB with workers and plants; {free:.0f} are free"
            yield _figure(name, None, "1", 0, alone, note=why)
            continue
        found = cost(_MODEL, robots, _COUNTED_S)
        alone = alone or found
        note = (
            f"besides {found.robot_cpu:.2g} for the simulated robot, and {found.service_cpu:.2g} for the service; "
            f"{found.lost_rows} rows lost, {found.behind_s:.2g} s behind"
        )
        yield _figure(f"{name}: processors for a robot's caretaker", found.watching_cpu, "1", robots, alone, note)
        yield Figure(
            bench="service",
            figure=f"{name}: memory of a robot's caretaker",
            value=found.caretaker_mb,
            unit="MB",
            interval=None,
            n=robots,
            peer="fleet of one",
            peer_value=alone.caretaker_mb,
            note=f"{found.family_mb:.0f} MB with its workers and the simulated robot",
        )


def _figure(name: str, value: float | None, unit: str, robots: int, alone: Cost | None, note: str) -> Figure:
    peer = alone.watching_cpu if alone else None
    return Figure(
        bench="service",
        figure=name,
        value=value,
        unit=unit,
        interval=None,
        n=robots,
        target=None if peer is None else FLAT * peer,
        sense="<=",
        peer="fleet of one",
        peer_value=peer,
        note=note,
    )


def _available_mb() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) / _PAGE_KB


def cost(model: str, robots: int, seconds: float) -> Cost:
    """Let a service look after `robots` simulated robots in real time, and count for `seconds`.

    Raises:
        RobotFault: they were not all watched in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        token, _ = let_in(home)
        (home / "remend.toml").write_text(f"[service]\nlearn_s = {_LEARN_S:g}\n")
        with Store.open(home) as store, store.journal("benchmark") as journal:
            for k in range(robots):
                name = f"{model}-{k + 1}"
                enter(journal, RobotEntry(robot_id=name, model=model, link="sim", fault="none", seed=k + 1, at_ns=1))
        with LivingService(home) as service, Client(service.url, token) as client:
            service.wait_for(lambda: all(robot.doing == "watching" for robot in client.robots()), every_s=2.0)
            caretakers = service.caretakers()
            below = [[pid for pid in family(each) if pid != each] for each in caretakers]
            before = _spent(service.pid, caretakers, below)
            began_s = time.monotonic()
            time.sleep(seconds)
            passed_s = time.monotonic() - began_s
            after = _spent(service.pid, caretakers, below)
            shares = [(b - a) / passed_s / robots for a, b in zip(before, after, strict=True)]
            shown: Sequence[RobotShown] = client.robots()
            return Cost(
                robots=robots,
                service_cpu=shares[0] * robots,
                watching_cpu=shares[1],
                robot_cpu=shares[2],
                caretaker_mb=float(np.mean([_memory_mb(pid) for pid in caretakers])),
                family_mb=float(np.mean([sum(map(_memory_mb, family(each))) for each in caretakers])),
                behind_s=max(robot.behind_s or 0.0 for robot in shown),
                lost_rows=sum(robot.lost_rows or 0 for robot in shown),
            )


def _spent(service: int, caretakers: list[int], below: list[list[int]]) -> tuple[float, float, float]:
    """Processor time so far [s]: of the service, of its caretakers, and of what these have started."""
    return (
        _processor_s(service),
        sum(map(_processor_s, caretakers)),
        sum(_processor_s(pid) for pids in below for pid in pids),
    )


def _processor_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S  # user and system, proc(5)


def _memory_mb(pid: int) -> float:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # gone, or of another user
        return 0.0
    return next(float(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / _PAGE_KB
