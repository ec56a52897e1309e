"""Drills: candidates known to be bad, or to lie, go the way of the one that has just passed, and must not pass.

A gate that lets everything through looks like one that had only good candidates. So whenever a candidate passes, a law
with half the commands of the incumbent meets a few of the same sealed scenarios, and claims that flatter and claims of
other commands are put up for confirmation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from controllers.artefact import Artefact, artefact_from_files
from core.records import ValidationReport
from core.robot import Robot
from core.status import Verdict
from sim.evidence import draw_scenarios
from sim.gates.answer import overall
from sim.gates.drill import NAME, Drill, drilled
from sim.gather import run_sealed
from sim.policy import Policy
from sim.twin.twin import Twin
from sim.validate import sealed_gates
from sim.workers.answer import Rolled
from sim.workers.base import Workers
from sim.workers.confirm import confirm

_FLATTERED = 0.5  # of its tracking error is left in a claim that lies
_WEAK = 0.5  # of the incumbent's commands


def after_drill(
    workers: Workers, report: ValidationReport, twin: Twin, incumbent: Artefact, policy: Policy
) -> ValidationReport:
    """A report that passes, with the answer of a drill; held if the drill fails. Any other report as it is."""
    if report.verdict is not Verdict.PASS or any(gate.name == NAME for gate in report.gates):
        return report
    gate = drilled(drill(workers, twin, incumbent, policy, report.seed))
    return replace(report, gates=(*report.gates, gate), verdict=overall((report.verdict, gate.verdict)))


def drill(workers: Workers, twin: Twin, incumbent: Artefact, policy: Policy, seed: int) -> tuple[Drill, ...]:
    """Put known bad and known lying candidates before the gates.

    Args:
        seed: of the sealed scenarios of the candidate that has passed.
    """
    pairs = run_sealed(workers, twin, incumbent, weakened(incumbent, twin.robot), policy, seed)
    verdict = overall(gate.verdict for gate in sealed_gates(twin.robot, pairs, policy))
    weak = Drill(name="half the commands", refused=verdict is not Verdict.PASS)
    (scenario,) = draw_scenarios(twin, 1, seed)
    (honest,) = workers.roll([(incumbent, scenario)])
    lies = dict(_lies(honest))
    return weak, *(
        Drill(name=name, refused=bool(confirm(workers, incumbent, [(scenario, lies[name])]))) for name in lies
    )


def weakened(law: Artefact, robot: Robot) -> Artefact:
    """The same law, with half of each command."""
    tree = ast.parse(law.files["law.py"])
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    name = robot.command_name
    halved = "\n".join(f"{name}[{k}] = {_WEAK} * {name}[{k}]" for k in range(len(robot.actuators)))
    function.body += ast.parse(halved).body
    return artefact_from_files("weakened", {**law.files, "law.py": ast.unparse(tree).encode()})


def _lies(honest: Rolled) -> Iterator[tuple[str, Rolled]]:
    metrics = dict(honest.judgement.metrics)
    metrics["rms_tracking_error"] *= _FLATTERED
    yield "figures that flatter", replace(honest, judgement=replace(honest.judgement, metrics=metrics))
    yield "commands that the law did not give", replace(honest, command=np.nextafter(honest.command, np.inf))
