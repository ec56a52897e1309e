"""A residual law adds no more than its authority, starts at nothing, fades outside its training, and survives cuts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.controller import Controller
from controllers.library import find_law
from controllers.network import network
from core.errors import BadInput
from core.signals import SIGNALS
from patcher.rl.cuts import cut_runs
from patcher.rl.residual import STATES, WIDE, Ranges, Residual, first_layers, inputs, residual_law
from sim.catalogue import find_robot, robot_names
from sim.practice import Practice
from sim.rollout import rollout
from sim.trial import draw_trial

ARM = find_robot("arm2")
BASE = find_law(ARM, ARM.controller)
AUTHORITY = np.array([7.0, 0.9])


def ranges(robot: Any = ARM, reach: float = WIDE) -> Ranges:
    d, rng = inputs(robot), np.random.default_rng(4)
    wide = np.full(d, reach)
    scale = rng.uniform(0.5, 2.0, d)
    return Ranges(mean=rng.normal(size=d) * 0.1, scale=scale, low=-wide, high=wide, step=np.full(robot.dof, 5.0))


def random_layers(robot: Any = ARM, hidden: tuple[int, ...] = (8, 8), size: float = 1.0) -> Any:
    rng = np.random.default_rng(7)
    layers = [(weight * size, bias) for weight, bias in first_layers(robot, hidden, rng)]
    last = layers[-1][0]
    return [*layers[:-1], (size * rng.normal(size=last.shape), layers[-1][1])]


def law(layers: Any = None, reach: float = WIDE, squash: bool = False, hold: int = 3) -> Artefact:
    residual = Residual(
        layers=random_layers() if layers is None else layers,
        ranges=ranges(reach=reach),
        authority=AUTHORITY,
        hold=hold,
        pace=0.4,
        squash=squash,
        trained="in a test",
    )
    return residual_law(BASE, ARM, residual)


TRIAL = draw_trial(ARM, fault="payload:mass=1", seed=3, duration_s=0.6)


# it starts at nothing


@pytest.mark.parametrize("name", robot_names())
def test_a_zero_last_layer_is_the_law_under_it_to_the_last_bit(name: str) -> None:
    robot = find_robot(name)
    base, half = find_law(robot, robot.controller), np.array(robot.limits.effort_high)
    residual = Residual(
        layers=first_layers(robot, (8,), np.random.default_rng(1)),
        ranges=ranges(robot),
        authority=0.1 * np.abs(half),
        hold=2,
        pace=0.5,
        squash=False,
        trained="in a test",
    )
    trial = draw_trial(robot, seed=2, duration_s=0.4)
    np.testing.assert_array_equal(
        rollout(robot, residual_law(base, robot, residual), trial).command, rollout(robot, base, trial).command
    )


def test_without_authority_it_is_the_law_under_it() -> None:
    silent = with_params(law(), {"net_authority": [0.0, 0.0]})
    assert not np.array_equal(rollout(ARM, law(), TRIAL).command, rollout(ARM, BASE, TRIAL).command)
    np.testing.assert_array_equal(rollout(ARM, silent, TRIAL).command, rollout(ARM, BASE, TRIAL).command)


# it adds no more than its authority


ANY = st.floats(width=64, allow_nan=True, allow_infinity=True)


def added(artefact: Artefact, ticks: list[dict[str, Any]]) -> np.ndarray:
    """(N, m) what the law puts out on top of the one under it, from the same signals, less what rounding may do."""
    whole, alone = (Controller.from_artefact(each, ARM.ports) for each in (artefact, BASE))
    rows = []
    for signals in ticks:
        ours, theirs = np.array(whole.step(signals)), np.array(alone.step(signals))
        with np.errstate(invalid="ignore"):
            more = np.where(np.isfinite(theirs), ours - theirs, 0.0)
        rounding = 4.0 * np.finfo(float).eps * np.abs(np.nan_to_num(theirs, posinf=0.0, neginf=0.0))
        rows.append(np.sign(more) * np.maximum(np.abs(more) - rounding, 0.0))
        assert np.isfinite(ours[np.isfinite(theirs)]).all()
    return np.array(rows)


def ticks_of(values: list[float], count: int) -> list[dict[str, Any]]:
    """Signals whose entries are drawn from `values` in turn."""
    found, k = [], 0
    for _ in range(count):
        signals: dict[str, Any] = {}
        for name, signal in SIGNALS.items():
            shape = ARM.ports.shape(signal.shape)
            size = math.prod(shape)
            row = np.array([values[(k + i) % len(values)] for i in range(size)])
            k += size
            signals[name] = ARM.dt_s if not shape else row.reshape(shape).tolist()
        found.append(signals)
    return found


@settings(max_examples=60)
@given(
    st.lists(ANY, min_size=1, max_size=7),
    st.floats(-1e30, 1e30),
    st.booleans(),
    st.sampled_from([0.1, 3.0, WIDE]),
)
@example([math.nan], 1.0, False, WIDE)
@example([0.1, math.inf, -math.inf, 1e308], 1e30, True, WIDE)
def test_nothing_in_measurements_or_weights_makes_it_add_more(
    values: list[float], size: float, squash: bool, reach: float
) -> None:
    """By construction: the command is the other law's plus net_authority times a number from -1 to 1."""
    found = added(law(random_layers(size=size), reach=reach, squash=squash), ticks_of(values, 6))
    assert (np.abs(found) <= AUTHORITY * (1.0 + 1e-12)).all()


def test_the_bound_is_reached_and_no_idle_claim() -> None:
    found = added(law(random_layers(size=50.0)), ticks_of([0.3, -0.2, 0.5], 12))
    assert (np.abs(found).max(axis=0) > 0.9 * AUTHORITY).all()


def test_a_reading_that_is_no_number_silences_it_and_it_comes_back() -> None:
    artefact = law()
    whole = Controller.from_artefact(artefact, ARM.ports)
    good, bad = ticks_of([0.3, -0.2, 0.5], 1)[0], ticks_of([math.nan], 1)[0]
    last = whole.states["net_last"]
    for _ in range(6):
        whole.step(good)
    assert any(last)
    whole.step(bad)
    whole.step(bad)
    assert last == [0.0, 0.0]
    for _ in range(9):
        whole.step(good)
    assert any(last)
    assert all(map(math.isfinite, [*last, *whole.states["net_slow"]]))


# it fades where it was not trained


def silenced(artefact: Artefact, signals: dict[str, Any], ticks: int) -> list[float]:
    whole, sizes = Controller.from_artefact(artefact, ARM.ports), []
    for _ in range(ticks):
        whole.step(signals)
        sizes.append(max(map(abs, whole.states["net_last"])))
    return sizes


def test_far_from_its_training_it_adds_nothing() -> None:
    near, far = ticks_of([0.02], 1)[0], ticks_of([9.0], 1)[0]
    trained_here = law(reach=30.0)
    assert silenced(trained_here, near, 30)[-1] > 0.01
    assert silenced(law(reach=WIDE), far, 30)[-1] > 0.01
    assert silenced(trained_here, far, 30)[-1] == 0.0


def test_leaving_its_training_it_fades_and_does_not_jump() -> None:
    artefact = law(reach=30.0)
    whole = Controller.from_artefact(artefact, ARM.ports)
    near, far = ticks_of([0.02], 1)[0], ticks_of([9.0], 1)[0]
    course = []
    for k in range(60):
        whole.step(near if k < 30 else far)
        course.append(list(whole.states["net_last"]))
    sizes = np.abs(np.array(course)).max(axis=1)
    after = sizes[31:]
    assert after[0] > 0.3 * sizes[30]  # the first tick takes a part of it
    assert (np.diff(after) <= 0.0).all()
    assert after[-1] < 1e-6


def test_the_margin_is_a_parameter_that_widens_the_fade() -> None:
    edge = ticks_of([0.9], 1)[0]
    narrow, wide = (with_params(law(reach=1.0, hold=1), {"net_margin": margin}) for margin in (0.1, 10.0))
    assert silenced(narrow, edge, 20)[-1] < silenced(wide, edge, 20)[-1]


# practice runs the law's own lines


@pytest.mark.parametrize("squash", [False, True])
def test_a_policy_that_practises_commands_what_the_law_commands_by_itself(squash: bool) -> None:
    artefact = law(squash=squash)
    arrays = {name: value.astype(float) for name, value in load(artefact.files["weights.safetensors"]).items()}
    env = Practice(ARM, artefact, [TRIAL], 3, STATES)
    env.reset(options={"which": 0})
    net = network([(arrays[f"net_w{k}"].tolist(), arrays[f"net_b{k}"].tolist()) for k in (1, 2, 3)])
    over, commands = False, []
    while not over:
        answer = net(env._seen)
        action = [math.tanh(value) for value in answer] if squash else answer
        _, _, lost, ended, _ = env.step(np.array(action))
        commands.append(env._last)
        over = lost or ended
    env.close()
    trace = rollout(ARM, artefact, TRIAL)
    assert len(commands) == 100
    np.testing.assert_array_equal(np.array(commands[:-1]), trace.command[3::3])  # the last action is cut short


def test_doing_nothing_is_paid_nothing_and_losing_the_robot_costs() -> None:
    env = Practice(ARM, law(), [TRIAL], 3, STATES)
    env.reset(options={"which": 0})
    rewards, over = [], False
    while not over:
        _, reward, lost, ended, _ = env.step(np.zeros(2, np.float32))
        rewards.append(reward)
        over = lost or ended
    assert rewards == [0.0] * len(rewards)
    assert env.ticks == 2 * round(TRIAL.duration_s * ARM.control_rate_hz)  # the law alone, and this episode
    env.close()
    pole = find_robot("cartpole")
    residual = Residual(
        layers=first_layers(pole, (8,), np.random.default_rng(1)),
        ranges=ranges(pole),
        authority=np.array([17.0]),
        hold=2,
        pace=0.5,
        squash=False,
        trained="in a test",
    )
    pushed = residual_law(find_law(pole, pole.controller), pole, residual)
    wild = Practice(pole, pushed, [draw_trial(pole, seed=1, duration_s=3.0)], 2, STATES)
    wild.reset(options={"which": 0})
    over = False
    while not over:
        _, reward, lost, ended, _ = wild.step(np.ones(1, np.float32))
        over = lost or ended
    assert lost
    assert reward < -10.0
    wild.close()


# cuts, and what no law is


def test_a_law_with_its_residual_cut_runs_on() -> None:
    artefact = law()
    (cut,) = cut_runs(ARM, artefact, [TRIAL], seed=5)
    assert not cut.limit_broken
    whole, alone = rollout(ARM, artefact, TRIAL), rollout(ARM, BASE, TRIAL)
    assert cut.metrics["rms_tracking_error"] not in (
        whole.metrics()["rms_tracking_error"],
        alone.metrics()["rms_tracking_error"],
    )
    assert cut_runs(ARM, artefact, [TRIAL], seed=5) == [cut]


def test_weights_that_are_not_finite_are_no_law() -> None:
    artefact = law()
    arrays = load(artefact.files["weights.safetensors"])
    arrays["net_w1"] = np.full_like(arrays["net_w1"], np.nan)
    broken = artefact_from_files("broken", {**artefact.files, "weights.safetensors": save(arrays)})
    with pytest.raises(BadInput, match="must hold finite floats"):
        Controller.from_artefact(broken, ARM.ports)


def test_a_residual_on_a_residual_is_refused() -> None:
    residual = Residual(
        layers=random_layers(), ranges=ranges(), authority=AUTHORITY, hold=3, pace=0.4, squash=False, trained="twice"
    )
    with pytest.raises(BadInput, match="has weights already"):
        residual_law(law(), ARM, residual)
