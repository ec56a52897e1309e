"""What benches of the robot's side swap: two laws, a robot that stands nearly still, and signed patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.canary import CanaryLimits
from controllers.host_status import HostStatus
from controllers.library import find_law
from controllers.processes import Processes, Setup
from controllers.requests import AskStatus, StagePatch
from controllers.signature import PatchManifest, TrustStore, countersign, fingerprint, sign
from controllers.slot import Slot
from core.clock import SystemClock
from core.frames import Frame, Reference
from core.ids import sha256_of
from core.robot import CanaryPlan, Robot

_ERROR_RAD = 0.005  # how far the still robot is from its reference, so that laws with other gains differ
_OPERATOR, _SERVICE = (Ed25519PrivateKey.from_private_bytes(bytes([k]) * 32) for k in (1, 2))  # keys of a bench


def quick_canary(robot: Robot) -> Robot:
    """The robot with a canary of some 50 ticks in the stages of a real one."""
    plan = CanaryPlan(stages=(0.1, 0.3, 1.0), hold_s=(0.01, 0.01, 0.01), fade_s=0.02, shadow_s=0.02, settle_s=0.25)
    return replace(robot, canary=plan)


def versions(robot: Robot) -> tuple[Artefact, Artefact]:
    """The shipped law, and one with a third more stiffness."""
    law = find_law(robot, robot.controller)
    stiffer = [1.3 * value for value in _gains(robot, law)]
    return law, with_params(law, {"kp": stiffer})


def _gains(robot: Robot, law: Artefact) -> list[float]:
    gains = Slot(robot, law).controller.params["kp"]
    assert isinstance(gains, list)
    return gains


def measurement(robot: Robot, seq: int, stamp_ns: int, tau: Sequence[float]) -> tuple[Frame, Reference]:
    """A robot that stands a little beside a reference that moves slowly, so that every clock of a canary runs."""
    n = robot.dof
    frame = Frame(seq=seq, stamp_ns=stamp_ns, q=list(robot.home), qd=[0.0] * n, tau_meas=list(tau), tau_cmd=list(tau))
    speed = [0.05, *[0.0] * (n - 1)]
    return frame, Reference(q_ref=[q + _ERROR_RAD for q in robot.home], qd_ref=speed, qdd_ref=[0.0] * n)


def wide_limits(robot: Robot) -> CanaryLimits:
    """What the two laws keep to beyond doubt: this bench is about time."""
    wide = (1.0,) * robot.dof
    return CanaryLimits(offset=(0.0,) * robot.dof, ramp_error=wide, settled_error=wide, settle_s=1.0, variation_nm=1e6)


def setup_of(robot: Robot, folder: Path) -> Setup:
    """The shipped law on a disk of the bench's own."""
    return Setup(
        robot=robot,
        robot_id="bench",
        baseline=versions(robot)[0],
        safety=find_law(robot, robot.safety_controller),
        trust=TrustStore.of([_OPERATOR.public_key()], [_SERVICE.public_key()]),
        folder=folder,
        simulated=True,
    )


def patch_of(robot: Robot, artefact: Artefact, base_sha: str, version: int) -> StagePatch:
    """A patch as a robot takes it."""
    now_ns = SystemClock().wall_ns()
    manifest = PatchManifest(
        robot_id="bench",
        slot="main",
        law=artefact.name,
        version=version,
        base_sha=base_sha,
        result_sha=artefact.sha256,
        files={name: sha256_of(data) for name, data in artefact.files.items()},
        report_sha="0" * 64,
        approver="demo",
        not_before_ns=now_ns,
        expires_ns=now_ns + 3600 * 10**9,
        revert_to=base_sha,
        needs_revert_trigger=False,
        canary_sha=wide_limits(robot).sha256,
    )
    signed = sign(manifest, fingerprint(_OPERATOR.public_key()), _OPERATOR)
    signed = countersign(signed, fingerprint(_SERVICE.public_key()), _SERVICE)
    return StagePatch(signed=signed.to_json(), files=dict(artefact.files), now_ns=now_ns)


def anew(artefact: Artefact, number: int) -> Artefact:
    """The same law in a text of its own, so that nothing of it has been compiled before."""
    law = artefact.files["law.py"] + f"\n# {number}\n".encode()
    return artefact_from_files(artefact.name, {**artefact.files, "law.py": law})


def status_of(processes: Processes) -> HostStatus:
    status = processes.ask(AskStatus())
    assert isinstance(status, HostStatus)
    return status
