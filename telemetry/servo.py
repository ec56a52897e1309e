"""A position loop inside a drive: what it asks for, known from noisy readings of the motion that it acts on.

    effort asked for = stiffness * (command - q) - damping * qd

The loop acts on the motion and not on the noise with which that is read, so q and qd are smoothed. How much is a matter
of the motion: the filter is the one of least expected error (Stein's unbiased risk estimate; Stein 1981).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from core.block import Array, Block
from core.robot import Robot
from telemetry.motion import low_pass, share_passed

_CUTOFFS_HZ = (np.inf, 40.0, 30.0, 25.0, 20.0, 15.0, 10.0)  # candidates
_SMOOTH = 3.0  # standard deviations of its noise by which a speed may bend without a jump
_ON_GRID = 1e-3  # of a step
_TURN = np.linspace(0.0, np.pi, 200)  # from tick to tick, of the frequencies at which a spectrum is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The m loops of one robot."""

    stiffness: Array  # (m,) effort per position error
    damping: Array  # (m,) effort per velocity

    def load(self, robot: Robot, block: Block, smoothed: bool = True) -> Load:
        """What the motion in `block` takes off what the commands ask for."""
        q, qd = _driven(robot, block)
        load = self.stiffness * q + self.damping * qd
        std = np.array(robot.sensors.velocity_noise)[_joints(robot)]
        variance = np.square(self.stiffness) * _position_variance(robot, q, qd) + np.square(self.damping * std)
        cutoff_hz = np.full(load.shape[1], np.inf)
        if smoothed:
            tried = [low_pass(load, hz, robot.control_rate_hz) for hz in _CUTOFFS_HZ]
            kept = [_passed(hz, robot.control_rate_hz).mean() for hz in _CUTOFFS_HZ]
            risk = [
                np.square(load - each).mean(axis=0) + 2.0 * variance * share
                for each, share in zip(tried, kept, strict=True)
            ]
            best = np.argmin(risk, axis=0)
            load = np.array(tried)[best, :, np.arange(len(best))].T
            cutoff_hz = np.array(_CUTOFFS_HZ)[best]
        noise = np.array(robot.sensors.position_noise)[_joints(robot)]
        usual = np.square(self.stiffness * noise) + np.square(self.damping * std)
        return Load(
            effort=load,
            white=variance,
            usual=usual,
            rounding=0.5 * self.stiffness * _step(q, noise),
            jolt=self.damping * _jumps(qd, std),
            cutoff_hz=cutoff_hz,
            rate_hz=robot.control_rate_hz,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Effort that the motion takes off, N ticks of m loops, and how noisy it is."""

    effort: Array  # (N, m)
    white: Array  # (m,) variance that noise of the sensors gave it before it was smoothed
    usual: Array  # (m,) what it is with sensors as good as the data sheet says
    rounding: Array  # (m,) error that coarse steps of the position make at the most
    jolt: Array  # (N, m) standard deviation on top, where an impact has changed the speed within a tick
    cutoff_hz: Array  # (m,) of the filter
    rate_hz: float

    def doubt(self) -> Array:
        """(m,) standard deviation that readings worse than those of healthy sensors give it."""
        worse = np.maximum(1.0 - self.usual / np.maximum(self.white, 1e-300), 0.0)
        return np.asarray(np.hypot(np.sqrt(worse * self.variance(np.zeros(len(self.white)))), self.rounding))

    def variance(self, lag_s: Array) -> Array:
        """(m,) variance of what is left of that noise behind a first-order lag of `lag_s` (m,)."""
        passed = np.array([_passed(float(hz), self.rate_hz) for hz in self.cutoff_hz])
        keep = np.exp(-1.0 / (self.rate_hz * np.maximum(lag_s, 1e-9)))[:, None]
        power = np.square(1.0 - keep) / (1.0 - 2.0 * keep * np.cos(_TURN) + np.square(keep))
        left: Array = self.white * (power * np.square(passed)).mean(axis=1)
        return left


def learn_loop(robot: Robot, head: Block, ticks: int, known: Loop | None = None) -> Loop:
    """The loops that explain the measured effort best, by least squares, commands being `ticks` late.

    Args:
        known: the loops as they were found before; with them the motion can be smoothed.
    """
    q, qd = _driven(robot, head)
    if known is not None:
        cutoff_hz = float(np.median(known.load(robot, head).cutoff_hz))
        q, qd = (low_pass(each, cutoff_hz, robot.control_rate_hz) for each in (q, qd))
    measured, limit = head.group("tau_meas")[ticks:], np.array(robot.limits.effort)
    error = head.group("tau_cmd")[: len(q) - ticks] - q[ticks:]
    gains = []
    for k in range(measured.shape[1]):
        free = np.abs(measured[:, k]) < 0.95 * limit[k]
        basis = np.stack([error[free, k], -qd[ticks:][free, k]], axis=1)
        gains.append(np.linalg.lstsq(basis, measured[free, k], rcond=None)[0] if len(basis) > 2 else np.zeros(2))
    stiffness, damping = np.array(gains).T
    return Loop(stiffness=stiffness, damping=damping)


@cache
def _passed(cutoff_hz: float, rate_hz: float) -> Array:
    """(200,) share of the amplitude that the filter lets through; asked for once for every hypothesis."""
    return share_passed(cutoff_hz, rate_hz, _TURN)


def _joints(robot: Robot) -> list[int]:
    """Coordinates behind the drives."""
    return [joint or 0 for joint in robot.drives]


def _driven(robot: Robot, block: Block) -> tuple[Array, Array]:
    """(N, m) position and velocity of the coordinates behind the drives.

    A loop reads its encoder by itself: a reading that never came here was not missing there.
    """
    q, tick = block.group("q")[:, _joints(robot)], np.arange(len(block))
    coarse = _step(q, np.array(robot.sensors.position_noise)[_joints(robot)])
    for k, column in enumerate(q.T):
        if coarse[k]:  # repeats are no gaps: there was nothing new to say
            continue
        came = np.flatnonzero(np.diff(column, prepend=np.nan) != 0.0)
        if len(came) < len(q):
            q[:, k] = np.interp(tick, came, column[came])
    return q, block.group("qd")[:, _joints(robot)]


def _step(q: Array, std: Array) -> Array:
    """(m,) step of position readings `q` (N, m) on a grid that is coarser than their noise `std` (m,); else zero."""
    steps = np.abs(np.diff(q, axis=0))
    least = np.where(steps > std, steps, np.inf).min(axis=0, initial=np.inf)
    off = np.abs(steps / least - np.round(steps / least)).max(axis=0, initial=0.0)
    return np.where(np.isfinite(least) & (off < _ON_GRID), least, 0.0)


def _jumps(qd: Array, std: Array) -> Array:
    """(N, m) jumps of the speeds `qd` (N, m), read with noise `std` (m,), in or beside each tick; zero where smooth."""
    bend = np.zeros_like(qd)
    bend[1:-1] = np.maximum(np.abs(np.diff(qd, n=2, axis=0)) - _SMOOTH * np.sqrt(6.0) * std, 0.0)
    beside = np.pad(bend, ((1, 1), (0, 0)))
    largest: Array = np.maximum(bend, np.maximum(beside[:-2], beside[2:]))
    return largest


def _position_variance(robot: Robot, q: Array, qd: Array) -> Array:
    """(m,) variance of the noise of position readings (N, m): what neighbouring steps share, with opposite signs."""
    nominal: Array = np.square(np.array(robot.sensors.position_noise)[_joints(robot)])
    if len(q) < 3:
        return nominal
    missed = np.diff(q, axis=0) - 0.5 * (qd[1:] + qd[:-1]) * robot.dt_s
    shared: Array = np.maximum(-np.mean(missed[1:] * missed[:-1], axis=0), nominal)
    return shared
