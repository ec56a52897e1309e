"""Roll, pitch and yaw (turns about x, then y, then z): rotation, and their rates by the rates about the body's axes."""

from __future__ import annotations

import numpy as np

from core.block import Array


def rotation(attitude: Array) -> Array:
    """(N, 3, 3) from the body's axes to the world's at roll, pitch and yaw (N, 3)."""
    (sr, sp, sy), (cr, cp, cy) = np.sin(attitude).T, np.cos(attitude).T
    result = np.empty((len(attitude), 3, 3))
    result[:, 0] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], axis=1)
    result[:, 1] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], axis=1)
    result[:, 2] = np.stack([-sp, cp * sr, cp * cr], axis=1)
    return result


def attitude_rates(attitude: Array, body_rates: Array) -> Array:
    """(N, 3) rates of roll, pitch and yaw at `attitude` (N, 3) for rates about the body's axes (N, 3)."""
    roll, pitch = attitude[:, 0], attitude[:, 1]
    x, y, z = body_rates.T
    across = y * np.sin(roll) + z * np.cos(roll)
    return np.stack([x + across * np.tan(pitch), y * np.cos(roll) - z * np.sin(roll), across / np.cos(pitch)], axis=1)
