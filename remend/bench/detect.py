"""How soon, how rightly and how rarely the detector alarms, beside what users would take instead.

Every case is a hidden robot that nobody may look into, a head of one minute, and a fault that sets in at a random
moment of work that the head does not show (`remend.bench.watching`).
"""

from __future__ import annotations

import importlib.util
import math
import multiprocessing
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from core.errors import BadInput
from core.robot_toml import load_robot
from core.stats import count_interval, rate_interval
from remend.bench.figure import Figure, median_interval
from remend.bench.healthy import Kept, Shift, keep_watch
from remend.bench.matched import Series, alarms_s, matched_threshold
from remend.bench.row_cost import costs_us
from remend.bench.watching import OURS, Meeting, Watched, Work, watch
from sim.catalogue import shipped_robots
from sim.faults.catalogue import faults_of

RATE_PER_H = 12.0  # one false alarm in five minutes
DETECTED, PLACE_RIGHT, KIND_RIGHT = 0.95, 0.90, 0.70
REALISED = (0.5, 1.5)  # of the configured rate
DELAYS_S = {
    ("freeze", "sensor_bias", "velocity_bias", "imu_bias", "ripple"): 0.1,
    ("actuator_loss", "thrust_loss", "sensor_scale", "wheel_radius", "sag", "delay", "motor_lag"): 0.7,
    ("friction", "coulomb", "stiction", "dropout"): 1.5,
}
_RUNS = 20  # of every fault, on all robots together
_SEVERITIES = (0.25, 0.5)
_FIRST_SEED = 401
_HEALTHY_S = 300.0
_RATES_PER_H = (6.0, 0.1)
_MEASURED = ("iiwa", "quadrotor", "diffdrive")  # whose realised rate is measured at 6 per hour
_MOST_EVENTS = 6.0  # in 24 h with the default setting
_CHUNK_US, _ROW_US, _RIVER = 5.0, 20.0, 10.0


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark.

    Raises:
        BadInput: river is not installed.
    """
    if importlib.util.find_spec("river") is None:
        raise BadInput(
            "remend bench detect compares with river, which is missing here; run: pip install 'remend[bench]'"
        )
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=context) as pool:
        found = list(pool.map(watch, _cases(3 if quick else _RUNS, quick)))
        met = [meeting for each in found for meeting in each.meetings if meeting.severity == 1.0]
        yield from _detection(met)
        yield from _delays(met)
        yield _share("right place first", [m.place_right for m in met], PLACE_RIGHT)
        yield _share("right kind of change first", [m.kind_right for m in met], KIND_RIGHT)
        yield from _curve([m for each in found for m in each.meetings])
        yield from _peers(found, met)
        hours = 0.1 if quick else 4.0
        shifts = [
            Shift(file=file, seed=_FIRST_SEED + k, hours=min(hours, 1.0), rates_per_h=_RATES_PER_H)
            for k in range(math.ceil(hours))
            for file in shipped_robots().values()
        ]
        yield from _false_alarms([kept for each in pool.map(keep_watch, shifts) for kept in each])
    yield from _cost(3 if quick else 9)


def _cases(runs: int, quick: bool) -> list[Work]:
    """Every fault of the catalogue `runs` times, spread over the robots that can have it; weaker on the first seeds."""
    robots = {name: (file, tuple(faults_of(load_robot(file)))) for name, file in shipped_robots().items()}
    having: dict[str, int] = defaultdict(int)
    for _, faults in robots.values():
        for fault in faults:
            having[fault] += 1
    cases = []
    for k in range(runs):
        for file, faults in robots.values():
            todo = [(fault, 1.0) for fault in faults if k < math.ceil(runs / having[fault])]
            if k < 2 and not quick:
                todo += [(fault, severity) for severity in _SEVERITIES for fault in faults]
            if todo:
                healthy_s = _HEALTHY_S if k < (1 if quick else 4) else 0.0
                cases.append(
                    Work(
                        file=file, seed=_FIRST_SEED + k, faults=tuple(todo), rate_per_h=RATE_PER_H, healthy_s=healthy_s
                    )
                )
    return cases


def _detection(met: Sequence[Meeting]) -> Iterator[Figure]:
    yield _detected("all robots", met, DETECTED)
    for robot in dict.fromkeys(m.robot for m in met):
        yield _detected(robot, [m for m in met if m.robot == robot], None)
    for fault in dict.fromkeys(m.fault for m in met):
        mine = [m for m in met if m.fault == fault]
        robots = sorted({m.robot for m in mine})
        yield _detected(f"{fault} ({robots[0] if len(robots) == 1 else f'{len(robots)} robots'})", mine, None)


def _detected(whose: str, met: Sequence[Meeting], target: float | None) -> Figure:
    """Share with an own alarm within ten seconds of the onset, at the configured rate."""
    hits = sum(m.alarm_s is not None for m in met)
    early = sum(m.early > 0 for m in met)
    median_s = float(np.median([m.delay_s for m in met]))
    delay = f"median delay {median_s:.3g} s" if math.isfinite(median_s) else "more than half are missed"
    words = f"{whose}: detected at one false alarm in 5 min"
    note = f"{delay}; alarms before the onset in {early} runs" if early else delay
    return Figure.share("detect", words, hits, len(met), target, note)


def _delays(met: Sequence[Meeting]) -> Iterator[Figure]:
    """Median over all runs; one without an alarm counts as infinitely late."""
    for faults, target_s in DELAYS_S.items():
        for fault in faults:
            delays = [min(m.delay_s, 1e9) for m in met if m.fault == fault]
            if not delays:
                continue
            value, interval = median_interval(delays)
            late = value >= 1e9
            yield Figure(
                bench="detect",
                figure=f"{fault}: delay",
                value=None if late else value,
                unit="s",
                interval=None if late or interval[1] >= 1e9 else interval,
                n=len(delays),
                target=target_s,
                sense="<=",
                note="more than half of the runs are missed" if late else None,
            )


def _share(words: str, answers: Iterable[bool | None], target: float) -> Figure:
    """Among the runs that were detected and where the question has an answer."""
    known = [answer for answer in answers if answer is not None]
    return Figure.share("detect", f"all robots: {words}", sum(known), len(known), target)


def _curve(met: Sequence[Meeting]) -> Iterator[Figure]:
    """Detection over severity."""
    for severity in sorted({m.severity for m in met} - {1.0}):
        mine = [m for m in met if m.severity == severity]
        hits = sum(m.alarm_s is not None for m in mine)
        yield Figure.share("detect", f"all robots: detected at {severity:g} of the usual severity", hits, len(mine))


def _peers(found: Sequence[Watched], met: Sequence[Meeting]) -> Iterator[Figure]:
    """Every detector at the threshold at which it alarms once in five minutes of healthy work of that robot."""
    delays_s: dict[str, list[float]] = defaultdict(list)
    for robot in dict.fromkeys(m.robot for m in met):
        healthy = [each.healthy for each in found if each.robot == robot and each.healthy]
        for name in healthy[0]:
            series = [each[name] for each in healthy]
            threshold = matched_threshold(series, _hours(series) * RATE_PER_H)
            delays_s[name] += [_delay_s(m, name, threshold) for m in met if m.robot == robot]
    ours = delays_s.pop(OURS)
    for name, theirs in delays_s.items():
        hits = sum(map(math.isfinite, ours))
        yield Figure(
            bench="detect",
            figure=f"all robots: detected at the same rate of false alarms, beside {name}",
            value=hits / len(ours),
            unit="1",
            interval=rate_interval(hits, len(ours)),
            n=len(ours),
            peer=name,
            peer_value=sum(map(math.isfinite, theirs)) / len(theirs),
            note=f"{name}: {np.mean(np.isfinite(theirs)):.2f}; median delay {_words(ours)}, {name}: {_words(theirs)}",
        )


def _words(delays_s: Sequence[float]) -> str:
    median_s = float(np.median(delays_s))
    return f"{median_s:.2g} s" if math.isfinite(median_s) else "none"


def _hours(series: Sequence[Series]) -> float:
    return sum(float(t_s[-1] - t_s[0]) for t_s, _ in series) / 3600.0


def _delay_s(meeting: Meeting, name: str, threshold: float) -> float:
    after = [time_s for time_s in alarms_s(meeting.scores[name], threshold) if time_s >= meeting.onset_s]
    return after[0] - meeting.onset_s if after else math.inf


def _false_alarms(kept: Sequence[Kept]) -> Iterator[Figure]:
    """Alarms of healthy robots at work that the head does not show."""
    often = [each for each in kept if each.rate_per_h == _RATES_PER_H[0] and each.robot in _MEASURED]
    count, expected = sum(len(each.alarms) for each in often), sum(each.hours for each in often) * _RATES_PER_H[0]
    low, high = count_interval(count)
    for target, sense in zip(REALISED, (">=", "<="), strict=True):
        yield Figure(
            bench="detect",
            figure=f"{', '.join(_MEASURED)}: false alarms over those admitted at 6 per hour, "
            f"{'at least' if sense == '>=' else 'at most'}",
            value=count / expected,
            unit="1",
            interval=(low / expected, high / expected),
            n=count,
            target=target,
            sense=sense,
            note=f"{count} alarms in {expected / _RATES_PER_H[0]:.1f} h",
        )
    rare = [each for each in kept if each.rate_per_h == _RATES_PER_H[1]]
    count, hours = sum(len(each.alarms) for each in rare), sum(each.hours for each in rare)
    yield Figure(
        bench="detect",
        figure="all robots: events of healthy robots in 24 h, default setting",
        value=count * 24.0 / hours,
        unit="1",
        interval=None,
        n=count,
        target=_MOST_EVENTS,
        sense="<=",
        note=f"{count} in {hours:.1f} h: {', '.join(alarm for each in rare for alarm in each.alarms) or 'none'}",
    )


def _cost(rounds: int) -> Iterator[Figure]:
    found = costs_us(rounds)
    river, _ = median_interval(found["river"])
    for name, target_us in (("chunks", _CHUNK_US), ("row by row", _ROW_US)):
        value, interval = median_interval(found[name])
        yield Figure(
            bench="detect",
            figure=f"CPU time of a row of 24 channels, {name}",
            value=value,
            unit="us",
            interval=interval,
            n=rounds,
            target=target_us,
            sense="<=",
            peer="river HalfSpaceTrees",
            peer_value=river,
        )
    value, interval = median_interval([r / c for r, c in zip(found["river"], found["chunks"], strict=True)])
    yield Figure(
        bench="detect",
        figure="river HalfSpaceTrees, CPU time of a row over ours in chunks",
        value=value,
        unit="1",
        interval=interval,
        n=rounds,
        target=_RIVER,
    )
