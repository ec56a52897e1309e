"""Drills: candidates known to be bad, or to lie, go the way of the one that has just passed, and must not pass.

A gate that lets everything through looks like one that had only good candidates. So whenever a candidate passes, a law
with half the commands of the incumbent meets a few of the same sealed scenarios, and runs with other commands than the
law's are put up for confirmation: some that differ in the last bit, and some that are its answers to another run.
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
    scenarios = draw_scenarios(twin, 2, seed)
    honest = workers.roll([(incumbent, scenario) for scenario in scenarios], lockstep=incumbent)
    return weak, *(
        Drill(name=name, refused=bool(confirm(workers, incumbent, [(scenarios[0], lie)])))
        for name, lie in _lies(*honest)
    )


def weakened(law: Artefact, robot: Robot) -> Artefact:
    """The same law, with half of each command."""
    tree = ast.parse(law.files["law.py"])
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    name = robot.command_name
    halved = "\n".join(f"{name}[{k}] = {_WEAK} * {name}[{k}]" for k in range(len(robot.actuators)))
    function.body += ast.parse(halved).body
    return artefact_from_files("weakened", {**law.files, "law.py": ast.unparse(tree).encode()})


def _lies(honest: Rolled, other: Rolled) -> Iterator[tuple[str, Rolled]]:
    assert honest.exchange is not None
    assert other.exchange is not None
    said = honest.exchange.said
    nudged = replace(honest.exchange, said=np.nextafter(said, np.inf))
    elsewhere = replace(honest.exchange, said=np.resize(other.exchange.said, said.shape))
    yield "commands that the law did not give", replace(honest, exchange=nudged)
    yield "answers to another run", replace(honest, exchange=elsewhere)
