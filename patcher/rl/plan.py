"""What a training is asked: everything that decides its bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

from controllers.artefact import Artefact
from core.errors import BadInput
from core.ids import sha256_of
from core.robot import Robot
from sim.evidence import draw_scenarios
from sim.scenario import Scenario
from sim.twin.twin import Twin

ALGORITHMS = ("ppo", "sac", "tqc")
ENVIRONMENTS = 8  # beside each other in one process
_MANY = 400  # rollouts
_ADDED_DELAY_S = 0.004  # as the search of parameters has it
_GAINS = (0.85, 1.15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Settings of one training; measured on arm2 and cartpole where nothing else is said."""

    algorithm: str = "ppo"
    hidden: tuple[int, ...] = (32, 32)
    hold_s: float = 0.02  # between two answers of the policy
    pace_s: float = 0.02  # time constant with which the residual follows them
    authority: float = 1.5  # times what the fault makes the law command more or less than on the healthy robot
    learning_rate: float = 1e-3
    discount: float = 0.9
    spread: float = 0.3  # of the first actions, in shares of the authority
    rollouts: int = 600  # simulated, checks included; a rollout is as long as those of the evidence
    scenarios: int = 48  # to practise in, a whole multiple of the environments
    check_scenarios: int = 8  # that choose among checkpoints; no episode is played in them
    checks: int = 8  # times that the policy is held against the law under it
    curriculum: bool = True  # small severities first
    curation: bool = True  # scenarios in which the law under it loses most come more often
    seed: int = 1

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise BadInput(f"there is no algorithm '{self.algorithm}'; use one of {', '.join(ALGORITHMS)}")


def plan_for(rollouts: int) -> Plan:
    """A plan that spends about so many rollouts: fewer scenarios and looks where there are few."""
    if rollouts < _MANY:
        return Plan(rollouts=rollouts, scenarios=24, check_scenarios=6, checks=5)
    return Plan(rollouts=rollouts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Scenarios with the share of the diagnosed fault that each has."""

    scenarios: tuple[Scenario, ...]
    severities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training: a law to add to, robots of the twin to practise with, and a plan."""

    robot: Robot
    base: Artefact
    pool: Pool
    checks: tuple[Scenario, ...]
    healthy: tuple[Scenario, ...]  # the same as the checks, without the fault
    plan: Plan

    @property
    def sha256(self) -> str:
        """Hex sha256 of everything that decides the result."""
        robot = self.robot
        about = {f.name: getattr(robot, f.name) for f in fields(robot) if f.name not in ("folder", "urdf")}
        told = [
            about,
            robot.urdf.read_bytes().hex(),
            self.base.sha256,
            self.pool,
            self.checks,
            self.healthy,
            asdict(self.plan),
        ]
        return sha256_of(told)

    @property
    def run_ticks(self) -> int:
        """Ticks of one rollout."""
        return round(self.robot.tasks.run_s * self.robot.control_rate_hz)


def make_training(twin: Twin, base: Artefact, plan: Plan, seed: int) -> Training:
    """A training with scenarios from the posterior of the twin.

    Most have the diagnosed fault as it is; the others have less of it or none, a later command, or another loop gain,
    as the gates will ask.
    """
    severities = _severities(plan.scenarios)
    drawn: list[Scenario] = []
    for k, severity in enumerate(severities):
        turn = _turn(k)
        added = _ADDED_DELAY_S if turn == 3 else 0.0
        gain = _GAINS[k % 2] if turn == 5 else 1.0
        (scenario,) = draw_scenarios(
            twin, 1, seed + 7919 * (k + 1), severity=severity, added_delay_s=added, loop_gain=gain
        )
        drawn.append(_of_kind(scenario, twin.robot.tasks.kinds, k))
    pool = Pool(scenarios=tuple(drawn), severities=tuple(severities))
    checks = tuple(draw_scenarios(twin, plan.check_scenarios, seed + 5))
    healthy = tuple(draw_scenarios(twin, plan.check_scenarios, seed + 5, severity=0.0))
    return Training(robot=twin.robot, base=base, pool=pool, checks=checks, healthy=healthy, plan=plan)


def _severities(count: int) -> list[float]:
    """Two thirds as diagnosed; every eighth healthy, the others between."""
    between = (0.25, 0.5, 0.75)
    turns = [_turn(k) for k in range(count)]
    return [0.0 if turn == 0 else between[k // 8 % 3] if turn in (2, 6) else 1.0 for k, turn in enumerate(turns)]


def _turn(k: int) -> int:
    """0 to 7, another one in each round, so that every environment gets some of each."""
    return (k + k // ENVIRONMENTS) % 8


def _of_kind(scenario: Scenario, kinds: Sequence[str], k: int) -> Scenario:
    """Every kind of task in turn; a single draw always has the first."""
    return replace(scenario, task_kind=kinds[(k + k // len(kinds)) % len(kinds)])
