"""Small valid records. Also imported by the processes that tests start and kill."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from core.records import Approval, Candidate, Cause, Diagnosis, Event, Gate, Incident, Outcome, ParamChange
from core.records import ValidationReport as Report
from core.status import PatchStatus, Verdict
from remend.store import Store
from remend.versions import Versions

ROBOT = "iiwa"
BASE = {"law.py": b"tau[0] = kp[0]\n", "params.toml": b"kp = [1.0]\n"}
FAR_NS = 2**62


def artefact(number: int) -> dict[str, bytes]:
    return {**BASE, "params.toml": f"kp = [{number}.5]\n".encode()}


def incident(name: str = "inc_1", base_sha: str = "b" * 64) -> Incident:
    event = Event(
        detector="cusum@1",
        channel="joint_2.torque_residual",
        kind="bias",
        onset_s=1.5,
        alarm_s=2.0,
        test_ratio=1.2,
        ranking=(("joint_2.torque_residual", 1.2), ("joint_1.torque_residual", 0.4)),
    )
    return Incident(
        id=name,
        robot_id=ROBOT,
        controller_sha=base_sha,
        event=event,
        window_s=(0.0, 4.0),
        telemetry_sha="e" * 64,
        created_ns=7,
    )


def diagnosis(incident_id: str = "inc_1") -> Diagnosis:
    cause = Cause(cause="payload", probability=0.9, estimate={"mass": 4.9}, interval={"mass": (4.7, 5.1)})
    return Diagnosis(incident_id=incident_id, causes=(cause,), fidelity=0.9, summary="A payload.", author="rules@1")


def candidate(
    name: str = "pat_1", incident_id: str = "inc_1", base_sha: str = "b" * 64, result_sha: str = "c" * 64
) -> Candidate:
    change = ParamChange(name="kp[0]", unit="N*m/rad", old=1.0, new=2.5, low=0.0, high=9.0)
    return Candidate(
        id=name,
        incident_id=incident_id,
        kind="params",
        proposer="tune",
        base_sha=base_sha,
        result_sha=result_sha,
        changes=(change,),
        rationale="stiffer",
        search_rollouts=12,
    )


def report(of: Candidate, name: str = "rep_1", verdict: Verdict = Verdict.PASS) -> Report:
    return Report(
        id=name,
        patch_id=of.id,
        base_sha=of.base_sha,
        result_sha=of.result_sha,
        deltas=(),
        scenarios=(),
        worst="none",
        gates=(Gate(name="superior", verdict=verdict, why="measured"),),
        fidelity=0.9,
        verdict=verdict,
        needs_revert_trigger=False,
        canary_limit={"rms_error": 0.01},
        rollouts=16,
        seed=1,
    )


def decision(of: Report, name: str = "app_1", decision: str = "approve", actor: str = "ada") -> Approval:
    return Approval(
        id=name,
        patch_id=of.patch_id,
        decision=decision,
        actor=actor,
        reason="looks right",
        base_sha=of.base_sha,
        result_sha=of.result_sha,
        report_sha=of.sha256,
        at_ns=8,
        expires_ns=FAR_NS,
    )


def outcome(patch_id: str) -> Outcome:
    return Outcome(
        patch_id=patch_id,
        deployed=True,
        rolled_back=False,
        reason="",
        stages=("shadow", "canary"),
        duration_s=3.0,
        max_command_step=0.4,
        missed_deadlines=None,
    )


def await_approval(store: Store, of: Candidate, judged: Report) -> None:
    """Bring a new candidate with its report to the operator."""
    store.add_candidate(of)
    store.move(of.id, PatchStatus.PROPOSED, PatchStatus.CHECKED, "checker", "inside the law language")
    store.move(of.id, PatchStatus.CHECKED, PatchStatus.VALIDATING, "validator", "16 scenarios")
    store.add_report(judged)
    store.move(of.id, PatchStatus.VALIDATING, PatchStatus.AWAITING_APPROVAL, "validator", judged.verdict.value)


def live_through(store: Store, versions: Versions, number: int, name: str) -> None:
    """One incident from alarm to commit: artefacts before the rows that name them."""
    history = versions.history(ROBOT)
    base_sha = history[0].artefact_sha if history else versions.keep(BASE)
    if not history:
        versions.commit(ROBOT, BASE, None, "baseline", "service")
    files = artefact(number)
    result_sha = versions.keep(files)
    store.add_incident(incident(f"inc_{name}", base_sha))
    store.add_diagnosis(diagnosis(f"inc_{name}"))
    proposed = candidate(f"pat_{name}", f"inc_{name}", base_sha, result_sha)
    judged = report(proposed, f"rep_{name}")
    await_approval(store, proposed, judged)
    store.decide(decision(judged, f"app_{name}"))
    store.add_outcome(outcome(proposed.id))
    versions.commit(ROBOT, files, base_sha, f"patch {proposed.id}", "service")


_SINCE = {
    "order_results": 4,
    "orders": 4,
    "passes": 4,
    "robots": 4,
    "users": 4,
    "regressions": 3,
    "runs": 3,
    "seals": 2,
}


def as_before(home: Path, version: int) -> None:
    """Turn the database of a home into one that a Remend without revisions made, of version 1 to 4."""
    released = {line.rstrip(";") for line in Path(__file__).with_name("schema-4.sql").read_text().splitlines()}
    with closing(sqlite3.connect(home / "remend.db")) as raw:
        for name, since in _SINCE.items():
            if since > version:
                raw.execute(f"DROP TABLE {name}")
        indices = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        for name, sql in raw.execute(indices).fetchall():
            if " ".join(sql.split()) not in released:
                raw.execute(f"DROP INDEX {name}")
        raw.execute("DROP TABLE alembic_version")
        if version >= _SINCE["passes"]:  # another shape since
            raw.execute("DROP TABLE passes")
            for line in sorted((line for line in released if " passes " in line), reverse=True):  # the table, its index
                raw.execute(line)
        raw.execute(f"PRAGMA user_version={version}")
