"""What a gear with play keeps from the link, against the drive that is simulated."""

from __future__ import annotations

import numpy as np
import pytest

from sim.drive import Drive
from sim.effect import Effect
from sim.twin.play import lost_in_play


@pytest.mark.parametrize("width", [0.0, 0.005, 0.03])
def test_it_is_what_a_simulated_gear_does_not_pass_on(width: float) -> None:
    dt_s, inertia, limit = 0.002, np.array([0.1, 0.02]), np.full(2, 50.0)
    t = np.arange(1000) * dt_s
    effort = np.stack([20.0 * np.sin(7.0 * t), 5.0 * np.cos(4.0 * t) + 1.0], axis=1)
    drive = Drive(limit, inertia, np.zeros(2), dt_s, -limit)
    drive.take(Effect(backlash=(width, width)))
    drive.restart(effort[0])
    passed = np.array([drive.step(asked) for asked in effort])
    lost = lost_in_play(effort, inertia, np.array([0.0, width]), dt_s)
    assert not np.any(lost[0])
    np.testing.assert_allclose(lost[1], effort - passed, atol=1e-9)
    assert np.any(lost[1]) == (width > 0)
