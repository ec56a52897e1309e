"""A long life: faults set in, grow, overlap and clear for hours, and a caretaker answers each as it does in service.

One simulated robot in lockstep, so hours pass faster than they last. The caretaker is that of `remend serve`; what a
person would have to approve is approved in the name of `simulated-operator`, which only a simulated robot accepts.
Counted is what a person on the night shift would see: alarms, patches that outlive their faults, records that differ
from the robot, and limits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from controllers.library import find_law
from controllers.runtime import Stage
from core.block import Block
from core.clock import ManualClock
from core.errors import RobotFault
from core.records import Event
from core.robot import Robot
from core.robot_toml import load_robot
from core.stats import count_interval
from core.status import PatchStatus
from patcher.search import choose_proposers
from remend.agency.leash import Leash
from remend.agency.limit import SearchLimit
from remend.agency.policy import AgencyPolicy, Budget, Rules
from remend.bench.figure import Figure
from remend.decision import Decision, approval_of
from remend.keys import KeyRing, simulated_seal_key
from remend.links.simulated import SimulatedLink
from remend.pipeline import Pipeline
from remend.service.caretaker import Caretaker
from remend.service.pulse import Said
from remend.service.pulse_console import PulseConsole
from remend.store import Store
from remend.versions import Versions
from sim.catalogue import robot_file
from sim.policy_toml import shipped_policy
from sim.workers.opening import open_workers

HOUR_S = 3600.0
_ROBOT, _SEED, _LEARN_S, _BUDGET = "arm2", 1, 20.0, 60
_EPISODE_S, _QUIET_S = 1800.0, 480.0  # faults that overlap, then none
_KINDS = ("payload", "friction:joint=1", "friction:joint=2", "actuator_loss:joint=1", "sensor_bias:joint=2")
_START_NS = 1_800_000_000 * 10**9
_STALE_S = 240.0  # after its last fault has gone a patch has this long to go, too
_WRONG_S = 5.0  # records may lag behind the robot by so much
_STORM_S = 600.0
_EFFORT_SLACK = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One fault of the life, in seconds after learning."""

    kind: str
    onset_s: float
    ramp_s: float
    lasts_s: float

    @property
    def end_s(self) -> float:
        return self.onset_s + self.lasts_s

    @property
    def spec(self) -> str:
        """As `--fault` has it."""
        more = f"onset={self.onset_s:.1f},ramp={self.ramp_s:.1f},lasts={self.lasts_s:.1f}"
        return f"{self.kind}{',' if ':' in self.kind else ':'}{more}"


def troubles(hours: float, seed: int, pace: float = 1.0) -> tuple[Trouble, ...]:
    """Faults of a life: in every half hour two or three that overlap, then eight minutes of quiet.

    Args:
        pace: how much faster everything goes.
    """
    rng = np.random.default_rng([seed, 0x11FE])
    found = []
    for episode in range(round(hours * HOUR_S * pace / _EPISODE_S)):
        kinds = rng.permutation(_KINDS)[: int(rng.integers(2, 4))]
        for k, kind in enumerate(kinds):
            onset_s = episode * _EPISODE_S + 60.0 + 240.0 * k + float(rng.uniform(0.0, 120.0))
            latest_s = (episode + 1) * _EPISODE_S - _QUIET_S
            lasts_s = float(rng.uniform(0.6, 1.0)) * (latest_s - onset_s)
            ramp_s = float(rng.choice([0.0, 20.0, 120.0]))
            found.append(Trouble(kind=str(kind), onset_s=onset_s / pace, ramp_s=ramp_s / pace, lasts_s=lasts_s / pace))
    return tuple(found)


@dataclass(slots=True, kw_only=True)
class Diary:
    """What was seen; a viewer of the pipeline, whose telemetry also moves the clock."""

    robot: Robot
    clock: ManualClock
    now_s: float = 0.0  # robot clock
    alarms_s: list[float] = field(default_factory=list)
    broken: int = 0  # ticks with a position, a speed or a command beyond its limit
    ticks: int = 0
    healed: int = 0  # patches that were committed
    reverted: int = 0  # commits that were taken back
    stale_s: float = 0.0
    quiet_s: float = 0.0
    wrong_s: float = 0.0
    said: list[str] = field(default_factory=list)
    died: str = ""

    def show(self, block: Block) -> None:
        """Telemetry as it comes."""
        self.now_s = float(block.t_s[-1])
        self.clock.now_ns = _START_NS + round(self.now_s * 1e9)
        limits = self.robot.limits
        q, qd, tau = (block.group(name) for name in ("q", "qd", "tau_cmd"))
        beyond = (q < limits.lower).any(1) | (q > limits.upper).any(1) | (np.abs(qd) > limits.speed).any(1)
        beyond |= (tau > np.array(limits.effort_high) + _EFFORT_SLACK).any(1)
        beyond |= (tau < np.array(limits.effort_low) - _EFFORT_SLACK).any(1)
        self.broken += int(beyond.sum())
        self.ticks += len(block)

    def score(self, t_s: object, ratio: object) -> None:
        """Not asked for."""

    def event(self, event: Event) -> None:
        """An alarm."""
        self.alarms_s.append(event.alarm_s)

    def hear(self, pulse: object) -> None:
        """What the caretaker says."""
        if isinstance(pulse, Said) and pulse.text:
            self.said.append(f"{self.now_s:8.1f} {pulse.text}")

    @property
    def storm(self) -> int:
        """Most alarms in ten minutes."""
        return max((sum(t <= u < t + _STORM_S for u in self.alarms_s) for t in self.alarms_s), default=0)


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    hours, pace = (0.25, 2.0) if quick else (8.0, 1.0)
    plan = troubles(hours, _SEED, pace)
    yield from figures(live(plan, hours, pace), plan)


def live(plan: Sequence[Trouble], hours: float, pace: float = 1.0) -> Diary:
    """Live through the plan."""
    with tempfile.TemporaryDirectory() as folder, _care(Path(folder), plan) as (caretaker, pipeline, diary):
        caretaker.begin(_LEARN_S)
        asked_s = diary.now_s
        wrong_since_s: float | None = None
        built_in = pipeline.incumbent.sha256
        try:
            while diary.now_s < _LEARN_S + hours * HOUR_S:
                caretaker.turn()
                if diary.now_s < asked_s + 1.0:
                    continue
                since_s, asked_s = diary.now_s - asked_s, diary.now_s
                _approve(pipeline)
                status = pipeline.link.status()
                right = status.stage is not Stage.COMMITTED or _named(pipeline) == {status.active_sha}
                wrong_since_s = None if right else wrong_since_s or asked_s
                if wrong_since_s is not None and asked_s - wrong_since_s > _WRONG_S:
                    diary.wrong_s += since_s
                if _gone_for(plan, asked_s - _LEARN_S, _STALE_S / pace):
                    diary.quiet_s += since_s
                    diary.stale_s += since_s * (status.active_sha != built_in)
        except RobotFault as error:
            diary.died = str(error)
        robot_id = pipeline.link.robot_id
        diary.reverted = len(pipeline.store.in_status(robot_id, PatchStatus.ROLLED_BACK))
        ended = (PatchStatus.ACTIVE, PatchStatus.SUPERSEDED)
        diary.healed = len(pipeline.store.in_status(robot_id, *ended)) + diary.reverted
    return diary


def _gone_for(plan: Sequence[Trouble], now_s: float, seconds: float) -> bool:
    """Whether there was a fault, and for so long there has been none."""
    begun = [each for each in plan if each.onset_s <= now_s]
    return bool(begun) and all(each.end_s + seconds <= now_s for each in begun)


def _named(pipeline: Pipeline) -> set[str]:
    """What the records say that the robot runs: the newest version, and the active patch if there is one."""
    robot_id = pipeline.link.robot_id
    active = {each.candidate.result_sha for each in pipeline.store.in_status(robot_id, PatchStatus.ACTIVE)}
    return active | {pipeline.versions.history(robot_id)[0].artefact_sha}


def _approve(pipeline: Pipeline) -> None:
    """Say yes to whatever has passed, as the person would whom nothing troubles."""
    for patch in pipeline.store.in_status(pipeline.link.robot_id, PatchStatus.AWAITING_APPROVAL):
        if patch.report is not None:
            yes = Decision(approve=True, actor="simulated-operator", reason="passed")
            pipeline.store.decide(approval_of(yes, patch.report, pipeline.clock))


@contextmanager
def _care(folder: Path, plan: Sequence[Trouble]) -> Iterator[tuple[Caretaker, Pipeline, Diary]]:
    toml = robot_file(_ROBOT)
    robot = load_robot(toml)
    clock = ManualClock(_START_NS)
    diary = Diary(robot=robot, clock=clock)
    shipped = shipped_policy()
    policy = replace(shipped, alpha=replace(shipped.alpha, per_day=1.0))  # a day's trouble of a year
    agency = AgencyPolicy(default=Rules(budget=Budget(alpha=1.0, simulations=10**7)))
    incumbent, keys = find_law(robot, robot.controller), KeyRing.open(folder)
    with (
        Store.open(folder, clock, keys) as store,
        open_workers(robot) as workers,
        SimulatedLink(
            robot,
            toml,
            robot_id=f"{_ROBOT}-life",
            baseline=incumbent,
            trust=keys.trust(),
            folder=folder / "robots" / f"{_ROBOT}-life",
            spec="+".join(each.spec for each in plan) or "none",
            seed=_SEED,
            learnt_s=_LEARN_S,
        ) as link,
    ):
        console = PulseConsole(diary.hear)
        leash = Leash(
            policy=agency, robot_id=link.robot_id, simulated=True, store=store, clock=clock,
            alpha_each=policy.alpha.each,
        )  # fmt: skip
        pipeline = Pipeline(
            robot=robot,
            link=link,
            incumbent=incumbent,
            workers=workers,
            store=store,
            versions=Versions.open(folder, clock),
            keys=keys,
            seal_key=simulated_seal_key(_SEED),
            policy=policy,
            clock=clock,
            console=console,
            proposers=choose_proposers("auto"),
            decide=lambda *_: None,
            budget=_BUDGET,
            seed=_SEED,
            view=diary,
            alpha_per_day=1.0,
        )
        limit = SearchLimit(leash=leash, wanted=_BUDGET, llm=pipeline.llm, choose=lambda llm: choose_proposers("auto"))
        caretaker = Caretaker(pipeline, folder, diary.hear, round(HOUR_S * 1e9), leash, limit)
        console.tell(caretaker)
        yield caretaker, pipeline, diary


def figures(diary: Diary, plan: Sequence[Trouble]) -> Iterator[Figure]:
    """What the life came to."""
    lived_s = max(diary.now_s - _LEARN_S, 1.0)
    hours = lived_s / HOUR_S
    changes = sum((each.onset_s <= lived_s) + (each.end_s <= lived_s) for each in plan)
    alarms = len(diary.alarms_s)
    low, high = count_interval(alarms)
    note = f"{diary.healed} patches committed, {diary.reverted} taken back" + (f"; {diary.died}" if diary.died else "")
    yield _figure("hours lived", hours, "h", None, len(plan), note=note)
    yield _figure(
        "alarms per hour",
        alarms / hours,
        "1/h",
        (low / hours, high / hours),
        alarms,
        note=f"{changes} onsets and ends of {len(plan)} faults",
    )
    yield _figure(
        "alarms for one onset or end of a fault",
        alarms / max(changes, 1),
        "1",
        (low / max(changes, 1), high / max(changes, 1)),
        alarms,
        target=2.0,
    )
    yield _figure("most alarms in ten minutes", float(diary.storm), "1", None, alarms, target=10.0)
    stale = "a patch runs four minutes after its last fault has gone"
    yield _figure(
        f"share of the quiet time in which {stale}",
        diary.stale_s / max(diary.quiet_s, 1.0),
        "1",
        None,
        round(diary.quiet_s),
        target=0.0,
    )
    yield _figure(
        "seconds in which the records name another controller than the one that runs",
        diary.wrong_s,
        "s",
        None,
        round(lived_s),
        target=0.0,
    )
    yield _figure(
        "ticks with a position, speed or command beyond its limit",
        float(diary.broken),
        "1",
        count_interval(diary.broken),
        diary.ticks,
        target=0.0,
    )


def _figure(
    figure: str,
    value: float,
    unit: str,
    interval: tuple[float, float] | None,
    n: int,
    target: float | None = None,
    note: str | None = None,
) -> Figure:
    return Figure(
        bench="life", figure=f"{_ROBOT}: {figure}", value=value, unit=unit, interval=interval, n=n, target=target,
        sense="<=", note=note,
    )  # fmt: skip
