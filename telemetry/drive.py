"""The healthy drive, learnt from its commands: how late it acts, how fast it follows, and what effort it really gave.

    effort(t) = follow(asked(command(t - delay)))    asked: the command itself, or a loop around a commanded position

A measured effort is noisy, and a regression on it takes its noise for a weak motor (errors in variables; Soderstrom
2007). What was asked for is free of noise, and on a drive that does as it is told it is the better measurement.

Where positions are commanded, what is asked for depends on the motion (`telemetry.servo`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from core.block import Array, Block
from core.robot import Robot
from telemetry.servo import Load, Loop, learn_loop

LONGEST_S = 0.06  # oldest command that may be in force, healthy or not
_LAGS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)  # candidates for a time constant
_HEAD_ROWS = 3000  # of healthy telemetry that are looked at: 6 s at 500 Hz, several moves of a slow robot
_LEAST_NOISE = 1e-5  # of the largest effort


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthyDrive:
    """What m healthy drives make of their commands."""

    ticks: int  # from a command to the reading of its effort
    lag_s: float  # time constant
    loop: Loop | None  # where positions are commanded
    noise: Array  # (m,) standard deviation of measured minus expected effort
    doubt: Array  # (m,) of it what readings make that are worse than the data sheet says; zeros without a loop

    def load(self, robot: Robot, block: Block) -> Load | None:
        """What the motion takes off what was commanded; None where efforts are commanded."""
        return None if self.loop is None else self.loop.load(robot, block)

    def worse(self, load: Load | None) -> Array:
        """(m,) standard deviation that `load` adds to that noise because readings are worse than they were."""
        if load is None:
            return np.zeros(len(self.noise))
        return np.asarray(np.sqrt(np.maximum(np.square(load.doubt()) - np.square(self.doubt), 0.0)))

    def asked(self, robot: Robot, block: Block, late_ticks: int = 0, load: Load | None = None) -> Array:
        """(N, m) effort asked for at each reading, by commands `late_ticks` older than usual.

        Args:
            load: of this block, if it is known already.
        """
        low, high = np.array(robot.limits.effort_low), np.array(robot.limits.effort_high)
        command = np.clip(block.group("tau_cmd"), low, high)
        ticks = min(self.ticks + late_ticks, len(command))
        due = np.concatenate([np.repeat(command[:1], ticks, axis=0), command[: len(command) - ticks]])
        if self.loop is None:
            return due
        load = self.loop.load(robot, block) if load is None else load
        limit = np.array(robot.limits.effort)
        asked: Array = np.clip(self.loop.stiffness * due - load.effort, -limit, limit)
        return asked

    def expected(self, robot: Robot, block: Block, load: Load | None = None) -> Array:
        """(N, m) effort that healthy drives give."""
        asked = self.asked(robot, block, load=load)
        if not self.lag_s:
            return asked
        return follow(asked.T, self.lag_s, robot.dt_s, block.group("tau_meas")[:1].T).T


def learn_drive(robot: Robot, head: Block) -> HealthyDrive:
    """The drive that explains the measured effort of healthy telemetry best."""
    recent = head[-_HEAD_ROWS:]
    longest = min(round(LONGEST_S * robot.control_rate_hz), len(recent) // 2)
    in_loop = robot.mode == "position"
    tried = [learn_loop(robot, recent, ticks) if in_loop else None for ticks in range(longest + 1)]
    rough = [None if loop is None else loop.load(robot, recent, smoothed=False) for loop in tried]
    found = [_learn(robot, recent, n, 0.0, *each) for n, each in enumerate(zip(tried, rough, strict=True))]
    prompt = min(found, key=_misfit)
    loop = None if prompt.loop is None else learn_loop(robot, recent, prompt.ticks, prompt.loop)
    load = None if loop is None else loop.load(robot, recent)
    prompt = _learn(robot, recent, prompt.ticks, 0.0, loop, load)
    # A drive that lags explains part of the delay, and has to explain more than a prompt one to be believed.
    slow = [_learn(robot, recent, n, lag_s, loop, load) for lag_s in _LAGS_S for n in range(prompt.ticks + 1)]
    best = min(slow, key=_misfit)
    for width in (1.5, 1.2, 1.07):  # ever closer to the time constant
        lags_s = (best.lag_s / width, best.lag_s * width)
        ticks = range(max(best.ticks - 1, 0), best.ticks + 2)
        near = [_learn(robot, recent, n, lag_s, loop, load) for lag_s in lags_s for n in ticks]
        best = min((best, *near), key=_misfit)
    chosen = best if _misfit(best) < _misfit(prompt) - 1e-3 * len(robot.actuators) else prompt
    return chosen if load is None else replace(chosen, doubt=load.doubt())


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


def _learn(robot: Robot, head: Block, ticks: int, lag_s: float, loop: Loop | None, load: Load | None) -> HealthyDrive:
    m = len(robot.actuators)
    drive = HealthyDrive(ticks=ticks, lag_s=lag_s, loop=loop, noise=np.ones(m), doubt=np.zeros(m))
    left = (head.group("tau_meas") - drive.expected(robot, head, load))[round(LONGEST_S * robot.control_rate_hz) :]
    square = np.mean(np.square(left), axis=0)
    if load is not None:  # a lag smoothes the noise with which the motion is read: that is no merit of it
        lags = (np.full(len(square), lag_s), np.zeros(len(square)))
        square = square - load.variance(lags[0]) + load.variance(lags[1])
    least = _LEAST_NOISE * np.array(robot.limits.effort)
    return replace(drive, noise=np.maximum(np.sqrt(np.maximum(square, 0.0)), least))
