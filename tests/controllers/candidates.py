"""Controllers for the tests of the loop: a stiff hold that goes wrong when told to, and a world that stands still."""

from __future__ import annotations

from dataclasses import replace

from controllers.artefact import Artefact, artefact_from_files
from controllers.canary import CanaryLimits
from core.frames import Frame, Reference
from core.robot import CanaryPlan, Robot

WRONG = {"nan": "sqrt(-1.0)", "inf": "1e300 * 1e300", "minus_inf": "-1e300 * 1e300", "huge": "1e6"}

_LAW = """
def control(q, qd, q_ref, qd_ref, gravity, kp, start, stop, ticks, tau):
    ticks[0] += 1.0
    for i in range(7):
        tau[i] = kp * (q_ref[i] - q[i]) + 8.0 * (qd_ref[i] - qd[i]) + gravity[i]
    if ticks[0] > start:
        if ticks[0] <= stop:
            tau[{joint}] = {wrong}
"""
_MANIFEST = """
name = "{name}"
version = "1"
summary = "A hold that may go wrong"
signals = ["q", "qd", "q_ref", "qd_ref", "gravity"]
[params.kp]
unit = "N*m/rad"
low = -2000.0
high = 2000.0
max_step = 1.0
effect = "Higher is stiffer."
[params.start]
unit = "1"
low = 0.0
high = 1e9
max_step = 1.0
effect = "Right calls before the wrong ones."
[params.stop]
unit = "1"
low = 0.0
high = 1e9
max_step = 1.0
effect = "Calls until it is right again."
[states.ticks]
unit = "calls_of_{name}"
size = 1
initial = [0.0]
[outputs.tau]
unit = "N*m"
size = 7
"""


def hold(
    name: str = "hold",
    kp: float = 300.0,
    wrong: str = "nan",
    start: int = 10**9,
    stop: int = 10**9,
    joint: int = 0,
) -> Artefact:
    """PD hold with gravity; its calls number `start` + 1 to `stop` give a wrong torque in one joint."""
    files = {
        "law.py": _LAW.format(joint=joint, wrong=WRONG[wrong]).encode(),
        "manifest.toml": _MANIFEST.format(name=name).encode(),
        "params.toml": f"kp = {float(kp)}\nstart = {float(start)}\nstop = {float(stop)}\n".encode(),
    }
    return artefact_from_files(name, files)


def quick(robot: Robot) -> Robot:
    """The robot with a canary of some 40 ticks."""
    plan = CanaryPlan(stages=(0.1, 0.3, 1.0), hold_s=(0.01, 0.01, 0.01), fade_s=0.02, shadow_s=0.02, settle_s=0.25)
    return replace(robot, canary=plan)


def wide_limits(dof: int) -> CanaryLimits:
    """Limits that only a broken controller exceeds."""
    return CanaryLimits(
        offset=(0.0,) * dof,
        ramp_error=(0.1,) * dof,
        settled_error=(0.1,) * dof,
        settle_s=0.1,
        variation_nm=100.0,
    )


class StillWorld:
    """A robot frozen at home whose reference passes by: frames and references without a simulator."""

    def __init__(self, robot: Robot, speed: float = 0.1) -> None:
        self.robot, self.seq, self.speed, self.error_rad = robot, 0, speed, 0.0
        self.off_joints = range(robot.dof)  # which joints have `error_rad`
        self.tau_cmd = [0.0] * robot.dof

    def frame(self, **changes: list[float] | int) -> Frame:
        n = self.robot.dof
        values = {"q": list(self.robot.home), "qd": [0.0] * n, "tau_meas": [0.0] * n, "tau_cmd": self.tau_cmd}
        stamp_ns = round(self.seq * self.robot.dt_s * 1e9)
        return Frame(seq=self.seq, stamp_ns=stamp_ns, **values)._replace(**changes)  # type: ignore[arg-type]

    def reference(self) -> Reference:
        n = self.robot.dof
        return Reference(
            q_ref=[q + self.error_rad * (i in self.off_joints) for i, q in enumerate(self.robot.home)],
            qd_ref=[self.speed, *[0.0] * (n - 1)],
            qdd_ref=[0.0] * n,
        )
