"""From evidence to the report that an operator signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np

from controllers.artefact import Artefact
from controllers.controller import Controller
from controllers.speed import ns_per_operation
from core.ids import new_id, sha256_of
from core.records import Candidate, Gate, Seal, ValidationReport
from core.robot import Robot
from core.status import Verdict
from sim import summary
from sim.canary_limits import predicted_limits
from sim.evidence import Evidence, Pair
from sim.gates.alpha import alpha_budget, alpha_spent
from sim.gates.answer import overall
from sim.gates.delay_margin import delay_margin
from sim.gates.elsewhere import elsewhere, regressions
from sim.gates.fidelity import twin_fidelity
from sim.gates.gain_margin import gain_margin
from sim.gates.law_cost import law_cost
from sim.gates.limits import limits
from sim.gates.non_inferiority import non_inferior
from sim.gates.novelty import novelty
from sim.gates.replay import broken_off, replayed, runs_of
from sim.gates.superiority import superior_tracking
from sim.gates.worst_decile import worst_decile
from sim.gather import run_sealed, run_the_rest
from sim.overasked import explained
from sim.policy import Policy
from sim.policy_toml import shipped_policy
from sim.regressions import Memory, Regression, remember, run_regressions
from sim.sealing import seed_of
from sim.twin.twin import Twin
from sim.visited import Stretch
from sim.workers.base import Workers
from sim.workers.confirm import confirm
from sim.workers.forgery import Forged


def validate(
    workers: Workers,
    twin: Twin,
    *,
    incumbent: Artefact,
    candidate: Artefact,
    fidelity: float,
    policy: Policy | None = None,
    patch_id: str = "",
    seal: Seal | None = None,
    incident: Stretch | None = None,
    past: Sequence[Regression] | None = None,
    memory: Memory | None = None,
) -> ValidationReport:
    """Gather evidence for `candidate` against `incumbent` and put it before the gates.

    Args:
        fidelity: how well the twin repeats the incident, 0 to 1.
        policy: by default the one that Remend ships.
        patch_id: what the report is about, where there is a record of it.
        seal: what the sealed scenarios are drawn from; without one they are drawn from the hashes of the two laws,
            which whoever made the candidate could have known.
        incident: telemetry under the fault, to be compared with what the runs visited; without it nobody asks.
        past: incidents of the same robot that the candidate has to meet; without them nobody asks.
        memory: results of proven controllers in past incidents, which need not be computed again.
    """
    policy = policy or shipped_policy()
    seed = seed_of(seal) if seal is not None else _known_seed(incumbent, candidate)
    before_count = workers.rollouts
    about: _About = {
        "base_sha": incumbent.sha256,
        "result_sha": candidate.sha256,
        "fidelity": fidelity,
        "policy": policy,
        "patch_id": patch_id,
        "seal": seal,
        "seed": seed,
    }
    evidence = Evidence(sealed=())
    fitting = [regression for regression in past or () if regression.fits(twin)]
    try:
        pairs = run_sealed(workers, twin, incumbent, candidate, policy, seed)
        evidence = Evidence(sealed=pairs)
        decisive = [explained(gate, twin.robot, pairs) for gate in sealed_gates(twin.robot, pairs, policy)]
        if overall(gate.verdict for gate in decisive) is Verdict.PASS:
            evidence = run_the_rest(workers, twin, incumbent, candidate, policy, seed, pairs)
            evidence = replace(evidence, regressions=run_regressions(workers, incumbent, candidate, fitting, memory))
    except Forged as forged:
        rollouts = workers.rollouts - before_count
        return report_of(twin, evidence, (broken_off(forged.forgery),), armed=True, rollouts=rollouts, **about)
    gates, armed = further_gates(twin.robot, evidence, policy)
    if past is not None:
        answered, also = regressions(evidence.regressions, policy.elsewhere, len(past) - len(fitting))
        gates, armed = [*gates, answered], armed or also
    cost = Controller.from_artefact(candidate, twin.robot.ports).cost
    gates += [law_cost(cost, twin.robot.dt_s, policy.law, ns_per_operation()), twin_fidelity(fidelity, policy.twin)]
    gates += [] if incident is None else [novelty(incident, pairs, policy.novelty)]
    gates += [] if seal is None else [alpha_budget(seal, policy.alpha)]
    gates = [*decisive, *gates]
    if overall(gate.verdict for gate in gates) is Verdict.PASS:
        forgeries = confirm(workers, candidate, runs_of(evidence.pairs))
        gates.append(replayed(evidence.pairs, forgeries))
        if gates[-1].verdict is Verdict.PASS:
            remember(memory, candidate, evidence.regressions or ())
    return report_of(twin, evidence, gates, armed=armed, rollouts=workers.rollouts - before_count, **about)


class _About(TypedDict):
    """What a report is about, whatever comes of it."""

    base_sha: str
    result_sha: str
    fidelity: float
    policy: Policy
    patch_id: str
    seal: Seal | None
    seed: int


def _known_seed(incumbent: Artefact, candidate: Artefact) -> int:
    return int(sha256_of(incumbent.sha256 + candidate.sha256)[:13], 16)


def sealed_gates(robot: Robot, pairs: Sequence[Pair], policy: Policy) -> list[Gate]:
    """The answers that the sealed scenarios alone decide."""
    margins, alpha, unit = policy.non_inferiority, policy.alpha.each, robot.command_unit
    half_ranges = (np.array(robot.limits.effort_high) - robot.limits.effort_low) / 2
    free = margins.free_variation_per_s * robot.dt_s * float(half_ranges.sum())
    return [
        superior_tracking(
            pairs, policy.superiority, alpha=alpha, planned=policy.sealed.scenarios, hopeless=policy.hopeless
        ),
        non_inferior("rms_effort", margins.effort, pairs, alpha=alpha, unit=unit),
        non_inferior("torque_variation", margins.torque_variation, pairs, alpha=alpha, free=free, unit=unit),
        non_inferior("max_tracking_error", margins.max_tracking_error, pairs, alpha=alpha, unit=robot.tracking_unit),
        limits(pairs, policy.limits),
        worst_decile(pairs, policy.worst_decile),
    ]


def further_gates(robot: Robot, evidence: Evidence, policy: Policy) -> tuple[list[Gate], bool]:
    """Answers about other conditions, and whether the patch needs a revert trigger."""
    unit, rule = robot.tracking_unit, policy.elsewhere
    healthy, armed = elsewhere("healthy_plant", _only(evidence, healthy=True), rule, unit)
    severity, also = elsewhere("severity", _only(evidence, healthy=False), rule, unit)
    gates = [
        delay_margin(evidence, policy.delay_margin),
        gain_margin(evidence, policy.gain_margin),
        healthy,
        severity,
    ]
    return gates, armed or also


def _only(evidence: Evidence, *, healthy: bool) -> dict[float, tuple[Pair, ...]]:
    return {severity: pairs for severity, pairs in evidence.severities.items() if (severity == 0) == healthy}


def held(twin: Twin, why: str, *, candidate: Candidate, fidelity: float, policy: Policy) -> ValidationReport:
    """The report on a candidate for which no alpha is left: nothing was run, and nothing is decided."""
    return report_of(
        twin,
        Evidence(sealed=()),
        (alpha_spent(why),),
        base_sha=candidate.base_sha,
        result_sha=candidate.result_sha,
        fidelity=fidelity,
        policy=policy,
        patch_id=candidate.id,
        seal=None,
        seed=0,
        armed=True,
        rollouts=0,
    )


def report_of(
    twin: Twin,
    evidence: Evidence,
    gates: Sequence[Gate],
    *,
    base_sha: str,
    result_sha: str,
    fidelity: float,
    policy: Policy,
    patch_id: str,
    seal: Seal | None,
    seed: int,
    armed: bool,
    rollouts: int,
) -> ValidationReport:
    """Evidence and answers as the record that is signed."""
    robot, pairs = twin.robot, evidence.sealed
    return ValidationReport(
        id=new_id("rep"),
        patch_id=patch_id,
        base_sha=base_sha,
        result_sha=result_sha,
        deltas=summary.deltas(robot, pairs),
        scenarios=tuple(map(summary.result, pairs)),
        worst=summary.worst(pairs, robot.tracking_unit),
        gates=tuple(gates),
        fidelity=fidelity if np.isfinite(fidelity) else 0.0,
        verdict=overall(gate.verdict for gate in gates),
        needs_revert_trigger=armed,
        canary_limit=predicted_limits(robot, twin, pairs),
        rollouts=rollouts,
        seed=seed,
        unknowns=(
            "contact, cables and heat are not simulated",
            "one fault at a time: two faults that look like one are not told apart",
            f"tasks are drawn from the robot's own task space and last {robot.tasks.run_s:g} s",
        ),
        policy_sha=policy.sha256,
        seal=seal,
        regressions=tuple(map(summary.result, evidence.regressions or ())),
    )
