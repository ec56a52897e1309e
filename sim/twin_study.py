"""How well the twin explains robots that nobody may look into: faults of known size, seeds, and what was found.

Each run records one hidden robot at work, lets a fault set in at a random moment, and fits a twin to the telemetry
right after it. Only here the truth is known; nothing in the twin can see it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from core.block import Block
from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect
from sim.faults.catalogue import CATALOGUE
from sim.faults.course import Fault, FaultCourse
from sim.faults.notation import full_effect, parse_faults
from sim.twin.kinds import twin_kind_of
from sim.twin.parts import Corrections
from sim.twin.twin import RankedCause, Twin, fit_twin
from sim.workday import work

HEAD_S = 40.0  # healthy telemetry that each robot is learnt from
WINDOW_S = 2.0  # telemetry under the fault that the twin is fitted to
_BEFORE_S = 3.0  # telemetry from before the onset
_SETTLED_S = 0.2  # from onset to the beginning of the window: an alarm takes its time
_SEGMENT_S = 4.0  # of the working day
_TINY = 1e-6
_ROOM = 64  # entries that a field of an effect may have
_DAY = 1000  # the fault comes on another day than the head was recorded on


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """One unknown of a fault: truth, estimate and 90 % interval."""

    name: str  # parameter of the catalogue; with two faults "fault.parameter"
    truth: float
    estimate: float
    low: float
    high: float

    @property
    def error(self) -> float:
        return self.estimate - self.truth

    @property
    def covered(self) -> bool:
        return self.low <= self.truth <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One hidden robot with one fault, or pair of faults, and what its twin said."""

    spec: str
    seed: int
    lost: bool  # the robot went out of control before there was a window to fit
    first: str = ""  # label of the most probable cause
    named: bool = False  # fault and place of the first cause are the true ones
    rank: int | None = None  # of the true cause among all, from 0; None if the twin did not consider it
    probability: float = 0.0  # of the true cause
    estimates: tuple[Estimated, ...] = ()  # of the true cause, whatever its rank
    unseen: str = ""  # why the twin says that it cannot measure the true cause, if it says so
    cpu_s: float = 0.0  # of the fit, calibration known


@dataclass(slots=True)
class Study:
    """Hidden robots of one kind, each learnt once.

    Args:
        robot: as its data sheet says.
    """

    robot: Robot
    _learnt: dict[int, tuple[Block, Corrections]] = field(default_factory=dict)

    def learn(self, seed: int) -> tuple[Block, Corrections]:
        """Healthy telemetry of the hidden robot `seed`, and its calibration."""
        if seed not in self._learnt:
            head = self.record(seed, seed, HEAD_S, FaultCourse())
            self._learnt[seed] = head, twin_kind_of(self.robot).calibrate(self.robot, head)
        return self._learnt[seed]

    def record(self, seed: int, day: int, seconds: float, course: FaultCourse) -> Block:
        """Telemetry of the hidden robot `seed` at the work of `day`; it ends early if the simulation diverges."""
        return work(self.robot, seconds, hidden=seed, day=day, course=course, segment_s=_SEGMENT_S)

    def run(self, spec: str, seed: int, window_s: float = WINDOW_S) -> Run:
        """One fault on the hidden robot `seed`."""
        head, calibration = self.learn(seed)
        faults = parse_faults(spec, self.robot)
        onset_s = _BEFORE_S + float(np.random.default_rng([seed, 0x0525]).uniform(0.0, 4.0))
        start_s, end_s = onset_s + _SETTLED_S, onset_s + _SETTLED_S + window_s
        course = FaultCourse(faults=faults, onset_s=onset_s)
        block = self.record(seed, _DAY + seed, end_s, course)
        after, around = block.between(start_s, end_s), block.between(onset_s - _BEFORE_S, start_s)
        if len(after) < round(0.9 * window_s * self.robot.control_rate_hz):
            return Run(spec=spec, seed=seed, lost=True)
        began_s = time.process_time()
        twin = fit_twin(self.robot, head, after, calibration, around)
        cpu_s = time.process_time() - began_s
        rank, true = _find(twin, faults)
        return Run(
            spec=spec,
            seed=seed,
            lost=False,
            first=twin.causes[0].label,
            named=rank == 0,
            rank=rank,
            probability=0.0 if true is None else true.probability,
            estimates=_estimates(true, full_effect(spec, self.robot)) if true is not None and len(true.theta) else (),
            unseen="" if true is None else true.unseen,
            cpu_s=cpu_s,
        )

    def runs(self, specs: Sequence[str], seeds: Sequence[int], window_s: float = WINDOW_S) -> Iterator[Run]:
        """Every fault on every hidden robot, robot by robot."""
        for seed in seeds:
            for spec in specs:
                yield self.run(spec, seed, window_s)


def _find(twin: Twin, faults: Sequence[Fault]) -> tuple[int | None, RankedCause | None]:
    """Rank and hypothesis of exactly these faults in these places."""
    wanted = sorted(_label(fault) for fault in faults) or ["none"]
    for rank, cause in enumerate(twin.causes):
        if sorted(cause.label.split(" and ")) == wanted:
            return rank, cause
    return None, None


def _label(fault: Fault) -> str:
    words = fault.kind.replace("_", " ")
    return f"{words} {CATALOGUE[fault.kind].key} {fault.places[0] + 1}" if len(fault.places) == 1 else words


def _estimates(cause: RankedCause, effect: Effect) -> tuple[Estimated, ...]:
    """Truth against estimate for every unknown of the true cause."""
    truth = cause.describe(_true_theta(cause, effect))
    found = cause.describe(cause.theta)
    return tuple(
        Estimated(name=name, truth=truth[name], estimate=found[name], low=low, high=high)
        for name, (low, high) in cause.interval().items()
    )


def _true_theta(cause: RankedCause, effect: Effect) -> Array:
    """(k,) unknowns of `cause` that stand for `effect`; effects are proportional to their unknowns.

    A fault without unknowns beside one with some, such as a frozen reading, is the same for all.
    """
    columns, fixed = [], _flat(cause.effect(np.zeros(len(cause.theta))))
    for step in _TINY * np.eye(len(cause.theta)):
        up, down = _flat(cause.effect(step)) - fixed, _flat(cause.effect(-step)) - fixed
        columns.append((up if np.any(up) else -down) / _TINY)  # one of the two may be out of range
    return np.asarray(np.linalg.lstsq(np.array(columns).T, _flat(effect) - fixed, rcond=None)[0])


def _flat(effect: Effect) -> Array:
    """All fields of an effect in one vector."""
    parts = []
    for spec in fields(effect):
        value, room = getattr(effect, spec.name), np.zeros(_ROOM)
        numbers = np.atleast_1d(np.array(value, dtype=float))
        room[: len(numbers)] = numbers
        parts.append(room)
    return np.concatenate(parts)
