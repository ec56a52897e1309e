"""Smoothing keeps what moves, and looks no higher than the noise of the speed sensor allows."""

from __future__ import annotations

import numpy as np
import pytest

from core.block import Block
from telemetry.motion import best_cutoff_hz, low_pass, smooth

RATE_HZ, HZ = 200.0, 0.7


def sway(noise: tuple[float, ...], moving: tuple[float, ...], seconds: float = 30.0) -> Block:
    """Two coordinates that sway at `HZ` with the speed amplitudes `moving`, read with white noise on the speed."""
    n, t = 2, np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    rng = np.random.default_rng(1)
    omega = 2 * np.pi * HZ
    qd = np.array(moving) * np.cos(omega * t)[:, None]
    data = np.zeros((len(t), 2 + 5 * n + 2))
    data[:, 0], data[:, 1] = np.arange(len(t)), t * 1e9
    data[:, 2:4] = np.array(moving) * np.sin(omega * t)[:, None] / omega
    data[:, 4:6] = qd + rng.standard_normal(qd.shape) * noise
    return Block(data=data, actuators=1)


@pytest.mark.parametrize(
    ("noise", "moving", "expected"),
    [
        ((0.002, 0.002), (1.0, 1.0), 10.0),
        ((0.005, 0.002), (0.2, 1.0), 5.0),  # one noisy coordinate lowers it for all: rows belong to one instant
        ((0.03, 0.002), (0.2, 1.0), 3.0),
        ((0.005, 0.002), (0.0, 1.0), 10.0),  # a coordinate at rest has no acceleration that could drown
    ],
)
def test_the_cutoff_falls_with_the_noise_of_what_moves(
    noise: tuple[float, ...], moving: tuple[float, ...], expected: float
) -> None:
    assert best_cutoff_hz(sway(noise, moving), RATE_HZ) == expected


def test_at_the_chosen_cutoff_noise_is_a_twentieth_of_the_acceleration() -> None:
    clean, noisy = sway((0.0, 0.0), (0.2, 1.0)), sway((0.004, 0.004), (0.2, 1.0))
    cutoff_hz = best_cutoff_hz(noisy, RATE_HZ)
    true = smooth(clean, RATE_HZ, cutoff_hz=cutoff_hz).a
    read = smooth(noisy, RATE_HZ, cutoff_hz=cutoff_hz).a
    assert np.all((read - true).std(axis=0) < 0.05 * true.std(axis=0))
    np.testing.assert_allclose(true.std(axis=0), 2 * np.pi * HZ * np.array([0.2, 1.0]) / np.sqrt(2), rtol=0.01)


def test_rows_are_calmed_at_the_instants_that_the_filter_has_settled_for() -> None:
    motion = smooth(sway((0.0, 0.0), (0.2, 1.0), seconds=8.0), RATE_HZ)
    slow, fast = (np.sin(2 * np.pi * hz * motion.t_s) for hz in (0.5, 8.0))
    calm = motion.calm(np.stack([slow, slow + fast], axis=1), 3.0)
    missing = (len(motion) - len(calm)) // 2
    assert missing == pytest.approx((1 / 3.0 - 1 / 10.0) * 25.0, abs=1)
    np.testing.assert_allclose(calm, np.stack([slow, slow], axis=1)[missing:-missing], atol=0.05)
    assert motion.calm(calm, 10.0) is calm


def test_a_signal_is_reduced_as_if_it_were_filtered_whole() -> None:
    wide = smooth(sway((0.01, 0.01), (0.2, 1.0), seconds=4.0), RATE_HZ).wide
    signal = np.stack([np.sign(wide.v[:, 0]), np.zeros(len(wide.v)), wide.q[:, 1] ** 2], axis=1)
    whole = low_pass(signal, wide.cutoff_hz, RATE_HZ)
    np.testing.assert_allclose(wide.reduce(signal), wide.sample(whole), atol=1e-12)
