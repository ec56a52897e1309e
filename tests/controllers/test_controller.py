"""A running controller: total over all floats, with memory that can be reset, exported and adopted."""

from __future__ import annotations

import gc
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import LAWS, Artefact, artefact_from_files, load_artefact, with_params
from controllers.check import check_folder
from controllers.controller import Controller
from core.clock import ManualClock
from core.errors import BadInput, LawError
from core.ports import Ports
from core.signals import SIGNALS

TWO, ARM = (Ports(joints=n, actuators=n, output="tau") for n in (2, 7))
PI_LAW = b"""
def control(dt, q, q_ref, ki, integral, tau):
    for i in range(2):
        integral[i] += (q_ref[i] - q[i]) * dt
        tau[i] = ki * integral[i]
"""
PI_MANIFEST = b"""
name = "pi"
version = "1"
summary = "Integral control"
signals = ["dt", "q", "q_ref"]
[params.ki]
unit = "N*m/(rad*s)"
low = 0.0
high = 100.0
max_step = 0.5
effect = "Higher removes a lasting error faster."
[states.integral]
unit = "rad*s"
size = 2
initial = [0.0, 1.0]
[outputs.tau]
unit = "N*m"
size = 2
"""


def pi(**changes: bytes) -> Artefact:
    files = {"law.py": PI_LAW, "manifest.toml": PI_MANIFEST, "params.toml": b"ki = 10.0"}
    return artefact_from_files("pi", {**files, **{name.replace("_", "."): data for name, data in changes.items()}})


def pi_signals() -> dict[str, Any]:
    return {"dt": 0.5, "q": [0.0, 0.0], "q_ref": [1.0, 2.0]}


def arm(values: list[float]) -> dict[str, Any]:
    """All signals of a seven-joint arm, filled from a short list over and over."""
    signals: dict[str, Any] = {}
    position = 0
    for name, signal in SIGNALS.items():
        count = 7 ** len(signal.shape)
        flat = [values[(position + k) % len(values)] for k in range(count)]
        position += count
        rows = [flat[7 * k : 7 * k + 7] for k in range(7)]
        signals[name] = flat[0] if count == 1 else flat if count == 7 else rows
    return signals


@pytest.mark.parametrize("name", ["joint_pd", "computed_torque"])
def test_shipped_law_raises_nothing_for_any_float(name: str) -> None:
    controller = Controller.from_artefact(load_artefact(LAWS / name), ARM)

    @settings(max_examples=60, deadline=None, database=None)
    @given(st.lists(st.floats(), min_size=1, max_size=60))
    def step(values: list[float]) -> None:
        tau = controller.step(arm(values))
        assert len(tau) == 7
        assert all(type(value) is float for value in tau)

    step()


def test_joint_pd_is_the_textbook_law() -> None:
    controller = Controller.from_artefact(load_artefact(LAWS / "joint_pd"), ARM)
    signals = arm([0.25, -1.5, 3.0, 0.125, -0.75])
    kp, kd = controller.params["kp"], controller.params["kd"]
    assert isinstance(kp, list)
    assert isinstance(kd, list)
    expected = [
        kp[i] * (signals["q_ref"][i] - signals["q"][i])
        + kd[i] * (signals["qd_ref"][i] - signals["qd"][i])
        + signals["gravity"][i]
        for i in range(7)
    ]
    assert controller.step(signals) == expected


def test_computed_torque_is_the_declared_law_with_every_term_in_use() -> None:
    sevens = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    values = {
        "mass": 4.9,
        "viscous": sevens,
        "coulomb": list(reversed(sevens)),
        "gain": [0.6, 1.0, 1.2, 0.9, 0.7, 1.5, 0.3],
        "encoder_offset": [0.01 * value for value in sevens],
    }
    controller = Controller.from_artefact(with_params(load_artefact(LAWS / "computed_torque"), values), ARM)
    s, p = arm([0.25, -1.5, 3.0, 0.125, -0.75, 0.01, 1.75]), controller.params
    acc, tau = [0.0] * 7, [0.0] * 7
    for i in range(7):
        error = s["q_ref"][i] - (s["q"][i] - p["encoder_offset"][i])  # type: ignore[index]
        acc[i] = s["qdd_ref"][i] + p["kd"][i] * (s["qd_ref"][i] - s["qd"][i]) + p["kp"][i] * error  # type: ignore[index]
    for i in range(7):
        torque = s["bias"][i] + p["mass"] * s["bias_per_kg"][i] + p["viscous"][i] * s["qd_ref"][i]  # type: ignore[index, operator]
        torque += p["coulomb"][i] * math.tanh(s["qd_ref"][i] / 0.02)  # type: ignore[index]
        for j in range(7):
            torque += (s["inertia"][i][j] + p["mass"] * s["inertia_per_kg"][i][j]) * acc[j]
        tau[i] = torque / p["gain"][i]  # type: ignore[index]
    assert controller.step(s) == tau


def test_step_returns_a_list_of_its_own() -> None:
    controller = Controller.from_artefact(pi(), TWO)
    first = controller.step(pi_signals())
    kept = list(first)
    second = controller.step(pi_signals())
    assert first == kept != second
    assert controller.outputs["tau"] == second


def test_reset_returns_to_the_initial_state() -> None:
    controller = Controller.from_artefact(pi(), TWO)
    live = controller.states["integral"]
    first = controller.step(pi_signals())
    assert controller.export_state() == {"integral": [0.5, 2.0]}
    controller.reset()
    assert controller.export_state() == {"integral": [0.0, 1.0]}
    assert controller.outputs == {"tau": [0.0, 0.0]}
    assert controller.states["integral"] is live
    assert controller.step(pi_signals()) == first


def test_exported_state_is_a_copy() -> None:
    controller = Controller.from_artefact(pi(), TWO)
    controller.export_state()["integral"][0] = 99.0
    assert controller.states["integral"][0] == 0.0


def test_two_controllers_of_one_artefact_share_no_memory() -> None:
    one, two = (Controller.from_artefact(pi(), TWO) for _ in range(2))
    one.step(pi_signals())
    assert two.export_state() == {"integral": [0.0, 1.0]}


def test_parameters_of_one_law_do_not_leak_into_another() -> None:
    slow, fast = (Controller.from_artefact(pi(params_toml=b"ki = %d" % ki), TWO) for ki in (1, 100))
    assert fast.step(pi_signals()) == [100.0 * value for value in slow.step(pi_signals())]
    assert (slow.params, fast.params) == ({"ki": 1.0}, {"ki": 100.0})


@pytest.mark.parametrize(
    ("old", "new", "carried"),
    [
        (b"version", b"version", ("integral",)),
        (b'unit = "rad*s"', b'unit = "rad"', ()),
        (b"size = 2\ninitial = [0.0, 1.0]", b"size = 3", ()),
    ],
)
def test_states_carry_over_when_name_size_and_unit_agree(old: bytes, new: bytes, carried: tuple[str, ...]) -> None:
    incumbent = Controller.from_artefact(pi(), TWO)
    incumbent.step(pi_signals())
    candidate = Controller.from_artefact(pi(manifest_toml=PI_MANIFEST.replace(old, new)), TWO)
    before = candidate.export_state()
    assert candidate.adopt_state(incumbent) == carried
    assert candidate.export_state() == (incumbent.export_state() if carried else before)
    candidate.states["integral"][0] = 7.0
    assert incumbent.states["integral"][0] == 0.5


def test_outputs_must_fit_the_robot() -> None:
    with pytest.raises(
        BadInput, match=r"outputs.tau: a robot with 3 actuators of this mode needs \[outputs.tau\] with size = 3"
    ):
        Controller.from_artefact(pi(), Ports(joints=3, actuators=3, output="tau"))
    with pytest.raises(BadInput, match=r"outputs.tau: a robot with 2 actuators"):
        Controller.from_artefact(pi(manifest_toml=PI_MANIFEST.replace(b"outputs.tau", b"outputs.torque")), TWO)


def test_a_broken_law_names_its_artefact() -> None:
    with pytest.raises(LawError, match=r"^pi/law.py:4:9: an attribute"):
        Controller.from_artefact(pi(law_py=PI_LAW.replace(b"integral[i] +=", b"q.x +=")), TWO)


def test_a_position_offset_must_have_one_entry_per_joint() -> None:
    offset = b'[params.offset]\nunit = "rad"\nsize = 3\nlow = -1.0\nhigh = 1.0\nmax_step = 1.0\neffect = "Shifts."\n'
    manifest = PI_MANIFEST + offset + b'[model]\nposition_offset = "offset"\n'
    with pytest.raises(BadInput, match=r"model\.position_offset: offset needs size = 2"):
        Controller.from_artefact(pi(manifest_toml=manifest), TWO)


@pytest.mark.parametrize("data", [None, b"", b"\xff" * 64, b"\x08\0\0\0\0\0\0\0{}      "])
def test_missing_or_damaged_weights_are_refused(data: bytes | None) -> None:
    manifest = PI_MANIFEST + b"[weights.w]\nshape = [2, 2]\n"
    files = {"law.py": PI_LAW.replace(b"ki, ", b"ki, w, "), "manifest.toml": manifest, "params.toml": b"ki = 1.0"}
    if data is not None:
        files["weights.safetensors"] = data
    with pytest.raises(BadInput, match=r"pi/weights.safetensors: "):
        Controller.from_artefact(artefact_from_files("pi", files), TWO)


def test_undeclared_weights_are_refused() -> None:
    with pytest.raises(BadInput, match=r"pi/weights.safetensors: "):
        Controller.from_artefact(artefact_from_files("pi", {**pi().files, "weights.safetensors": b"x"}), TWO)


def test_stepping_does_not_grow_the_memory() -> None:
    controller = Controller.from_artefact(load_artefact(LAWS / "computed_torque"), ARM)
    signals = arm([0.5, 1.0])
    controller.step(signals)
    gc.collect()
    tracemalloc.start()
    for _ in range(200):
        controller.step(signals)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 4000


def test_check_reports_what_an_operator_needs_to_know(tmp_path: Path) -> None:
    report = check_folder(LAWS / "computed_torque", ARM)
    assert report.name == "computed_torque"
    assert report.sha256 == load_artefact(LAWS / "computed_torque").sha256
    mass = next(row for row in report.params if row.name == "mass")
    assert (mass.value, mass.unit, mass.low, mass.high) == (0.0, "kg", (0.0,), (10.0,))
    assert "inertia_per_kg" in report.signals
    assert 500 < report.cost < 5000
    assert report.call_us > 0.0
    assert report.period_us == 2000.0
    assert report.load == pytest.approx(report.call_us / 2000.0)
    with pytest.raises(BadInput):
        check_folder(tmp_path, ARM)


def test_check_takes_its_time_from_the_clock() -> None:
    assert check_folder(LAWS / "joint_pd", ARM, clock=ManualClock()).call_us == 0.0
