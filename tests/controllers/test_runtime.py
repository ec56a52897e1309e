"""The control loop and its swap: whatever a candidate does, the robot keeps a controller that is fit to command."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import sim
from controllers.artefact import Artefact, artefact_from_files, load_artefact, shipped_laws
from controllers.canary import CanaryLimits
from controllers.runtime import Command, Runtime, Stage, braking_inertia, heaviest_load
from controllers.slot import Slot
from core.frames import Frame, Reference
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from core.robot_toml import load_robot
from sim.faults.course import FaultCourse
from sim.kinds import hidden_physics, open_plant
from sim.rollout import make_runtime, run
from sim.tasks.catalogue import draw_task


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _load(Path(__file__).with_name("candidates.py"))
IIWA = load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")
ROBOT = make.quick(IIWA)
STEP_NM = [rate * ROBOT.dt_s for rate in ROBOT.drive.command_rate]
BASE = make.hold("base", kp=300.0)
LIMITS = make.wide_limits(ROBOT.dof)
TO_READY = 60  # ticks; more than the quick canary needs
A_RETURNS_AFTER = 25
SAFETY = load_artefact(shipped_laws()[ROBOT.safety_controller])


FRESH_TICKS = round(5.0 / ROBOT.dt_s)  # after a commit, in which the envelope is tighter


class Loop:
    """A runtime in the still world that checks every command it gives."""

    def __init__(self, base: Artefact = BASE, robot: Robot = ROBOT) -> None:
        self.robot = robot
        self.world = make.StillWorld(robot)
        self.runtime = Runtime(robot, Slot(robot, base), Slot(robot, SAFETY))
        self.last: list[float] | None = None

    def tick(self, late_ns: int = 0, **changes: Any) -> Command:
        frame = self.world.frame(**changes)
        command = self.runtime.tick(frame, self.world.reference(), frame.stamp_ns + late_ns)
        before = self.last if self.last is not None else frame.tau_cmd
        for i in range(self.robot.dof):
            assert abs(command.tau[i]) <= self.robot.limits.effort[i]
            assert abs(command.tau[i] - before[i]) <= STEP_NM[i] + 1e-9, (i, command.source)
        self.world.seq += 1
        self.world.tau_cmd = self.last = command.tau
        return command

    def ticks(self, count: int) -> list[Command]:
        return [self.tick() for _ in range(count)]

    def shadow(self, candidate: Artefact, limits: CanaryLimits = LIMITS) -> Slot:
        candidate_slot = Slot(self.robot, candidate)
        self.runtime.begin_shadow(candidate_slot, limits)
        return candidate_slot

    def commit(self, candidate: Artefact, armed_revert: bool = True) -> None:
        self.shadow(candidate)
        self.runtime.begin_canary()
        self.ticks(TO_READY)
        assert self.runtime.stage is Stage.READY
        self.runtime.commit(armed_revert)
        assert self.runtime.a.sha256 == candidate.sha256


def test_shadow_changes_no_bit_of_the_command() -> None:
    alone, shadowed = Loop(), Loop()
    alone.ticks(30)
    shadowed.ticks(5)
    shadowed.shadow(make.hold("other", kp=100.0))
    assert [c.tau for c in shadowed.ticks(25)] == [c.tau for c in alone.ticks(25)]
    assert shadowed.runtime.stage is Stage.SHADOW
    assert shadowed.runtime.share == 0.0


@pytest.mark.parametrize("wrong", sorted(make.WRONG))
def test_a_candidate_whose_law_fails_in_shadow_never_gets_a_share(wrong: str) -> None:
    alone, shadowed = Loop(), Loop()
    alone.ticks(30)
    shadowed.ticks(5)
    shadowed.shadow(make.hold("other", kp=100.0, wrong=wrong, start=10))
    assert [c.tau for c in shadowed.ticks(25)] == [c.tau for c in alone.ticks(25)]
    assert shadowed.runtime.b is None
    assert shadowed.runtime.stage is Stage.COMMITTED
    assert shadowed.runtime.rollback_reason is not None
    assert shadowed.runtime.rollback_reason.startswith("in shadow: ")
    shadowed.runtime.begin_canary()
    assert shadowed.runtime.stage is Stage.COMMITTED


def test_a_bad_measurement_in_shadow_is_not_held_against_the_candidate() -> None:
    loop = Loop()
    loop.shadow(make.hold("candidate", kp=310.0))
    loop.tick(late_ns=10**9)
    assert loop.runtime.stage is Stage.SHADOW


def test_a_good_candidate_goes_through_every_stage_and_is_committed() -> None:
    loop = Loop()
    loop.ticks(3)
    candidate = make.hold("better", kp=310.0)
    loop.shadow(candidate)
    loop.ticks(10)
    loop.runtime.begin_canary()
    shares = []
    for _ in range(TO_READY):
        assert loop.tick().source in ("mix", "b")
        shares.append(loop.runtime.share)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert max(np.diff([0.0, *shares])) <= ROBOT.dt_s / ROBOT.canary.fade_s + 1e-12
    assert loop.runtime.stage is Stage.READY
    loop.runtime.commit(armed_revert=False)
    assert loop.runtime.stages_run == ["shadow", "canary 10%", "canary 30%", "canary 100%", "commit"]
    assert loop.runtime.a.sha256 == candidate.sha256
    assert loop.tick().source == "a"


def test_authority_mixes_the_two_commands_by_its_share() -> None:
    loop = Loop()
    loop.world.error_rad = 0.01
    loop.ticks(30)
    loop.shadow(make.hold("stiffer", kp=400.0))
    loop.runtime.begin_canary()
    a = loop.last
    assert a is not None
    for _ in range(TO_READY):
        command = loop.tick()
        expected = [x + loop.runtime.share * 100.0 * 0.01 for x in a]
        np.testing.assert_allclose(command.tau, expected, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(wrong=st.sampled_from(sorted(make.WRONG)), start=st.integers(0, 65), joint=st.integers(0, 6))
def test_the_tick_in_which_a_candidate_goes_wrong_is_answered_by_the_committed_controller(
    wrong: str, start: int, joint: int
) -> None:
    loop, alone = Loop(), Loop()
    loop.ticks(2)
    alone.ticks(2)
    loop.shadow(make.hold("wrong", kp=300.0, wrong=wrong, start=start, joint=joint))
    in_shadow = 10
    for k in range(70):
        if k == in_shadow:
            loop.runtime.begin_canary()
        command, healthy = loop.tick(), alone.tick()
        np.testing.assert_allclose(command.tau, healthy.tau, atol=1e-9)  # both laws ask for the same
        if k < in_shadow or k >= start:
            assert command.source == "a"
            assert command.tau == healthy.tau
        else:
            assert command.source in ("mix", "b")
    assert loop.runtime.stage is Stage.COMMITTED
    assert loop.runtime.b is None
    assert loop.runtime.share == 0.0
    assert loop.runtime.rollback_reason is not None
    assert f"(joint {joint + 1})" in loop.runtime.rollback_reason
    assert loop.runtime.a.sha256 == BASE.sha256
    assert [note.seq for note in loop.runtime.notes] == [2 + start]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"qd": [2.0, *[0.0] * 6]}, "joint faster than its limit (joint 1)"),
        ({"q": [0.0, 0.5, 0.0, -1.2, 0.0, 0.9, 3.06], "qd": [0.0] * 6 + [0.1]}, "no room left to stop"),
        ({"q": [math.nan] * 7}, "measurement is not finite"),
        ({"late_ns": 10**9}, "stale measurement"),
    ],
)
def test_a_measurement_that_allows_no_command_ends_the_canary_and_the_safety_law_answers(
    changes: dict[str, Any], reason: str
) -> None:
    loop = Loop()
    loop.ticks(2)
    loop.shadow(make.hold("candidate", kp=10.0))
    loop.runtime.begin_canary()
    loop.ticks(5)
    assert loop.tick(**changes).source == "safety"
    assert loop.runtime.b is None
    assert reason in str(loop.runtime.rollback_reason)


@settings(max_examples=25, deadline=None)
@given(wrong=st.sampled_from(sorted(make.WRONG)), start=st.integers(0, 5), length=st.integers(1, 40))
def test_a_committed_controller_that_fails_is_replaced_until_it_is_right_for_long_enough(
    wrong: str, start: int, length: int
) -> None:
    loop = Loop(make.hold("base", wrong=wrong, start=start, stop=start + length))
    sources = [command.source for command in loop.ticks(start + length + A_RETURNS_AFTER + 3)]
    bad = length + A_RETURNS_AFTER - 1
    assert sources == ["a"] * start + ["safety"] * bad + ["a"] * 4
    assert [note.seq for note in loop.runtime.notes] == [start]
    assert "safety law took over" in loop.runtime.notes[0].what


def test_one_more_failure_starts_the_wait_for_the_committed_controller_anew() -> None:
    loop = Loop()
    loop.ticks(2)
    assert loop.tick(late_ns=10**9).source == "safety"
    assert {c.source for c in loop.ticks(A_RETURNS_AFTER - 1)} == {"safety"}
    assert loop.tick(late_ns=10**9).source == "safety"
    assert {c.source for c in loop.ticks(A_RETURNS_AFTER - 1)} == {"safety"}
    assert loop.tick().source == "a"


def test_the_safety_law_holds_the_robot_where_it_was_when_it_took_over() -> None:
    loop = Loop(make.hold("base", start=2))
    loop.ticks(2)
    loop.world.error_rad = 0.5  # the reference runs away
    home = np.array(ROBOT.home)
    commands = loop.ticks(30)
    safety = Slot(ROBOT, SAFETY)
    still = Reference(q_ref=home.tolist(), qd_ref=[0.0] * 7, qdd_ref=[0.0] * 7)
    np.testing.assert_allclose(commands[-1].tau, safety.compute(loop.world.frame(), still), atol=1e-9)
    moved = loop.tick(q=(home + 0.001).tolist())
    assert moved.tau[0] < commands[-1].tau[0]


def test_no_share_of_the_command_grows_while_the_safety_law_commands() -> None:
    loop = Loop(make.hold("base", start=3, stop=4))
    loop.ticks(4)
    loop.shadow(make.hold("candidate", kp=310.0))
    loop.runtime.begin_canary()
    for command in loop.ticks(A_RETURNS_AFTER - 1):
        assert command.source == "safety"
        assert loop.runtime.share == 0.0
    assert loop.tick().source == "a"
    assert loop.tick().source == "mix"
    assert loop.runtime.share > 0.0


def test_after_a_canary_the_safety_law_does_not_remember_an_old_position() -> None:
    loop = Loop(make.hold("base", start=3, stop=4))
    loop.ticks(4)
    loop.shadow(make.hold("candidate", kp=310.0, wrong="nan", start=60))
    loop.runtime.begin_canary()
    loop.ticks(50)
    away = (np.array(ROBOT.home) + 0.3).tolist()
    for _ in range(60):
        command = loop.tick(q=away)
    assert loop.runtime.b is None
    assert command.source == "a"


def test_a_measurement_that_is_never_finite_repeats_a_command_that_was_fit_to_send() -> None:
    loop = Loop()
    good = loop.ticks(3)[-1]
    for _ in range(5):
        assert loop.tick(q=[math.nan] * 7, qd=[math.nan] * 7).tau == good.tau
    away = (np.array(ROBOT.home) + 0.1).tolist()
    loop.tick(q=away)  # the first position after it is the one to hold
    commands = [loop.tick(q=away) for _ in range(20)]
    assert {c.source for c in commands} == {"safety"}
    assert commands[-1].tau == commands[-2].tau


wild = st.one_of(st.floats(-3, 3), st.floats(allow_nan=True, allow_infinity=True))
wild_joints = st.lists(wild, min_size=7, max_size=7)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(wild_joints, wild_joints, wild_joints, wild_joints), min_size=1, max_size=4),
    stage=st.sampled_from(["committed", "shadow", "canary"]),
)
def test_no_measurement_and_no_reference_brings_out_a_command_beyond_the_limits(
    rows: list[tuple[list[float], ...]], stage: str
) -> None:
    runtime = make_runtime(ROBOT, load_artefact(shipped_laws()["computed_torque"]))
    if stage != "committed":
        runtime.begin_shadow(Slot(ROBOT, make.hold()), LIMITS)
    if stage == "canary":
        runtime.begin_canary()
    for k, (q, qd, tau, q_ref) in enumerate(rows):
        frame = Frame(seq=k, stamp_ns=0, q=q, qd=qd, tau_meas=tau, tau_cmd=tau)
        command = runtime.tick(frame, Reference(q_ref=q_ref, qd_ref=qd, qdd_ref=tau), 0)
        assert all(abs(t) <= limit for t, limit in zip(command.tau, ROBOT.limits.effort, strict=True))


def test_commit_works_only_for_a_candidate_that_is_ready() -> None:
    loop = Loop()
    loop.runtime.commit(armed_revert=True)
    loop.shadow(make.hold("candidate", kp=310.0))
    for _ in range(15):
        loop.tick()
        loop.runtime.commit(armed_revert=True)
    loop.runtime.begin_canary()
    while loop.runtime.stage is Stage.CANARY:
        loop.runtime.commit(armed_revert=True)
        assert loop.runtime.a.sha256 == BASE.sha256
        loop.tick()
    assert loop.runtime.stage is Stage.READY
    loop.runtime.commit(armed_revert=True)
    assert loop.runtime.a.sha256 != BASE.sha256


def test_a_ready_candidate_is_still_watched() -> None:
    loop = Loop()
    loop.shadow(make.hold("candidate", kp=310.0, wrong="nan", start=TO_READY + 5))
    loop.runtime.begin_canary()
    loop.ticks(TO_READY + 5)
    assert loop.runtime.stage is Stage.READY
    assert loop.tick().source == "a"
    assert loop.runtime.stage is Stage.COMMITTED
    loop.runtime.commit(armed_revert=True)
    assert loop.runtime.a.sha256 == BASE.sha256


def test_canary_does_not_begin_without_shadow() -> None:
    loop = Loop()
    loop.runtime.begin_canary()
    assert loop.runtime.stage is Stage.COMMITTED
    assert loop.tick().source == "a"


def test_roll_back_is_idempotent_and_says_why_once() -> None:
    loop = Loop()
    loop.ticks(2)
    loop.runtime.roll_back("nothing to take back", 2)
    assert loop.runtime.notes == []
    loop.shadow(make.hold("candidate", kp=310.0))
    loop.runtime.roll_back("asked to", 2)
    loop.runtime.roll_back("asked again", 3)
    assert [note.what for note in loop.runtime.notes] == ["rolled back: asked to"]
    assert loop.runtime.rollback_reason == "asked to"
    loop.commit(make.hold("candidate", kp=310.0))
    for _ in range(3):
        loop.runtime.roll_back("asked to", 99)
        assert loop.runtime.a.sha256 == BASE.sha256
    assert len(loop.runtime.notes) == 2


def test_an_armed_patch_that_no_longer_keeps_its_promise_is_reverted() -> None:
    loop = Loop()
    loop.commit(make.hold("candidate", kp=310.0))
    loop.ticks(100)
    assert loop.runtime.a.sha256 != BASE.sha256
    loop.world.error_rad = 0.11
    loop.ticks(2)
    assert loop.runtime.a.sha256 != BASE.sha256
    loop.tick()
    assert loop.runtime.a.sha256 == BASE.sha256
    assert "revert trigger: tracking error of joint" in str(loop.runtime.rollback_reason)
    loop.ticks(20)
    assert loop.runtime.a.sha256 == BASE.sha256


def test_an_armed_patch_that_fails_is_reverted_at_once() -> None:
    loop = Loop()
    loop.commit(make.hold("candidate", kp=310.0, start=TO_READY + FRESH_TICKS + 10))
    loop.ticks(FRESH_TICKS + 10)
    assert loop.tick().source == "safety"
    assert loop.runtime.a.sha256 == BASE.sha256
    assert loop.runtime.rollback_reason == "revert trigger: the safety law had to take over"
    assert [c.source for c in loop.ticks(A_RETURNS_AFTER)][-1] == "a"


@pytest.mark.parametrize("armed", [True, False])
@pytest.mark.parametrize(("after", "goes"), [(0, True), (FRESH_TICKS - 1, True), (FRESH_TICKS, False)])
@pytest.mark.parametrize("wrong", ["nan", "huge"])
def test_a_patch_that_fails_just_after_its_commit_goes_in_the_same_tick(
    armed: bool, after: int, goes: bool, wrong: str
) -> None:
    loop = Loop()
    loop.commit(make.hold("candidate", kp=310.0, wrong=wrong, start=TO_READY + after), armed_revert=armed)
    loop.ticks(after)
    assert loop.runtime.a.sha256 != BASE.sha256
    assert loop.tick().source == ("a" if goes else "safety")
    assert (loop.runtime.a.sha256 == BASE.sha256) == (goes or armed)
    assert str(loop.runtime.rollback_reason).startswith("just committed: ") == goes


def test_a_patch_is_not_sent_back_for_a_measurement_just_after_its_commit() -> None:
    loop = Loop()
    loop.commit(make.hold("candidate", kp=310.0), armed_revert=False)
    loop.tick(late_ns=10**9)
    loop.tick(q=[math.nan] * 7)
    assert loop.runtime.a.sha256 != BASE.sha256


def test_a_late_machine_alone_does_not_revert_an_armed_patch() -> None:
    loop = Loop()
    loop.commit(make.hold("candidate", kp=310.0))
    for _ in range(20):
        loop.tick(late_ns=10**9)
    assert loop.runtime.a.sha256 != BASE.sha256


def test_an_unarmed_patch_stays() -> None:
    loop = Loop()
    loop.commit(make.hold("candidate", kp=310.0), armed_revert=False)
    loop.world.error_rad = 0.11
    loop.ticks(30)
    assert loop.runtime.a.sha256 != BASE.sha256
    loop.runtime.roll_back("by hand", 0)
    assert loop.runtime.a.sha256 == BASE.sha256


@pytest.mark.parametrize("moving_ticks", [0, 15, 23])
def test_a_robot_that_stands_still_passes_no_canary(moving_ticks: int) -> None:
    loop = Loop()
    loop.shadow(make.hold("candidate", kp=310.0))
    loop.runtime.begin_canary()
    loop.ticks(moving_ticks)
    loop.world.speed = 0.02
    loop.ticks(500)
    assert loop.runtime.stage is Stage.CANARY
    assert loop.runtime.share == 1.0  # the stages before the last guard against gross errors only
    assert loop.runtime.canary_ticks == moving_ticks + 500
    loop.world.speed = 0.1
    loop.ticks(TO_READY)
    assert loop.runtime.stage is Stage.READY


def test_a_candidate_starts_from_the_states_it_shares() -> None:
    loop = Loop()
    loop.ticks(7)
    candidate = Slot(ROBOT, make.hold("base", kp=310.0))
    loop.runtime.begin_shadow(candidate, LIMITS)
    assert candidate.controller.states["ticks"] == [7.0]
    other = Slot(ROBOT, make.hold("other"))
    loop.runtime.begin_shadow(other, LIMITS)
    assert other.controller.states["ticks"] == [0.0]


def test_a_reverted_controller_goes_on_from_the_states_of_the_patch_it_replaces() -> None:
    loop = Loop()
    candidate = make.hold("base", kp=310.0)
    loop.commit(candidate)
    loop.ticks(9)
    after_commit = loop.runtime.a.controller.states["ticks"]
    loop.runtime.roll_back("asked to", 0)
    assert loop.runtime.a.sha256 == BASE.sha256
    assert loop.runtime.a.controller.states["ticks"] == after_commit


def test_a_second_candidate_that_is_sent_back_leaves_the_revert_of_the_first_armed() -> None:
    loop = Loop()
    loop.commit(make.hold("first", kp=310.0, start=TO_READY + 40))
    first = loop.runtime.a.sha256
    loop.shadow(make.hold("second", kp=320.0))
    loop.runtime.roll_back("not this one", 0)
    assert loop.runtime.a.sha256 == first
    loop.ticks(60)  # now the first one fails
    assert loop.runtime.a.sha256 == BASE.sha256


def test_the_largest_step_of_a_swap_is_reported() -> None:
    loop = Loop()
    loop.world.error_rad, loop.world.off_joints = 0.05, range(3, 4)
    loop.ticks(30)
    loop.shadow(make.hold("softer", kp=100.0))
    assert loop.runtime.max_command_step_nm == 0.0
    loop.runtime.begin_canary()
    loop.ticks(20)
    loop.runtime.roll_back("asked to", 0)
    # 200 N*m/rad less on 0.05 rad, a tenth of it per tick
    assert loop.runtime.max_command_step_nm == pytest.approx(200.0 * 0.05 * ROBOT.dt_s / ROBOT.canary.fade_s)


def test_the_canary_keeps_its_schedule_to_the_tick() -> None:
    """Fade 10 ticks from 0 to 1, hold 5 ticks in each stage; one tick opens the next stage."""
    loop = Loop()
    assert loop.runtime.canary_ticks == 0
    assert loop.runtime.max_command_step_nm == 0.0
    for _ in range(2):  # the second canary starts from nothing, wherever the first one was
        loop.shadow(make.hold("candidate", kp=310.0))
        loop.ticks(4)
        assert loop.runtime.canary_ticks == 0
        loop.runtime.begin_canary()
        shares, stages, sources = [], [], []
        for _ in range(27):
            sources.append(loop.tick().source)
            shares.append(loop.runtime.share)
            stages.append(loop.runtime.stage)
        expected = [0.1] * 6 + [0.2, 0.3] + [0.3] * 5 + [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0] + [1.0] * 7
        np.testing.assert_allclose(shares, expected, atol=1e-9)
        assert sources == ["b" if share == 1.0 else "mix" for share in shares]
        ready = shares.index(1.0) + 5  # a last ramp that rounds to just below 1 costs one more tick
        assert stages == [Stage.CANARY] * ready + [Stage.READY] * (27 - ready)
        assert loop.runtime.canary_ticks == 27
        loop.runtime.roll_back("again", 0)


def test_without_a_fade_the_share_steps_from_stage_to_stage() -> None:
    robot = replace(ROBOT, canary=replace(ROBOT.canary, fade_s=0.0, hold_s=(0.004, 0.004, 0.004)))
    loop = Loop(robot=robot)
    loop.shadow(make.hold("candidate", kp=310.0))
    loop.runtime.begin_canary()
    shares = []
    for _ in range(8):
        loop.tick()
        shares.append(loop.runtime.share)
    assert shares == [0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 1.0, 1.0]


def test_a_committed_controller_that_fails_in_a_canary_ends_it_and_the_safety_law_answers() -> None:
    loop = Loop(make.hold("base", kp=300.0, start=30))
    loop.shadow(make.hold("candidate", kp=310.0))
    loop.runtime.begin_canary()
    assert {c.source for c in loop.ticks(30)} == {"mix", "b"}
    assert loop.tick().source == "safety"
    assert loop.runtime.b is None
    assert "envelope: command is not finite (joint 1)" in str(loop.runtime.rollback_reason)


def test_an_armed_patch_is_held_to_what_simulation_showed_of_it_settled() -> None:
    loop = Loop()
    limits = replace(LIMITS, settled_error=(0.05,) * 7)
    loop.shadow(make.hold("candidate", kp=310.0), limits)
    loop.runtime.begin_canary()
    loop.ticks(TO_READY)
    loop.runtime.commit(armed_revert=True)
    assert loop.runtime.share == 0.0
    loop.ticks(60)
    loop.world.error_rad = 0.07
    loop.ticks(3)
    assert loop.runtime.a.sha256 == BASE.sha256


@pytest.mark.parametrize("reading", [0.0, 3.0, -60.0, math.nan, math.inf, 1e9])
def test_the_first_command_starts_from_what_the_drives_say_they_hold(reading: float) -> None:
    loop = Loop()
    loop.world.error_rad = 0.3  # the controller wants more than the drives can follow in one tick
    frame = loop.world.frame()._replace(tau_cmd=[reading] * 7)
    wanted = Slot(ROBOT, BASE).compute(frame, loop.world.reference())
    command = loop.runtime.tick(frame, loop.world.reference(), 0)
    assert command.source == "a"
    held = reading if math.isfinite(reading) else 0.0
    for i, limit in enumerate(ROBOT.limits.effort):
        reached = min(max(wanted[i], held - STEP_NM[i]), held + STEP_NM[i])
        assert command.tau[i] == min(max(reached, -limit), limit)


def test_the_safety_law_waits_for_a_whole_position_before_it_holds_one() -> None:
    loop = Loop()
    loop.ticks(2)
    home = list(ROBOT.home)
    half = [math.nan, *home[1:]]
    first = loop.tick(q=half)
    assert first.source == "safety"
    other = [home[0], math.nan, *home[2:]]
    assert loop.tick(q=other).source == "safety"
    away = [q + 0.2 for q in home]
    loop.tick(q=away)  # the first position that is whole: it is held
    for _ in range(20):
        held = loop.tick(q=away)
    gravity = Slot(ROBOT, SAFETY).compute(
        loop.world.frame(q=away), Reference(q_ref=away, qd_ref=[0.0] * 7, qdd_ref=[0.0] * 7)
    )
    np.testing.assert_allclose(held.tau, gravity, atol=1e-9)


def test_the_inertia_to_brake_is_that_of_a_loaded_arm_with_a_margin() -> None:
    model = RigidBodyModel(ROBOT, payload_kg=5.0)
    loaded = np.diag(model.link_inertia(np.array(ROBOT.home))) + ROBOT.drive.rotor_inertia
    np.testing.assert_allclose(braking_inertia(ROBOT), 1.5 * loaded, rtol=1e-12)


def test_a_small_arm_brakes_no_more_than_it_can_hold() -> None:
    weak = replace(ROBOT, limits=replace(ROBOT.limits, effort=(60.0,) * 7))
    assert heaviest_load(ROBOT) == 5.0
    assert 0.0 < heaviest_load(weak) < 5.0
    held = RigidBodyModel(weak, payload_kg=heaviest_load(weak)).gravity(np.array(weak.home))
    assert np.max(np.abs(held) / 60.0) == pytest.approx(1.0)
    assert braking_inertia(weak)[1] < braking_inertia(ROBOT)[1]
    assert heaviest_load(replace(ROBOT, limits=replace(ROBOT.limits, effort=(1.0,) * 7))) == 0.0


class SwapMachine(RuleBasedStateMachine):
    """Every order of orders, with good and bad candidates: what is committed is what passed, or the base."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.a, self.previous, self.count = BASE.sha256, None, 0

    @property
    def runtime(self) -> Runtime:
        return self.loop.runtime

    @initialize()
    def start(self) -> None:
        self.loop.ticks(1)

    @rule(wrong=st.sampled_from(sorted(make.WRONG)), start=st.one_of(st.just(10**9), st.integers(0, 150)))
    def begin_shadow(self, wrong: str, start: int) -> None:
        self.count += 1
        self.loop.shadow(make.hold(f"candidate{self.count}", kp=300.0 + self.count % 7, wrong=wrong, start=start))

    @rule()
    def begin_canary(self) -> None:
        self.runtime.begin_canary()

    @rule(count=st.sampled_from([1, 5, 20, TO_READY]), moving=st.booleans())
    def tick(self, count: int, moving: bool) -> None:
        self.loop.world.speed = 0.1 if moving else 0.0
        for _ in range(count):
            had_candidate = self.runtime.b is not None
            self.loop.tick()
            if self.runtime.a.sha256 != self.a:
                assert not had_candidate
                assert self.runtime.a.sha256 == self.previous
                assert str(self.runtime.rollback_reason).startswith(("revert trigger", "just committed"))
                self.a, self.previous = self.runtime.a.sha256, None

    @rule()
    def shadow_and_canary(self) -> None:
        if self.runtime.stage is Stage.COMMITTED:
            self.begin_shadow("nan", 10**9)
            self.runtime.begin_canary()
            self.tick(A_RETURNS_AFTER + TO_READY, True)

    @rule(armed=st.booleans())
    def commit(self, armed: bool) -> None:
        ready = self.runtime.b if self.runtime.stage is Stage.READY else None
        self.runtime.commit(armed)
        if ready is not None:
            self.a, self.previous = ready.sha256, self.a

    @rule()
    def roll_back(self) -> None:
        had_candidate = self.runtime.b is not None
        self.runtime.roll_back("asked to", self.loop.world.seq)
        if not had_candidate and self.previous is not None:
            self.a, self.previous = self.previous, None
        assert self.runtime.stage is Stage.COMMITTED

    @rule()
    def kill(self) -> None:
        self.runtime.kill(Slot(ROBOT, BASE), "asked to", self.loop.world.seq)
        self.a, self.previous = BASE.sha256, None
        assert self.runtime.stage is Stage.COMMITTED

    @rule(late=st.integers(0, 12))
    def the_machine_is_late(self, late: int) -> None:
        for _ in range(late):
            self.runtime.note_machine(True, self.loop.world.seq)
        assert late < 3 or self.runtime.share == 0.0

    @precondition(lambda self: self.runtime.b is None and self.runtime.previous_slot is None)
    @rule()
    def roll_back_again(self) -> None:
        notes = len(self.runtime.notes)
        self.runtime.roll_back("again", 0)
        assert len(self.runtime.notes) == notes

    @invariant()
    def committed_is_what_passed(self) -> None:
        assert self.runtime.a.sha256 == self.a
        previous = self.runtime.previous_slot
        assert (None if previous is None else previous.sha256) == self.previous

    @invariant()
    def stage_and_slot_agree(self) -> None:
        assert (self.runtime.b is None) == (self.runtime.stage is Stage.COMMITTED)
        assert 0.0 <= self.runtime.share <= 1.0
        if self.runtime.stage in (Stage.COMMITTED, Stage.SHADOW):
            assert self.runtime.share == 0.0


def test_any_order_of_orders_leaves_the_committed_controller_or_one_that_passed() -> None:
    run_state_machine_as_test(SwapMachine, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))


@pytest.fixture(scope="module")
def healthy_error(iiwa: Robot, computed_torque: Artefact) -> np.ndarray[Any, Any]:
    """(7,) largest tracking error of the shipped controller on the task of the next test [rad]."""
    task = draw_task(iiwa, "weave", np.array(iiwa.home), 2.0, np.random.default_rng(3))
    with open_plant(iiwa, hidden_physics(iiwa, 4), FaultCourse(), seed=4) as plant:
        trace = run(plant, make_runtime(iiwa, computed_torque), task.references())
    return np.abs(trace.measured_error).max(axis=0)


def _with_negative_kp(artefact: Artefact) -> Artefact:
    manifest = artefact.files["manifest.toml"].replace(b"low = 156.0", b"low = -2500.0")
    params = artefact.files["params.toml"].replace(b"625.0", b"-2500.0")
    return artefact_from_files("harmful", {**artefact.files, "manifest.toml": manifest, "params.toml": params})


def test_a_harmful_candidate_is_taken_back_within_half_a_second_inside_every_limit(
    iiwa: Robot, computed_torque: Artefact, healthy_error: np.ndarray[Any, Any]
) -> None:
    task = draw_task(iiwa, "weave", np.array(iiwa.home), 2.0, np.random.default_rng(3))
    bound = tuple(1.5 * healthy_error)
    limits = CanaryLimits(offset=(0.0,) * 7, ramp_error=bound, settled_error=bound, settle_s=0.2, variation_nm=20.0)
    runtime = make_runtime(iiwa, computed_torque)
    begin, back = 100, None
    speed, lower, upper = (np.array(x) for x in (iiwa.limits.speed, iiwa.limits.lower, iiwa.limits.upper))
    last: list[float] | None = None
    with open_plant(iiwa, hidden_physics(iiwa, 4), FaultCourse(), seed=4) as plant:
        for k, reference in enumerate(task.references()):
            if k == begin:
                runtime.begin_shadow(Slot(iiwa, _with_negative_kp(computed_torque)), limits)
                runtime.begin_canary()
            frame = plant.measure()
            command = runtime.tick(frame, reference, frame.stamp_ns)
            plant.apply(command.tau)
            q, v = plant.true_state()
            assert np.all((lower < q) & (q < upper))
            assert np.all(np.abs(v) < speed)
            assert np.all(np.abs(command.tau) <= iiwa.limits.effort)
            if last is not None:
                assert np.all(np.abs(np.subtract(command.tau, last)) <= np.array(STEP_NM) + 1e-9)
            last = command.tau
            assert command.source != "safety"
            if k >= begin and runtime.b is None and back is None:
                back = k
    assert back is not None
    assert (back - begin) * iiwa.dt_s <= 0.5
    assert "tracking error" in str(runtime.rollback_reason)
    assert runtime.a.sha256 == computed_torque.sha256
    assert np.all(np.abs(np.array(frame.q) - reference.q_ref) < bound)  # and the robot works as before


def test_a_good_candidate_passes_the_same_canary(
    iiwa: Robot, computed_torque: Artefact, healthy_error: np.ndarray[Any, Any]
) -> None:
    bound = tuple(1.5 * healthy_error)
    limits = CanaryLimits(offset=(0.0,) * 7, ramp_error=bound, settled_error=bound, settle_s=0.2, variation_nm=20.0)
    robot = replace(iiwa, canary=replace(iiwa.canary, hold_s=(0.1, 0.1, 0.5)))
    task = draw_task(robot, "weave", np.array(robot.home), 2.0, np.random.default_rng(3))
    runtime = make_runtime(robot, computed_torque)
    candidate = artefact_from_files(
        "stiffer",
        {
            **computed_torque.files,
            "params.toml": computed_torque.files["params.toml"].replace(b"625.0", b"700.0"),
        },
    )
    runtime.begin_shadow(Slot(robot, candidate), limits)
    runtime.begin_canary()
    with open_plant(robot, hidden_physics(robot, 4), FaultCourse(), seed=4) as plant:
        run(plant, runtime, task.references())
    assert runtime.stage is Stage.READY, runtime.rollback_reason
