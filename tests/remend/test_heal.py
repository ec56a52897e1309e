"""The main job, end to end, on a simulated robot: separate processes, hidden fault, real swap."""

from __future__ import annotations

import numpy as np
import pytest

from core.robot_toml import load_robot
from core.status import PatchStatus
from remend.audit import verify_home
from remend.decision import Decision
from remend.store import Store
from remend.versions import Versions
from sim.catalogue import shipped_robots
from telemetry.incidents import Severity
from telemetry.recording import read_recording
from tests.remend.healing_harness import forging, heal

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("heal")]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("REMEND_HOME", str(tmp_path))
    return tmp_path


def test_a_load_nobody_announced_is_found_measured_and_compensated(home):
    done = heal("payload:mass=5")
    healing = done.healing
    answer = healing.to_json()
    assert healing.as_asked
    assert answer["false_alarms"] == 0
    assert 0 < answer["detection_delay_s"] < 1.0
    assert answer["diagnosis"][0]["cause"] == "payload"
    low, high = answer["diagnosis"][0]["interval"]["mass"]
    assert low < answer["diagnosis"][0]["estimate"]["mass"] < high
    assert abs(answer["diagnosis"][0]["estimate"]["mass"] - 5.0) < 0.12
    assert answer["recovery_ratio"] >= 0.9
    assert answer["rollouts"]["search"] <= 300
    assert answer["verdict"] == "pass"
    assert answer["swap"]["missed_deadlines"] is None
    assert answer["swap"]["stages"][-1] == "commit"
    assert healing.report is not None
    assert healing.report.needs_revert_trigger  # a load that is taken away again must end the patch
    with Store.open(home) as store:
        patch = store.patch(answer["patch"]["id"])
        assert patch.status is PatchStatus.ACTIVE
        assert [move.after for move in patch.moves] == [
            PatchStatus.PROPOSED,
            PatchStatus.CHECKED,
            PatchStatus.VALIDATING,
            PatchStatus.AWAITING_APPROVAL,
            PatchStatus.APPROVED,
            PatchStatus.STAGED,
            PatchStatus.SHADOW,
            PatchStatus.CANARY,
            PatchStatus.ACTIVE,
        ]
    assert verify_home(home).ok
    versions = Versions.open(home)
    assert "mass" in versions.diff(answer["patch"]["base_sha"], answer["patch"]["result_sha"])
    assert done.tape.t_s[0] <= healing.event.alarm_s - 9.9  # ten seconds of history
    occurrence = healing.occurrence
    assert occurrence is not None
    assert (occurrence.number, occurrence.severity) == (1, Severity.DEGRADED)
    recording = read_recording(home / "incidents" / healing.incident.id / "incident.mcap")
    stamps_s = [recording.rows[k].frame.stamp_ns * 1e-9 - healing.event.alarm_s for k in (0, -1)]
    assert stamps_s == pytest.approx([-10.0, 10.0], abs=0.1)
    assert recording.events == (healing.event,)
    assert np.nanmax(recording.scores) >= 1.0
    assert recording.metadata["severity"] == "degraded"


def test_a_fault_that_is_still_growing_is_looked_at_again_until_it_has_settled(home):
    healing = heal("payload:mass=4,ramp=4", seed=3).healing
    assert healing.as_asked
    assert abs(healing.diagnosis.causes[0].estimate["mass"] - 4.0) < 0.12
    assert healing.diagnosis.fidelity > 0.9
    assert healing.recovery >= 0.9


def test_a_rejected_patch_never_reaches_the_robot(home):
    done = heal("payload:mass=5", seed=2, decide=lambda *_: Decision(approve=False, actor="ann", reason="not today"))
    assert not done.healing.deployed
    assert not done.healing.as_asked
    assert done.healing.to_json()["recovery_ratio"] is None
    with Store.open(home) as store:
        assert store.patch(done.healing.patch.id).status is PatchStatus.REJECTED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kp[i] * error", "kp[i] * (0.0 - error)"),  # pushes away from the reference
        ("torque = bias[i] +", "torque = 0.0 - bias[i] +"),  # lets the arm fall
        ("kd[i] * (qd_ref[i] - qd[i])", "40.0 * kd[i] * (qd_ref[i] - qd[i])"),  # chatters
    ],
)
def test_a_harmful_patch_forced_past_the_gates_is_taken_back_within_half_a_second(home, old, new):
    done = heal("payload:mass=5", pipeline_type=forging(old, new))
    healing = done.healing
    assert healing.deployed
    assert healing.rolled_back
    assert not healing.as_asked
    assert healing.swap.outcome.duration_s <= 0.5
    limits = load_robot(shipped_robots()["iiwa"]).limits
    during = done.tape.between(healing.swap.swap_s - 0.2, done.tape.t_s[-1] + 1.0)
    assert np.all(during.group("q") > limits.lower)
    assert np.all(during.group("q") < limits.upper)
    assert np.all(np.abs(during.group("qd")) < limits.speed)
    assert np.all(np.abs(during.group("tau_cmd")) <= limits.effort)
    with Store.open(home) as store:
        assert store.patch(healing.patch.id).status is PatchStatus.ROLLED_BACK
    assert verify_home(home).ok
