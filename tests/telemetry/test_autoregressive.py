"""Residuals without a robot model: small when healthy, alive where a channel is wrong, the same bits in chunks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry.autoregressive import AutoregressiveResidual, command_columns
from telemetry.residuals import ResidualModel

Array = NDArray[np.float64]
Stream = Callable[..., Array]
NAMES = ("command", "position", "velocity", "current")
RATE_HZ = 100.0


def _fitted(rows: Array) -> tuple[AutoregressiveResidual, Array]:
    model = AutoregressiveResidual(NAMES, RATE_HZ)
    return model, model.fit(_times(rows), rows).value


def _times(rows: Array) -> Array:
    return np.arange(len(rows)) / RATE_HZ


def _residuals(model: AutoregressiveResidual, rows: Array) -> Array:
    return model.residuals(_times(rows), rows).value


def test_commands_are_known_by_their_names() -> None:
    names = ("q_ref[0]", "joint_1.tau_cmd", "joint_1.q", "fluid", "/u", "setpoint", "reflectance", "targeted")
    assert command_columns(names) == (0, 1, 4, 5)


def test_chunks_give_the_bits_of_row_by_row(moving_joint: Stream) -> None:
    rows = moving_joint(1, 1500, RATE_HZ, 10**9)
    rows[1100:1130, 2] = np.nan
    one, many = _fitted(rows[:1000])[0], _fitted(rows[:1000])[0]
    single = np.concatenate([_residuals(one, rows[i : i + 1]) for i in range(1000, 1500)])
    chunks = np.concatenate([_residuals(many, rows[a:b]) for a, b in ((1000, 1001), (1001, 1115), (1115, 1500))])
    assert single.tobytes() == chunks.tobytes()


def test_head_residuals_are_as_large_as_those_of_later_rows(moving_joint: Stream) -> None:
    rows = moving_joint(2, 8000, RATE_HZ, 10**9)
    model, head = _fitted(rows[:2000])
    later = _residuals(model, rows[2000:])
    assert model.residual_channels[0] == "position.step"
    assert model.residual_channels[-1] == "current.redundancy"
    assert np.all(np.abs(head.std(axis=0) / later.std(axis=0) - 1.0) < 0.35)
    assert np.all(head.std(axis=0)[:3] < 0.1)  # motion itself is predicted


def test_bias_stays_in_the_redundancy_residual_and_vanishes_from_the_step(moving_joint: Stream) -> None:
    rows = moving_joint(3, 6000, RATE_HZ, 10**9)
    model, head = _fitted(rows[:4000])
    rows[4000:, 1] += 0.3
    biased = _residuals(model, rows[4000:])[200:].mean(axis=0) / head.std(axis=0)
    at = model.residual_channels.index
    assert abs(biased[at("position.redundancy")]) > 3.0


def test_missing_value_is_missing_in_its_own_residuals_only_and_is_not_read_as_zero(moving_joint: Stream) -> None:
    rows = moving_joint(4, 1200, RATE_HZ, 10**9) + np.array([0.0, 50.0, 0.0, 0.0])
    model, head = _fitted(rows[:1000])
    rows[1000:1005, 1] = np.nan
    residuals = _residuals(model, rows[1000:])
    own = [k for k, name in enumerate(model.residual_channels) if name.startswith("position")]
    assert np.isnan(residuals[:5, own]).all()
    assert np.isfinite(np.delete(residuals, own, axis=1)).all()
    assert np.isfinite(residuals[5:]).all()
    # Zero would lie 50 rad from the last value, hundreds of standard deviations; the last value is close.
    assert np.all(np.abs(np.delete(residuals, own, axis=1)[:5]) < 8.0 * np.delete(head.std(axis=0), own) + 0.5)


def test_gaps_in_the_head_do_not_stop_the_fit(moving_joint: Stream) -> None:
    rows = moving_joint(5, 2000, RATE_HZ, 10**9)
    holes = np.random.default_rng(0).random(rows.shape) < 0.05
    rows[holes] = np.nan
    model, head = _fitted(rows)
    assert np.isnan(head[:, 0]).sum() == holes[:, 1].sum()
    assert np.nanstd(head, axis=0)[:2].max() < 0.2
    assert model.constant == ()


def test_constant_channels_have_no_residuals_and_a_still_head_is_refused() -> None:
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.standard_normal(200), np.full(200, 0.1)])
    model = AutoregressiveResidual(["a", "b"], RATE_HZ)
    assert model.fit(_times(rows), rows).value.shape == (200, 2)
    assert model.constant == ("b",)
    assert model.residual_channels == ("a.step", "a.redundancy")
    with pytest.raises(BadInput, match="a head in which the robot moves"):
        AutoregressiveResidual(["cmd", "b"], RATE_HZ).fit(_times(rows), rows)
    with pytest.raises(BadInput, match="longer head"):
        AutoregressiveResidual(["a", "b"], RATE_HZ).fit(_times(rows[:59]), rows[:59])
    protocol: ResidualModel = model
    assert protocol.residuals(_times(rows[:0]), rows[:0]).value.shape == (0, 2)


def test_what_is_expected_and_where_it_moves_go_with_the_residual(moving_joint: Stream) -> None:
    rows = moving_joint(6, 2000, RATE_HZ, 10**9)
    model, _ = _fitted(rows[:1000])
    later = model.residuals(_times(rows[1000:]), rows[1000:])
    spread = (rows[:1000, 1] - rows[:1000, 1].mean()) / rows[:1000, 1].std()
    assert np.corrcoef(later.expected[:, 0], rows[1000:, 1])[0, 1] > 0.99
    assert np.abs(later.expected[:, 0]).max() < 2.0 * np.abs(spread).max()
    assert later.rate[0, 0] == pytest.approx(np.diff(later.expected[:2, 0])[0], abs=0.05)  # it knows the row before
    np.testing.assert_array_equal(later.rate[1:], np.diff(later.expected, axis=0))
