"""Rows of a robot's balances: averages that belong together, weights that are learnt, ticks in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import sim
from core.block import Array, Block
from core.errors import BadInput
from core.robot import Robot
from core.robot_toml import load_robot
from telemetry.watch.attitude import attitude_rates, rotation
from telemetry.watch.average import Average, ticks_per_row
from telemetry.watch.kinds import WATCHED, balances_of
from telemetry.watch.plain import PlainBalances
from telemetry.watch.regression import RegressionResidual
from telemetry.watch.row import Row

IIWA = load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")


def _ticks(rows: int, seed: int = 1) -> Block:
    n, m = IIWA.dof, len(IIWA.actuators)
    data = np.random.default_rng(seed).standard_normal((rows, 2 + 5 * n + 2 * m))
    data[:, 0] = np.arange(rows)
    data[:, 1] = np.arange(rows) * 2e6
    return Block(data=data, actuators=m)


@pytest.mark.parametrize("ticks", [1, 2, 5])
def test_an_increment_is_the_mean_rate_under_the_same_average(ticks: int) -> None:
    average, dt_s = Average(ticks, 0.002), 0.002
    t = np.arange(60) * dt_s
    effort = np.sin(40.0 * t)[:, None] + 0.3
    speed = np.zeros((60, 1))
    for i in range(1, 60):
        speed[i] = speed[i - 1] + dt_s * effort[i]  # what was measured at tick i acted on the way to it
    np.testing.assert_allclose(average.increment(speed), average.under(effort, late=1.0), atol=1e-12)
    position = np.cumsum(0.5 * (speed[1:] + speed[:-1]) * dt_s, axis=0)
    position = np.concatenate([np.zeros((1, 1)), position])
    np.testing.assert_allclose(average.increment(position), average.under(speed), atol=1e-12)
    assert len(average.mean(speed)) == 60 // ticks - 1


def test_rows_come_a_hundred_times_a_second_or_as_often_as_there_are_ticks() -> None:
    assert [ticks_per_row(rate) for rate in (50.0, 100.0, 250.0, 500.0, 1000.0)] == [1, 1, 2, 5, 10]


def test_attitude_rates_are_the_derivative_of_the_attitude() -> None:
    attitude, body = np.array([[0.3, -0.4, 1.2]]), np.array([[0.7, -0.2, 0.5]])
    step = 1e-6
    turned = rotation(attitude)[0] @ _small_turn(body[0] * step)
    again = rotation(attitude + step * attitude_rates(attitude, body))[0]
    np.testing.assert_allclose(again, turned, atol=1e-11)


def _small_turn(angle: Array) -> Array:
    x, y, z = angle
    return np.eye(3) + np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


class _MadeUp:
    """Target = 2 a - 3 b + 1 of two measured channels."""

    ticks, history = 5, 7

    def learn(self, robot: Robot, head: Block) -> None:
        self.learnt = len(head)

    def rows(self, block: Block) -> Sequence[Row]:
        average = Average(self.ticks, IIWA.dt_s)
        q = average.mean(block.group("q")[self.history :])
        noise = 0.01 * average.mean(block.group("tau_meas")[self.history :])[:, 0]
        target = 2.0 * q[:, 0] - 3.0 * q[:, 1] + 1.0 + noise
        still = np.zeros(len(q))
        return [
            Row(channel="made_up", target=target, features=q[:, :3], rate=still),
            Row(channel="known", target=q[:, 4] + noise, features=q[:, 4:5], rate=still, known=True, smallest=0.5),
        ]


def test_weights_are_learnt_and_known_rows_are_left_as_they_are() -> None:
    model = RegressionResidual(IIWA, _MadeUp())
    head = model.fit(_ticks(6000))
    assert model.channels == ("made_up", "known")
    assert model.smallest_shift.tolist() == [0.0, 0.5]
    later = model.residuals(_ticks(6000, 2))
    for rows in (head, later):
        assert rows.value.std(axis=0) == pytest.approx(0.01 / np.sqrt(5.0), rel=0.1)
    assert later.t_s[1] - later.t_s[0] == pytest.approx(5 * IIWA.dt_s)


def test_pieces_of_any_length_give_the_same_bits() -> None:
    whole, pieces = RegressionResidual(IIWA, balances_of(IIWA)), RegressionResidual(IIWA, balances_of(IIWA))
    head, ticks = _swinging(8000), _swinging(600, 3)
    whole.fit(head)
    pieces.fit(head)
    expected = whole.residuals(ticks)
    edges = [0, 1, 2, 30, 31, 200, 203, 600]
    parts = [pieces.residuals(ticks[a:b]) for a, b in pairwise(edges)]
    assert len(expected) > 100
    for name in ("t_s", "value", "expected", "driven", "rate", "stir", "readings"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert joined.tobytes() == getattr(expected, name).tobytes(), name
        assert getattr(expected, name).flags.c_contiguous, name


def test_after_a_gap_rows_begin_anew() -> None:
    model = RegressionResidual(IIWA, _MadeUp())
    model.fit(_ticks(6000))
    ticks = _ticks(1000, 2)
    late = Block(data=ticks.data[200:].copy(), actuators=ticks.actuators)
    late.data[:, 1] += 1e9
    model.residuals(ticks[:203])
    after = model.residuals(late)
    assert after.t_s[0] == pytest.approx(late.t_s[0] + (_MadeUp.history + 2 * 5 - 1) * IIWA.dt_s)
    joined = Block.join([ticks[:203], late])
    model.forget()
    at_once = model.residuals(joined)
    assert at_once.value[-len(after) :].tobytes() == after.value.tobytes()
    assert len(at_once) == len(after) + (203 - _MadeUp.history) // 5 - 1


def _swinging(rows: int, seed: int = 1) -> Block:
    """Joints that swing a little: enough for a calibration."""
    block = _ticks(rows, seed)
    t, home = block.t_s[:, None], np.array(IIWA.home)
    pace = np.linspace(2.0, 5.0, 7)
    block.group("q")[:] = home + 0.3 * np.sin(pace * t)
    block.group("qd")[:] = 0.3 * pace * np.cos(pace * t)
    return block


def test_what_a_fault_changes_can_be_taken_for_normal() -> None:
    model = RegressionResidual(IIWA, _MadeUp())
    model.fit(_ticks(6000))
    changed = _ticks(3000, 4)
    changed.group("q")[:, 0] *= 0.8  # the target answers with 2 * 0.8 of what the others see
    seen = model.residuals(changed).value[:, 0]
    restored = changed.data.copy()
    before = Block(data=restored, actuators=changed.actuators)
    before.group("q")[:, 0] /= 0.8

    class Weaker(_MadeUp):
        def rows(self, block: Block) -> Sequence[Row]:
            made_up, known = super().rows(block)
            lost = 0.4 * made_up.features[:, 0]
            return [
                Row(channel="made_up", target=made_up.target - lost, features=made_up.features, rate=made_up.rate),
                known,
            ]

    assert np.isfinite(seen).all()
    model._balances = Weaker()
    model.forget()
    assert model.residuals(_ticks(3000, 5)).value[:, 0].std() > 0.1
    model.relearn(_ticks(3000, 6))
    model.forget()
    assert model.residuals(_ticks(3000, 7)).value[:, 0].std() < 0.01


def test_a_head_too_short_to_learn_from_is_refused() -> None:
    with pytest.raises(BadInput, match=r"0\.4 s of healthy motion are too few"):
        RegressionResidual(IIWA, _MadeUp()).fit(_ticks(200))


def test_a_kind_that_nobody_has_described_keeps_what_every_robot_keeps() -> None:
    assert set(WATCHED) >= {"fixed_base", "quadrotor", "diffdrive", "legged"}
    odd = Robot(**{**{f: getattr(IIWA, f) for f in IIWA.__dataclass_fields__}, "kind": "ornithopter"})
    assert type(balances_of(odd)) is PlainBalances
    channels = RegressionResidual(odd, balances_of(odd))
    channels.fit(_swinging(3000))
    assert channels.channels[0] == "joint_1.drive"
    assert channels.channels[-1] == "joint_7.travel"
