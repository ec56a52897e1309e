"""Whole healings made of synthetic but realistic records: an arm with an unknown payload, and a healthy one."""

from __future__ import annotations

import numpy as np

from core.block import Block
from core.records import (
    Approval,
    Candidate,
    Cause,
    Diagnosis,
    Event,
    Gate,
    Incident,
    MetricDelta,
    Outcome,
    ParamChange,
    ScenarioResult,
    ValidationReport,
)
from core.status import Verdict
from remend.story import CanaryTrack, Plots, Story, TruthRow, plots_of

BASE_SHA, RESULT_SHA = "ab" * 32, "cd" * 32
FAULT_S, ONSET_S, ALARM_S, SWAP_S, COMMIT_S, END_S = 12.0, 12.05, 12.36, 24.5, 27.7, 36.0
RATE_HZ = 100
JOINTS = tuple(f"joint_{k}" for k in range(1, 8))
DIFF = """--- a/params.toml
+++ b/params.toml
@@ -1,5 +1,5 @@
 kp = [625.0, 625.0, 625.0, 625.0, 625.0, 625.0, 625.0] # 1/s^2
 kd = [50.0, 50.0, 50.0, 50.0, 50.0, 50.0, 50.0] # 1/s
-mass = 0.0 # kg
+mass = 4.94 # kg
 viscous = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] # N*m*s/rad
"""
GATES = (
    Gate(name="fidelity", verdict=Verdict.PASS, why="the twin repeats 0.93 of the incident, at least 0.7 is asked for"),
    Gate(
        name="superior_tracking",
        verdict=Verdict.PASS,
        why="the 95 % interval of the change lies below zero on 48 pairs",
    ),
    Gate(
        name="non_inferior_effort",
        verdict=Verdict.PASS,
        why="effort grows by at most 4.1 %, the margin is 10 %",
    ),
    Gate(name="limits", verdict=Verdict.PASS, why="0 of 96 rollouts left the envelope; upper bound 3.1 %"),
    Gate(name="delay_margin", verdict=Verdict.PASS, why="stable up to 11 ms of added delay, 4 ms are asked for"),
    Gate(name="law_cost", verdict=Verdict.PASS, why="38 us of 2000 us per tick"),
)


def plots() -> Plots:
    """A run of 36 s: healthy, payload at 12 s, patched at 24.5 s."""
    rng = np.random.default_rng(3)
    t = np.arange(0.0, END_S, 1.0 / RATE_HZ)
    n = len(JOINTS)
    data = np.zeros((len(t), 2 + 7 * n))
    data[:, 0], data[:, 1] = np.arange(len(t)), np.round(t * 1e9)
    block = Block(data=data, actuators=n)
    phase = np.linspace(0.0, 2.0, n)
    reference = 0.5 * np.sin(0.9 * t[:, None] + phase)
    lost = np.clip((t - FAULT_S) / 0.25, 0.0, 1.0) - 0.93 * np.clip((t - SWAP_S) / 0.6, 0.0, 1.0)
    weight = np.array([0.002, 0.031, 0.004, 0.024, 0.002, 0.012, 0.001])
    error = 0.0015 * np.sin(2.2 * t[:, None] + phase) + lost[:, None] * weight * (1.0 + 0.3 * np.sin(1.3 * t[:, None]))
    error += rng.normal(0.0, 3e-4, error.shape)
    block.group("q_ref")[:] = reference
    block.group("q")[:] = reference - error
    ratio = 0.25 + 0.1 * rng.random(len(t)) + 11.0 * np.clip((t - ONSET_S) / 4.0, 0.0, 1.0) * (t < SWAP_S)
    ratio[: 2 * RATE_HZ] = np.nan
    in_canary = (t >= SWAP_S) & (t < COMMIT_S)
    canary = CanaryTrack(
        observable="tracking error of joint 2",
        unit="rad",
        t_s=t[in_canary],
        value=np.abs(error[in_canary, 1]),
        limit=np.where(t[in_canary] < SWAP_S + 0.5, 0.05, 0.02),
    )
    return plots_of(
        block,
        ratio,
        JOINTS,
        ["rad"] * len(JOINTS),
        fault_s=FAULT_S,
        onset_s=ONSET_S,
        alarm_s=ALARM_S,
        swap_s=SWAP_S,
        commit_s=COMMIT_S,
        canary=canary,
    )


def candidate(rationale: str = "Tell the model the payload of 4.94 kg that the twin has found.") -> Candidate:
    changes = (
        ParamChange(name="mass", unit="kg", old=0.0, new=4.94, low=0.0, high=10.0),
        ParamChange(name="kp[1]", unit="1/s^2", old=625.0, new=702.4, low=156.0, high=2500.0),
        ParamChange(name="encoder_offset[2]", unit="rad", old=0.0, new=0.0031, low=-0.2, high=0.2),
    )
    return Candidate(
        id="pat_01k9x3w7v5q2r8a",
        incident_id="inc_01k9x3w7v5q2r00",
        kind="params",
        proposer="skills",
        base_sha=BASE_SHA,
        result_sha=RESULT_SHA,
        changes=changes,
        rationale=rationale,
        search_rollouts=60,
    )


def diagnosis() -> Diagnosis:
    causes = (
        Cause(cause="payload", probability=0.968, estimate={"mass": 4.94}, interval={"mass": (4.81, 5.06)}),
        Cause(
            cause="friction",
            probability=0.018,
            estimate={"joint": 2.0, "scale": 11.2, "viscous": 5.1},
            interval={"scale": (8.7, 13.9), "viscous": (3.9, 6.4)},
            remark="Payload and friction differ only while the arm moves.",
        ),
        Cause(
            cause="actuator_loss",
            probability=0.0041,
            estimate={"joint": 4.0, "gain": 0.71},
            interval={"gain": (0.6, 0.82)},
        ),
    )
    return Diagnosis(
        incident_id="inc_01k9x3w7v5q2r00",
        causes=causes,
        fidelity=0.931,
        summary="The arm carries about 4.9 kg that its model does not know. The controller can compensate this.",
        author="rules@1",
    )


def report(verdict: Verdict = Verdict.PASS, gates: tuple[Gate, ...] = GATES) -> ValidationReport:
    rng = np.random.default_rng(5)
    names = [f"{task} task, twin sample {k}" for k in range(4) for task in ("point to point", "sine", "pick and place")]
    scenarios = []
    for k, name in enumerate(names):
        before = 0.028 + 0.006 * rng.random()
        before_metrics = {"rms_tracking_error": before, "max_tracking_error": 2.6 * before, "rms_effort": 41.0 + k / 3}
        after_metrics = {
            "rms_tracking_error": 0.0055 + 0.002 * rng.random(),
            "max_tracking_error": 0.019 + 0.004 * rng.random(),
            "rms_effort": 42.1 + k / 3,
        }
        scenarios.append(
            ScenarioResult(scenario=name, scenario_sha=f"{k:064x}", before=before_metrics, after=after_metrics)
        )
    common = {"level": 0.95, "n_pairs": 48, "method": "paired bootstrap"}
    deltas = (
        MetricDelta(
            metric="rms_tracking_error",
            unit="rad",
            before=0.0312,
            after=0.00612,
            delta=-0.02508,
            ci_low=-0.0259,
            ci_high=-0.0243,
            **common,
        ),
        MetricDelta(
            metric="max_tracking_error",
            unit="rad",
            before=0.0811,
            after=0.0209,
            delta=-0.0602,
            ci_low=-0.064,
            ci_high=-0.0561,
            **common,
        ),
        MetricDelta(
            metric="rms_effort",
            unit="N*m",
            before=42.8,
            after=43.9,
            delta=1.1,
            ci_low=0.4,
            ci_high=1.75,
            **common,
        ),
        MetricDelta(
            metric="torque_variation",
            unit="N*m",
            before=1.91,
            after=1.93,
            delta=0.02,
            ci_low=-0.06,
            ci_high=0.1,
            **common,
        ),
    )
    return ValidationReport(
        id="rep_01k9x3w7v5q2r9b",
        patch_id="pat_01k9x3w7v5q2r8a",
        base_sha=BASE_SHA,
        result_sha=RESULT_SHA,
        deltas=deltas,
        scenarios=tuple(scenarios),
        worst=f"{names[4]}: tracking error 31 -> 7.4 mrad",
        gates=gates,
        fidelity=0.931,
        verdict=verdict,
        needs_revert_trigger=True,
        canary_limit={
            "variation_nm": 2.6,
            "settle_s": 0.5,
            **{f"offset_{k}": 0.0 for k in range(1, 8)},
            **{f"ramp_error_{k}": 0.04 + 0.001 * k for k in range(1, 8)},
            **{f"settled_error_{k}": 0.01 + 0.001 * k for k in range(1, 8)},
        },
        rollouts=152,
        seed=1,
        unknowns=("contact, cables and heat are not simulated", "one fault at a time"),
    )


def full(rationale: str | None = None) -> Story:
    """A payload found, patched and kept."""
    proposed = candidate() if rationale is None else candidate(rationale)
    judged = report()
    event = Event(
        detector="momentum@1",
        channel="joint_2.torque_residual",
        kind="bias",
        onset_s=ONSET_S,
        alarm_s=ALARM_S,
        test_ratio=1.07,
        ranking=(("joint_2.torque_residual", 1.07), ("joint_4.torque_residual", 0.81)),
    )
    incident = Incident(
        id="inc_01k9x3w7v5q2r00",
        robot_id="iiwa-01",
        controller_sha=BASE_SHA,
        event=event,
        window_s=(8.0, 16.0),
        telemetry_sha="ef" * 32,
        created_ns=1_790_000_000 * 10**9,
    )
    approval = Approval(
        id="app_01k9x3w7v5q2r9c",
        patch_id=proposed.id,
        decision="approve",
        actor="simulated-operator",
        reason="gates passed",
        base_sha=BASE_SHA,
        result_sha=RESULT_SHA,
        report_sha=judged.sha256,
        at_ns=1_790_000_020 * 10**9,
        expires_ns=1_790_003_620 * 10**9,
    )
    outcome = Outcome(
        patch_id=proposed.id,
        deployed=True,
        rolled_back=False,
        reason="",
        stages=("shadow", "canary 10 %", "canary 30 %", "canary 100 %", "commit"),
        duration_s=3.2,
        max_command_step=0.42,
        missed_deadlines=None,
    )
    truth = (
        TruthRow(metric="rms_tracking_error", unit="rad", nominal=0.0041, faulted=0.0309, patched=0.0063),
        TruthRow(metric="max_tracking_error", unit="rad", nominal=0.0122, faulted=0.0794, patched=0.0205),
        TruthRow(metric="rms_effort", unit="N*m", nominal=36.2, faulted=42.7, patched=43.8),
    )
    return Story(
        robot_id="iiwa-01",
        robot_title="KUKA LBR iiwa 7 R800, seven joints, torque mode",
        fault="payload:mass=5",
        seed=1,
        created_ns=1_790_000_000 * 10**9,
        incident=incident,
        diagnosis=diagnosis(),
        candidates=(proposed,),
        report=judged,
        approval=approval,
        outcome=outcome,
        diff=DIFF,
        truth=truth,
        recovery_ratio=0.918,
        plots=plots(),
        versions=(("remend", "0.1.0"), ("pybullet", "3.2.7"), ("pinocchio", "3.8.0")),
    )


def healthy() -> Story:
    """A run in which nothing happened: most parts are missing."""
    return Story(robot_id="iiwa-01", robot_title="KUKA LBR iiwa 7 R800", fault="none", seed=2, created_ns=0)
