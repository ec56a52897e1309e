"""The healthy drive, learnt from its commands: how late it acts, how fast it follows, and what effort it really gave.

    effort(t) = follow(asked(command(t - delay)))    asked: the command itself, or a loop around a commanded position

A measured effort is noisy, and a regression on it takes its noise for a weak motor (errors in variables; Soderstrom
2007). What was asked for is free of noise, and on a drive that does as it is told it is the better measurement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from core.block import Array, Block
from core.robot import Robot

LONGEST_S = 0.06  # oldest command that may be in force, healthy or not
_LAGS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)  # candidates for a time constant
_HEAD_ROWS = 3000  # of healthy telemetry that are looked at: 6 s at 500 Hz, several moves of a slow robot
_LEAST_NOISE = 1e-5  # of the largest effort


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthyDrive:
    """What m healthy drives make of their commands."""

    ticks: int  # from a command to the reading of its effort
    lag_s: float  # time constant
    stiffness: Array  # (m,) effort per position error where positions are commanded
    damping: Array  # (m,) effort per velocity there
    noise: Array  # (m,) standard deviation of measured minus expected effort

    def asked(self, robot: Robot, block: Block, late_ticks: int = 0) -> Array:
        """(N, m) effort asked for at each reading, by commands `late_ticks` older than usual."""
        low, high = np.array(robot.limits.effort_low), np.array(robot.limits.effort_high)
        command = np.clip(block.group("tau_cmd"), low, high)
        ticks = min(self.ticks + late_ticks, len(command))
        due = np.concatenate([np.repeat(command[:1], ticks, axis=0), command[: len(command) - ticks]])
        if robot.mode != "position":
            return due
        q, qd = _driven(robot, block)
        limit = np.array(robot.limits.effort)
        return np.clip(self.stiffness * (due - q) - self.damping * qd, -limit, limit)

    def expected(self, robot: Robot, block: Block) -> Array:
        """(N, m) effort that healthy drives give."""
        asked = self.asked(robot, block)
        if not self.lag_s:
            return asked
        return follow(asked.T, self.lag_s, robot.dt_s, block.group("tau_meas")[:1].T).T


def learn_drive(robot: Robot, head: Block) -> HealthyDrive:
    """The drive that explains the measured effort of healthy telemetry best."""
    recent = head[-_HEAD_ROWS:]
    longest = min(round(LONGEST_S * robot.control_rate_hz), len(recent) // 2)
    prompt = min((_learn(robot, recent, ticks, 0.0) for ticks in range(longest + 1)), key=_misfit)
    # A drive that lags explains part of the delay, and has to explain more than a prompt one to be believed.
    slow = [_learn(robot, recent, ticks, lag_s) for lag_s in _LAGS_S for ticks in range(prompt.ticks + 1)]
    best = min(slow, key=_misfit)
    for width in (1.5, 1.2, 1.07):  # ever closer to the time constant
        lags_s = (best.lag_s / width, best.lag_s * width)
        ticks = range(max(best.ticks - 1, 0), best.ticks + 2)
        near = [_learn(robot, recent, n, lag_s) for lag_s in lags_s for n in ticks]
        best = min((best, *near), key=_misfit)
    return best if _misfit(best) < _misfit(prompt) - 1e-3 * len(robot.actuators) else prompt


def given_effort(robot: Robot, drive: HealthyDrive, block: Block, trust: Array) -> Array:
    """(N, m) effort that the drives most likely gave: what was asked for, and more of the measurement if they differ.

    Args:
        trust: (m,) share of the difference between measured and expected effort that is real on a healthy drive.
    """
    expected, measured = drive.expected(robot, block), block.group("tau_meas")
    settled = min(drive.ticks, len(block) - 1)  # before that, nobody knows what was asked for
    missed = np.sqrt(np.mean(np.square((measured - expected)[settled:]), axis=0))
    excess = 1.0 - np.square(drive.noise / np.maximum(missed, 1e-12))
    real = np.where(missed < 1.1 * drive.noise, trust, np.maximum(trust, excess))
    effort: Array = expected + real * (measured - expected)
    effort[:settled] = measured[:settled]
    return effort


def follow(signal: Array, lag_s: float, dt_s: float, first: Array) -> Array:
    """First-order response along the last axis, from the value `first` on, which broadcasts to one column."""
    share = -np.expm1(-dt_s / lag_s)
    result: Array = first + lfilter([share], [1.0, share - 1.0], signal - first, axis=-1)
    return result


def _misfit(drive: HealthyDrive) -> float:
    return float(np.log(drive.noise).sum())


def _learn(robot: Robot, head: Block, ticks: int, lag_s: float) -> HealthyDrive:
    m = len(robot.actuators)
    stiffness, damping = _own_loop(robot, head, ticks) if robot.mode == "position" else (np.zeros(m), np.zeros(m))
    drive = HealthyDrive(ticks=ticks, lag_s=lag_s, stiffness=stiffness, damping=damping, noise=np.ones(m))
    left = (head.group("tau_meas") - drive.expected(robot, head))[round(LONGEST_S * robot.control_rate_hz) :]
    least = _LEAST_NOISE * np.array(robot.limits.effort)
    return replace(drive, noise=np.maximum(np.sqrt(np.mean(np.square(left), axis=0)), least))


def _driven(robot: Robot, block: Block) -> tuple[Array, Array]:
    """(N, m) position and velocity of the coordinates behind the drives."""
    joints = [joint or 0 for joint in robot.drives]
    return block.group("q")[:, joints], block.group("qd")[:, joints]


def _own_loop(robot: Robot, head: Block, ticks: int) -> tuple[Array, Array]:
    """(m,) stiffness and damping of drives that are commanded positions, by least squares."""
    q, qd = _driven(robot, head)
    command = head.group("tau_cmd")
    measured, limit = head.group("tau_meas")[ticks:], np.array(robot.limits.effort)
    error = command[: len(command) - ticks] - q[ticks:]
    gains = []
    for k in range(measured.shape[1]):
        free = np.abs(measured[:, k]) < 0.95 * limit[k]
        basis = np.stack([error[free, k], -qd[ticks:][free, k]], axis=1)
        gains.append(np.linalg.lstsq(basis, measured[free, k], rcond=None)[0] if len(basis) > 2 else np.zeros(2))
    found = np.array(gains)
    return found[:, 0], found[:, 1]
