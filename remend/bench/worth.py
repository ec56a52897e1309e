"""Incidents, and candidates of which it is known what they are worth: nothing, or a tenth of the tracking error.

A twin is fitted to telemetry of a hidden robot with a fault, as after an incident. What a candidate is worth "in truth"
is its mean change over scenarios of that twin which nobody else meets.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.controller import Controller
from controllers.library import find_law
from core.ids import sha256_of
from core.records import Candidate, Seal
from core.robot import Robot
from patcher.propose.base import Proposal, Situation
from patcher.score import score
from remend.console import Console
from remend.keys import simulated_seal_key
from remend.validation import twin_of_fault
from sim.catalogue import find_robot
from sim.evidence import draw_scenarios
from sim.policy import Policy
from sim.policy_toml import shipped_policy
from sim.sealing import signed
from sim.twin.twin import Twin
from sim.visited import Stretch, stretch
from sim.workers.base import Workers

Remedy = Callable[[float, Robot], dict[str, float | list[float]]]  # share of it -> parameters
_TRUTH_SEED, _TRUTH = 0x7070, 24  # scenarios that say what a candidate is worth
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)  # of the remedy, at which that is looked at
_JITTER = 0.015  # of gains, to find lucky ones
NULL = 0.02  # share of the tracking error that is not worth a swap: well below the margin of the policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fault, and the parameters that answer it."""

    robot: str
    fault: str
    remedy: Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """An incident, explained."""

    case: Case
    seed: int
    twin: Twin
    incumbent: Artefact
    fidelity: float
    incident: Stretch

    @property
    def name(self) -> str:
        return f"{self.case.robot} {self.case.fault} {self.seed}"

    def situation(self, budget: int) -> Situation:
        return Situation(incident_id=self.name, twin=self.twin, incumbent=self.incumbent, budget=budget, seed=self.seed)

    def seal(self, candidate: Artefact, number: int, policy: Policy) -> Seal:
        """A seal like that of incident `number`."""
        seal = Seal(
            patch_id="",
            incident_id=self.name,
            robot_id=self.case.robot,
            telemetry_sha=sha256_of([self.name, number]),
            base_sha=self.incumbent.sha256,
            result_sha=candidate.sha256,
            policy_sha=policy.sha256,
            attempt=1,
            alpha=policy.alpha.each,
            at_ns=0,
            public_key="",
            signature="",
        )
        return signed(seal, simulated_seal_key(self.seed))


def _on_joint(name: str, joint: int, base: float, full: float) -> Remedy:
    """A remedy that is one entry of a vector parameter."""

    def remedy(share: float, robot: Robot) -> dict[str, float | list[float]]:
        values = [base] * len(robot.actuators)
        values[joint - 1] = base + share * (full - base)
        return {name: values}

    return remedy


CASES = (
    Case(robot="arm2", fault="payload:mass=0.3", remedy=lambda share, _: {"mass": share * 0.3}),
    Case(robot="iiwa", fault="payload:mass=3", remedy=lambda share, _: {"mass": share * 3.0}),
    Case(robot="iiwa", fault="sensor_bias:joint=4,rad=0.03", remedy=_on_joint("encoder_offset", 4, 0.0, 0.03)),
    Case(robot="iiwa", fault="actuator_loss:joint=2,gain=0.7", remedy=_on_joint("gain", 2, 1.0, 0.7)),
    Case(robot="arm2", fault="actuator_loss:joint=1,gain=0.7", remedy=_on_joint("gain", 1, 1.0, 0.7)),
    Case(
        robot="diffdrive", fault="wheel_radius:wheel=1,share=-0.05", remedy=_on_joint("wheel_radius", 1, 0.0975, 0.0926)
    ),
)


def ground(case: Case, seed: int) -> Ground:
    """The incident of a hidden robot with this fault."""
    robot = find_robot(case.robot)
    incumbent = find_law(robot, robot.controller)
    twin, faulty, repeated = twin_of_fault(
        robot, incumbent, case.fault, seed, shipped_policy().twin.fidelity, Console(file=io.StringIO())
    )
    return Ground(
        case=case,
        seed=seed,
        twin=twin,
        incumbent=incumbent,
        fidelity=repeated,
        incident=stretch(robot, faulty),
    )


def proposal(where: Ground, artefact: Artefact) -> Proposal:
    """The artefact as a candidate."""
    candidate = Candidate(
        id=f"pat_{artefact.sha256[:12]}",
        incident_id=where.name,
        kind="code",
        proposer="bench",
        base_sha=where.incumbent.sha256,
        result_sha=artefact.sha256,
        changes=(),
        rationale="",
        search_rollouts=0,
    )
    return Proposal(candidate=candidate, artefact=artefact)


def harmless(where: Ground, number: int) -> Artefact:
    """The incumbent with a change that does nothing: another comment, or gains off by less than a thousandth."""
    files = where.incumbent.files
    if number % 2:
        return artefact_from_files(where.incumbent.name, {**files, "law.py": files["law.py"] + b"# %d\n" % number})
    return _jittered(where, np.random.default_rng([where.seed, number]), 1e-3)


def overfitted(where: Ground, workers: Workers, seed: int, tried: int, scenarios: int, kept: int) -> list[Artefact]:
    """The luckiest of many: gains off by a few percent, chosen on the very scenarios that they will race on."""
    rng = np.random.default_rng([where.seed, seed % 2**31])
    laws = [_jittered(where, rng, _JITTER) for _ in range(tried)]
    drawn = draw_scenarios(where.twin, scenarios, seed)
    before = workers.judge([(where.incumbent, scenario) for scenario in drawn])
    after = iter(workers.judge([(law, scenario) for law in laws for scenario in drawn]))
    scores = [float(np.mean([score(next(after), reference) for reference in before])) for _ in laws]
    best = [laws[k] for k in np.argsort(scores)[: 2 * kept]]
    return [law for law in best if change_in_truth(where, workers, [law])[0] > -NULL][:kept]


def better(where: Ground, workers: Workers, share: float) -> Artefact | None:
    """So much of the remedy that the tracking error is less by `share` in truth; None if no part of it does that."""
    robot = where.twin.robot
    laws = [with_params(where.incumbent, where.case.remedy(part, robot)) for part in _SHARES]
    changes = [0.0, *change_in_truth(where, workers, laws)]
    wanted = float(np.log(1.0 - share))
    if min(changes) > wanted:
        return None
    end = int(np.argmax(np.array(changes) <= wanted))
    parts = (0.0, *_SHARES)
    part = float(np.interp(wanted, (changes[end], changes[end - 1]), (parts[end], parts[end - 1])))
    return with_params(where.incumbent, where.case.remedy(part, robot))


def change_in_truth(where: Ground, workers: Workers, laws: Sequence[Artefact]) -> list[float]:
    """Of each law, the mean logarithm of the ratio of its tracking error to the incumbent's."""
    drawn = draw_scenarios(where.twin, _TRUTH, _TRUTH_SEED)
    errors = [
        np.log([j.metrics["rms_tracking_error"] for j in workers.judge([(law, scenario) for scenario in drawn])])
        for law in (where.incumbent, *laws)
    ]
    return [float(np.mean(error - errors[0])) for error in errors[1:]]


def _jittered(where: Ground, rng: np.random.Generator, spread: float) -> Artefact:
    """The incumbent with all gains off by a few times `spread` at most."""
    params = Controller.from_artefact(where.incumbent, where.twin.robot.ports).params
    gains = {name: value for name, value in params.items() if name.startswith("k")}
    return with_params(
        where.incumbent,
        {
            name: [v * float(np.exp(spread * rng.standard_normal())) for v in value]
            if isinstance(value, list)
            else value * float(np.exp(spread * rng.standard_normal()))
            for name, value in gains.items()
        },
    )
