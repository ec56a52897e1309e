"""The equations of motion: their terms fit together, and loads and regressors are exact."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.rigid_body import ModelTerms, RigidBodyModel
from core.robot import Robot
from core.robot_toml import load_robot


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


small = _load(Path(__file__).parents[1] / "small_robots.py")
Array = np.ndarray[Any, np.dtype[np.float64]]
joints = st.lists(st.floats(-2.5, 2.5), min_size=7, max_size=7).map(np.array)


@pytest.fixture(scope="module")
def path() -> Callable[[float], tuple[Array, Array, Array]]:
    """A smooth random motion: time [s] -> position, velocity, acceleration."""
    rng = np.random.default_rng(11)
    size, omega, phase = rng.uniform(0.2, 0.8, 7), rng.uniform(0.5, 4.0, 7), rng.uniform(0.0, 6.0, 7)

    def at(t: float) -> tuple[Array, Array, Array]:
        angle = omega * t + phase
        return size * np.sin(angle), size * omega * np.cos(angle), -size * omega**2 * np.sin(angle)

    return at


@settings(max_examples=30, deadline=None)
@given(q=joints, v=joints, a=joints)
def test_inverse_dynamics_is_inertia_times_acceleration_plus_the_rest(
    iiwa: Robot, q: Array, v: Array, a: Array
) -> None:
    model = RigidBodyModel(iiwa)
    inertia = model.link_inertia(q).copy()
    rest = pin.nonLinearEffects(model.model, model.data, q, v).copy()
    expected = inertia @ a + rest + model.rotor_inertia * a + model.damping * v
    np.testing.assert_allclose(model.inverse_dynamics(q, v, a), expected, atol=1e-9)
    still = pin.nonLinearEffects(model.model, model.data, q, np.zeros(7)).copy()
    np.testing.assert_allclose(model.gravity(q), still, atol=1e-9)
    np.testing.assert_allclose(inertia, inertia.T, atol=1e-12)
    assert np.linalg.eigvalsh(inertia).min() > 0


def test_momentum_changes_as_inverse_dynamics_demands(
    iiwa: Robot, path: Callable[[float], tuple[Array, Array, Array]]
) -> None:
    """d/dt (M v) = tau + C^T v - g - D v along any motion; tau from inverse dynamics."""
    model = RigidBodyModel(iiwa, payload_kg=2.0)
    model.damping = np.linspace(0.1, 2.0, 7)
    h = 1e-5
    for t in np.linspace(0.0, 6.0, 25):
        (q, v, a), (q0, v0, _), (q1, v1, _) = path(t), path(t - h), path(t + h)
        rate = (model.momentum(q1, v1) - model.momentum(q0, v0)) / (2 * h)
        expected = model.inverse_dynamics(q, v, a) + model.momentum_rate_bias(q, v)
        np.testing.assert_allclose(rate, expected, atol=1e-5)


def test_power_of_the_motors_is_what_energy_gains_and_friction_takes(
    iiwa: Robot, path: Callable[[float], tuple[Array, Array, Array]]
) -> None:
    model = RigidBodyModel(iiwa)
    h = 1e-5

    def kinetic(t: float) -> float:
        q, v, _ = path(t)
        return 0.5 * float(v @ model.momentum(q, v))

    for t in np.linspace(0.0, 6.0, 13):
        q, v, a = path(t)
        gained = (kinetic(t + h) - kinetic(t - h)) / (2 * h)
        spent = float(v @ (model.inverse_dynamics(q, v, a) - model.gravity(q) - model.damping * v))
        assert gained == pytest.approx(spent, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(q=joints, v=joints, a=joints, mass_kg=st.floats(0.0, 12.0))
def test_torque_is_affine_in_the_load_so_per_kilogram_terms_are_exact(
    iiwa: Robot, q: Array, v: Array, a: Array, mass_kg: float
) -> None:
    terms = ModelTerms(iiwa, ("inertia", "bias", "inertia_per_kg", "bias_per_kg"))
    out: dict[str, Any] = {}
    terms.compute(q.tolist(), v.tolist(), out)
    inertia = np.array(out["inertia"]) + mass_kg * np.array(out["inertia_per_kg"])
    bias = np.array(out["bias"]) + mass_kg * np.array(out["bias_per_kg"])
    loaded = RigidBodyModel(iiwa, payload_kg=mass_kg)
    np.testing.assert_allclose(inertia @ a + bias, loaded.inverse_dynamics(q, v, a), atol=1e-9)


def test_only_the_terms_that_are_asked_for_are_computed(iiwa: Robot) -> None:
    every = {"gravity", "inertia", "bias", "inertia_per_kg", "bias_per_kg"}
    whole: dict[str, Any] = {}
    ModelTerms(iiwa, tuple(every)).compute([0.1] * 7, [0.2] * 7, whole)
    assert set(whole) == every
    for name in every:
        out: dict[str, Any] = {}
        ModelTerms(iiwa, (name,)).compute([0.1] * 7, [0.2] * 7, out)
        assert name in out
        assert out[name] == whole[name]
    nothing: dict[str, Any] = {}
    ModelTerms(iiwa, ("q", "qd")).compute([0.1] * 7, [0.2] * 7, nothing)
    assert nothing == {}


def test_a_load_replaces_the_load_before_it_and_leaves_nothing_behind(iiwa: Robot) -> None:
    model, q = RigidBodyModel(iiwa), np.linspace(-1, 1, 7)
    bare = model.gravity(q).tolist()
    weights = {}
    for mass_kg in (3.0, 7.0, 0.0, 3.0, 0.0):
        model.set_payload(mass_kg)
        assert model.payload_kg == mass_kg
        weights.setdefault(mass_kg, model.gravity(q).tolist())
        assert model.gravity(q).tolist() == weights[mass_kg]
    assert weights[0.0] == bare
    np.testing.assert_allclose(weights[3.0], RigidBodyModel(iiwa, payload_kg=3.0).gravity(q), atol=1e-12)


def test_the_load_hangs_at_the_payload_point(iiwa: Robot) -> None:
    """Stretched out level, one kilogram weighs 9.81 N times its distance from the shoulder."""
    stretched = np.array([0.0, np.pi / 2, 0.0, 0.0, 0.0, 0.0, 0.0])
    loaded, empty = RigidBodyModel(iiwa, payload_kg=1.0), RigidBodyModel(iiwa)
    change = loaded.gravity(stretched)[1] - empty.gravity(stretched)[1]
    moved = replace(iiwa, payload_point_m=(0.0, 0.0, 0.3))
    further = RigidBodyModel(moved, payload_kg=1.0).gravity(stretched)[1] - empty.gravity(stretched)[1]
    assert abs(further) - abs(change) == pytest.approx(0.2 * 9.81, abs=1e-6)
    assert 0.8 * 9.81 < abs(change) < 1.1 * 9.81


@settings(max_examples=20, deadline=None)
@given(q=joints, v=joints, a=joints)
def test_the_regressor_times_the_inertial_parameters_is_the_link_torque(
    iiwa: Robot, q: Array, v: Array, a: Array
) -> None:
    model = RigidBodyModel(iiwa)
    torque = model.inertial_regressor(q, v, a) @ model.inertial_parameters()
    links = model.inverse_dynamics(q, v, a) - model.rotor_inertia * a - model.damping * v
    np.testing.assert_allclose(torque, links, atol=1e-8)


def test_inertial_parameters_can_be_replaced(iiwa: Robot) -> None:
    model, q = RigidBodyModel(iiwa), np.linspace(-1, 1, 7)
    parameters = model.inertial_parameters()
    assert parameters.shape == (70,)
    weight = model.gravity(q).copy()
    model.set_inertial_parameters(2.0 * parameters)
    np.testing.assert_allclose(model.gravity(q), 2.0 * weight, atol=1e-9)
    np.testing.assert_allclose(model.inertial_parameters(), 2.0 * parameters, atol=1e-12)
    model.set_payload(4.0)
    model.set_inertial_parameters(parameters)
    assert model.payload_kg == 0.0
    np.testing.assert_allclose(model.gravity(q), weight, atol=1e-12)


def test_a_passive_joint_moves_as_the_textbook_says(tmp_path: Path) -> None:
    """Cart and pole: M = [[m + M + r, m l cos], [m l cos, I + m l^2]], gravity -m g l sin about the pivot."""
    model = RigidBodyModel(load_robot(small.write("cartpole", tmp_path)))
    cart_kg, pole_kg, half_m, spin, rotor = 1.0, 0.2, 0.3, 0.004, 0.05
    for angle in (-2.0, 0.0, 0.4):
        q, v, a = np.array([0.3, angle]), np.array([0.7, -1.2]), np.array([0.5, 2.0])
        coupling = pole_kg * half_m * np.cos(angle)
        inertia = np.array([[cart_kg + pole_kg + rotor, coupling], [coupling, spin + pole_kg * half_m**2]])
        swing = np.array([-pole_kg * half_m * np.sin(angle) * v[1] ** 2, 0.0])
        weight = np.array([0.0, -pole_kg * 9.81 * half_m * np.sin(angle)])
        friction = np.array([0.1, 0.002]) * v
        np.testing.assert_allclose(model.gravity(q), weight, atol=1e-12)
        np.testing.assert_allclose(model.inverse_dynamics(q, v, a), inertia @ a + swing + weight + friction, atol=1e-12)
    terms: dict[str, Any] = {}
    ModelTerms(load_robot(tmp_path / "robot.toml"), ["inertia", "bias"]).compute(q.tolist(), v.tolist(), terms)
    np.testing.assert_allclose(terms["inertia"], inertia, atol=1e-12)
    np.testing.assert_allclose(terms["bias"], swing + weight + friction, atol=1e-12)
