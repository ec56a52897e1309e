"""A slot holds a law to the limits that its own manifest declares, and feeds the model what the law believes in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from controllers.artefact import artefact_from_files, load_artefact, shipped_laws, with_params
from controllers.slot import Slot
from core.frames import Frame, Reference
from core.robot_toml import load_robot

ROBOT = load_robot(Path("sim/robots/iiwa/robot.toml").resolve())
ZERO = [0.0] * 7


def frame(q: list[float]) -> Frame:
    return Frame(seq=0, stamp_ns=0, q=q, qd=ZERO, tau_meas=ZERO, tau_cmd=ZERO)


def pushing(limits: str) -> Slot:
    """A law that pushes as hard as the reference says, with declared output limits."""
    manifest = (
        'name = "push"\nversion = "1"\nsummary = "pushes"\nsignals = ["q_ref"]\n'
        f'[outputs.tau]\nunit = "N*m"\nsize = 7\n{limits}\n'
    )
    law = "def control(q_ref, tau):\n    for i in range(7):\n        tau[i] = q_ref[i]\n"
    files = {"law.py": law.encode(), "manifest.toml": manifest.encode(), "params.toml": b""}
    return Slot(ROBOT, artefact_from_files("push", files))


def push(slot: Slot, torque_nm: float) -> list[float]:
    return slot.compute(frame(ZERO), Reference(q_ref=[torque_nm] * 7, qd_ref=ZERO, qdd_ref=ZERO))


def test_a_declared_limit_clips_the_law_on_both_sides():
    slot = pushing("limit = 5.0")
    assert push(slot, 100.0) == [5.0] * 7
    assert push(slot, -100.0) == [-5.0] * 7
    assert push(slot, 1.25) == [1.25] * 7


def test_a_declared_rate_bounds_the_change_per_tick():
    slot = pushing("rate = 500.0")  # 1 N*m in a tick of 2 ms
    push(slot, 0.0)
    assert push(slot, 10.0) == pytest.approx([1.0] * 7)
    assert push(slot, 10.0) == pytest.approx([2.0] * 7)
    assert push(slot, -10.0) == pytest.approx([1.0] * 7)


def test_a_limit_never_hides_a_nan_from_the_envelope():
    slot = pushing("limit = 5.0\nrate = 500.0")
    push(slot, 0.0)
    assert all(math.isnan(value) for value in push(slot, math.nan))


def test_the_model_is_asked_at_the_position_the_law_believes_in():
    base = load_artefact(shipped_laws()["computed_torque"])
    offset = [0.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0]
    corrected = Slot(ROBOT, with_params(base, {"encoder_offset": offset}))
    q = list(ROBOT.home)
    biased = [a + b for a, b in zip(q, offset, strict=True)]
    still = Reference(q_ref=q, qd_ref=ZERO, qdd_ref=ZERO)
    assert corrected.compute(frame(biased), still) == pytest.approx(
        Slot(ROBOT, base).compute(frame(q), still), abs=1e-9
    )
