"""Full evidence for any controller folder: what `remend validate` runs.

A simulated robot that nobody may look into has the fault. A twin is fitted to its telemetry, as after an incident, and
the controller meets the robot's own one in the twin's scenarios, before the gates of the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controllers.artefact import Artefact, load_artefact
from controllers.controller import Controller
from controllers.library import find_law
from core.block import Block
from core.errors import BadInput
from core.ids import plain
from core.records import Diagnosis, ValidationReport
from core.robot import Robot
from patcher.diagnose import diagnose
from remend.console import Console
from sim.catalogue import find_robot
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.policy import Policy
from sim.policy_toml import SHIPPED, load_policy
from sim.twin.fidelity import fidelity
from sim.twin.kinds import twin_kind_of
from sim.twin.twin import Twin, fit_twin
from sim.validate import validate
from sim.visited import stretch
from sim.workday import work
from sim.workers.opening import open_workers
from sim.workers.settings import WorkerSettings
from telemetry.incidents import PRE_S

_HEAD_S = 60.0  # healthy telemetry
_SETTLED_S = 0.2  # the moment of the change belongs to neither side
_FAULTY_S = 3.0
_LOOKS = 4  # times that telemetry is taken, the last one if the twin repeats none of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A controller beside the one of its robot."""

    robot: str
    fault: str
    seed: int
    law: str
    diagnosis: Diagnosis
    report: ValidationReport

    def to_json(self) -> dict[str, Any]:
        """The object of `validate --json`."""
        report = self.report
        answer = {
            "robot": self.robot,
            "fault": self.fault,
            "seed": self.seed,
            "law": self.law,
            "base_sha": report.base_sha,
            "result_sha": report.result_sha,
            "diagnosis": plain(self.diagnosis.causes),
            "fidelity": report.fidelity,
            "metrics": {delta.metric: plain(delta) for delta in report.deltas},
            "gates": plain(report.gates),
            "verdict": report.verdict.value,
            "needs_revert_trigger": report.needs_revert_trigger,
            "rollouts": report.rollouts,
            "policy_sha": report.policy_sha,
        }
        return plain(answer)  # type: ignore[no-any-return]


def validate_folder(
    folder: Path,
    robot_name: str,
    fault: str,
    seed: int,
    console: Console,
    policy_file: Path | None = None,
    settings: WorkerSettings | None = None,
) -> Validation:
    """Gather evidence for the controller in `folder` against the one that `robot_name` has.

    Args:
        fault: in the notation, without `onset`; `none` compares the two on the healthy robot.
        seed: which of the hidden robots has it.
        policy_file: by default the one that Remend ships.
        settings: of the workers.

    Raises:
        BadInput: there is no such robot, fault or controller, or they do not fit each other.
    """
    robot, policy = find_robot(robot_name), load_policy(policy_file or SHIPPED)
    if "onset=" in fault:
        raise BadInput("--fault: here a fault is there from the first moment; leave onset= out")
    parse_faults(fault, robot)
    incumbent, candidate = find_law(robot, robot.controller), load_artefact(folder)
    Controller.from_artefact(candidate, robot.ports)
    if candidate.sha256 == incumbent.sha256:
        raise BadInput(f"{folder}: this is the controller that {robot.name} has; there is nothing to compare")
    twin, faulty, repeated = twin_of_fault(robot, incumbent, fault, seed, policy.twin.fidelity, console)
    diagnosis = diagnose(f"{robot.name} {fault}", twin, repeated)
    console.show_diagnosis(diagnosis)
    report = _report(twin, incumbent, candidate, faulty, repeated, policy, console, settings)
    console.show_report(report)
    return Validation(robot=robot.name, fault=fault, seed=seed, law=str(folder), diagnosis=diagnosis, report=report)


def twin_of_fault(
    robot: Robot, incumbent: Artefact, fault: str, seed: int, enough: float, console: Console
) -> tuple[Twin, Block, float]:
    """The twin of a robot with the fault, the telemetry under it, and how well the twin repeats it.

    Args:
        enough: how well it has to; otherwise it is fitted to later telemetry, as after an incident.
    """
    with console.stage(f"recording {robot.name} with {fault}") as stage:
        start_s = _HEAD_S + _SETTLED_S
        end_s = start_s + _LOOKS * _FAULTY_S
        course = FaultCourse(faults=parse_faults(fault, robot), onset_s=_HEAD_S)
        day = work(robot, end_s, hidden=seed, day=seed, course=course)
        if len(day.between(start_s, end_s)) < robot.control_rate_hz:
            raise BadInput(f"{fault}: {robot.name} is lost within a second of it; there is nothing left to control")
        stage.finish(f"{end_s:g} s")
    with console.stage("fitting the twin") as stage:
        head = day.between(0.0, _HEAD_S)
        calibration = twin_kind_of(robot).calibrate(robot, head)
        for look in range(_LOOKS):
            faulty = day.between(start_s + look * _FAULTY_S, start_s + (look + 1) * _FAULTY_S)
            if look and len(faulty) < robot.control_rate_hz:  # it has been lost meanwhile
                break
            around = day.between(faulty.t_s[0] - PRE_S, faulty.t_s[0])
            twin = fit_twin(robot, head, faulty, calibration, around)
            found = twin, faulty, fidelity(twin, incumbent, faulty, around)
            if found[2] >= enough:
                break
        stage.finish(f"fidelity {found[2]:.2f}")
    return found


def _report(
    twin: Twin,
    incumbent: Artefact,
    candidate: Artefact,
    faulty: Block,
    repeated: float,
    policy: Policy,
    console: Console,
    settings: WorkerSettings | None,
) -> ValidationReport:
    with console.stage("gathering evidence") as stage, open_workers(twin.robot, settings) as workers:
        report = validate(
            workers,
            twin,
            incumbent=incumbent,
            candidate=candidate,
            fidelity=repeated,
            policy=policy,
            incident=stretch(twin.robot, faulty),
        )
        stage.finish(f"{report.verdict.value} after {report.rollouts} rollouts")
    return report
