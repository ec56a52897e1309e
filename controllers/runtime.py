"""The control loop of one robot: two controller slots, a safety law, and the swap between them.

`tick` turns one measurement into one command. Slot A holds the committed controller. A candidate in slot B is first
computed without effect (shadow), then gets a growing share of the command (canary), then becomes A (commit). The
command is

    tau = tau_A + share(t) (tau_B - tau_A)

where `share` moves linearly between the stages, so nothing jumps at a swap. Whatever goes wrong, the same tick answers
with A; if A cannot, the safety law holds the robot where it is.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from controllers.canary import CanaryLimits, CanaryMonitor
from controllers.envelope import Breach, Envelope, Ruling, tightened
from controllers.slot import Slot
from core.frames import Frame, Reference
from core.rigid_body import RigidBodyModel, load_held_at_home
from core.robot import FIXED_BASE, Robot

_LAW_FAULTS = (Breach.NOT_FINITE, Breach.FAR_BEYOND_LIMIT)  # what no measurement and no state of the robot excuses
_NO_LAWS_FAULT = (Breach.STALE, Breach.BAD_MEASUREMENT)
_FRESH_S = 5.0  # after a commit; the canary has lasted as long
_HEAVIEST_KG = 5.0  # at the tool
LATE = "the law was late"
_LATE_TICKS, _OF_LAST = 3, 10  # (m, k) rule: a law that is late once is replaced, one that is late often has to go
_A_OK_TICKS = 25  # clean commands before the committed controller takes over from the safety law; 50 ms at 500 Hz


class Stage(StrEnum):
    """Where a swap is."""

    COMMITTED = "committed"  # A alone
    SHADOW = "shadow"  # B computed, not applied
    CANARY = "canary"  # B has a share
    READY = "ready"  # B passed its canary and waits for commit, still watched


class Command(NamedTuple):
    """What goes to the drives in one tick."""

    tau: list[float]  # m, in the unit of the robot's mode: torque, position or thrust
    source: str  # "a", "b", "mix" or "safety"
    clipped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something the loop did that a person will want to know."""

    seq: int  # tick
    what: str


def heaviest_load(robot: Robot) -> float:
    """Load [kg] that braking allows for: 5 kg, or what the motors of a smaller arm hold at home."""
    return min(_HEAVIEST_KG, load_held_at_home(robot))


@lru_cache(maxsize=8)
def braking_inertia(robot: Robot) -> tuple[float, ...]:
    """(n,) inertia [kg*m^2 or kg] that each joint may have to brake: at home with the heaviest load, plus half.

    Zeros for a robot without a rigid-body model: it has no stopping distance.
    """
    if robot.kind != FIXED_BASE:
        return (0.0,) * robot.dof
    model = RigidBodyModel(robot, payload_kg=heaviest_load(robot))
    inertia = model.link_inertia(np.array(robot.home)).diagonal() + model.rotor_inertia
    return tuple(float(1.5 * value) for value in inertia)


class LawLate(Exception):  # noqa: N818 an event in a law's tick; `Watchdog` raises it
    """A law has used up its time."""


class Watchdog(Protocol):
    """What bounds the time of a law's call."""

    def start(self) -> None:
        """From now on `LawLate` may be raised here."""
        ...

    def stop(self) -> None:
        """No more."""
        ...


class Runtime:
    """The loop of one robot.

    Args:
        robot: limits and canary plan.
        committed: slot A.
        safety: law that holds the robot still when no controller may command.
    """

    def __init__(self, robot: Robot, committed: Slot, safety: Slot) -> None:
        self.robot, self.a, self._safety = robot, committed, safety
        self.b: Slot | None = None
        self.previous_slot: Slot | None = None  # what a revert returns to
        self.stage = Stage.COMMITTED
        self.share = 0.0
        self.stages_run: list[str] = []
        self.notes: list[Note] = []
        self.rollback_reason: str | None = None
        self.canary_ticks = 0  # since the candidate's first share
        self.max_command_step_nm = 0.0  # largest change of a joint's command while a swap was under way
        self.inconclusive = False  # whether the last return says nothing about the candidate
        self.breaches: Counter[Breach] = Counter()  # commands that the envelope rejected, since the start
        self.law_late = 0  # calls of laws that took too long, since the start
        self.watchdog: Watchdog | None = None
        self._envelope = Envelope(robot, braking_inertia(robot))
        self._tight = Envelope(replace(robot, envelope=tightened(robot.envelope)), braking_inertia(robot))
        self._fresh_ticks = 0  # for which a committed patch is still held to the tight envelope
        self._width = len(robot.actuators)
        self._failure: str | None = None  # why the last law asked gave no command
        self._late: deque[bool] = deque([False] * _OF_LAST, maxlen=_OF_LAST)  # of the candidate
        self._machine_late: deque[bool] = deque([False] * _OF_LAST, maxlen=_OF_LAST)
        self._last: list[float] | None = None
        self._hold: list[float] | None = None  # where the safety law holds the robot, None while it is not needed
        self._a_ok = 0
        self._a_failed = False  # the committed law was rejected in the last tick, and not for its measurement
        self._monitor: CanaryMonitor | None = None  # of the candidate
        self._trigger: CanaryMonitor | None = None  # of the committed patch: the armed revert
        self._limits: CanaryLimits | None = None
        self._stage_ticks = 0
        self._step_index = 0

    def tick(self, frame: Frame, reference: Reference, now_ns: int) -> Command:
        """The command for this measurement. Never raises for any measurement or law output."""
        previous = self._last
        if previous is None:
            previous = self._held_before(frame)
        tau_a = self._ask(self.a, frame, reference)
        if self.b is None and self._fresh_ticks > 0:
            tau_a = self._watch_fresh(tau_a, frame, reference, previous, now_ns)
        if self.b is None:
            command = self._committed_command(tau_a, frame, previous, now_ns)
            if self._trigger is not None:
                self._watch_committed(self._trigger, frame, reference, command.tau, previous)
        else:
            command = self._swap_command(self.b, tau_a, frame, reference, previous, now_ns)
            step = max(abs(new - old) for new, old in zip(command.tau, previous, strict=True))
            self.max_command_step_nm = max(self.max_command_step_nm, step)
        self._last = command.tau
        return command

    def _ask(self, slot: Slot, frame: Frame, reference: Reference) -> list[float] | None:
        """What a law commands; None if it raised or took too long, whatever it did."""
        watchdog = self.watchdog
        self._failure = None
        try:
            if watchdog is None:
                tau = slot.compute(frame, reference)
            else:
                watchdog.start()
                try:
                    tau = slot.compute(frame, reference)
                finally:
                    watchdog.stop()
            if len(tau) == self._width:
                return tau
            self._failure = f"the law gave {len(tau)} commands instead of {self._width}"
        except LawLate:
            self.law_late += 1
            self._failure = LATE
        except Exception as error:  # the checker has proved that there is none; this tick has a command all the same
            self._failure = f"the law failed: {type(error).__name__}"
        return None

    def _rule(
        self,
        tau: Sequence[float] | None,
        frame: Frame,
        previous: Sequence[float],
        now_ns: int,
        envelope: Envelope | None = None,
    ) -> Ruling:
        ruling = (envelope or self._envelope).rule(tau, frame, previous, now_ns)
        if ruling.breach is not None:
            self.breaches[ruling.breach] += 1
        return ruling

    def note_machine(self, late: bool, seq: int) -> None:
        """Whether the machine, not a law, made the last tick late. A canary under a late machine shows nothing.

        Only for a loop whose robot does not wait for it.
        """
        self._machine_late.append(late)
        if late and self.share > 0.0 and sum(self._machine_late) >= _LATE_TICKS:
            self._late_machine_ends_canary(seq)

    def _late_machine_ends_canary(self, seq: int) -> None:
        self.roll_back(f"inconclusive: the machine was late in {_LATE_TICKS} of {_OF_LAST} ticks", seq)
        self.inconclusive = True

    def _watch_fresh(
        self,
        tau: list[float] | None,
        frame: Frame,
        reference: Reference,
        previous: Sequence[float],
        now_ns: int,
    ) -> list[float] | None:
        """What A commands in this tick: a patch that leaves the tight envelope just after its commit is A no longer."""
        self._fresh_ticks -= 1
        ruling = self._tight.rule(tau, frame, previous, now_ns)
        if ruling.breach is None or ruling.breach in _NO_LAWS_FAULT or self._failure == LATE:
            return tau
        self.roll_back(f"just committed: {self._failure or _explain(ruling)}", frame.seq)
        return self._ask(self.a, frame, reference)

    def _held_before(self, frame: Frame) -> list[float]:
        """(m,) what the drives held before the first tick; where that reading makes no sense, what moves nothing."""
        rest = [0.0] * len(frame.tau_cmd)
        if self.robot.mode == "position":
            rest = [frame.q[i] if i is not None and math.isfinite(frame.q[i]) else 0.0 for i in self.robot.drives]
        return [value if math.isfinite(value) else still for value, still in zip(frame.tau_cmd, rest, strict=True)]

    def begin_shadow(self, candidate: Slot, limits: CanaryLimits) -> None:
        """Put a verified candidate into slot B with the states it shares with A. It has no effect yet."""
        candidate.controller.adopt_state(self.a.controller)
        self.b, self._limits = candidate, limits
        self._monitor = None
        self.share, self._step_index, self._stage_ticks, self.canary_ticks = 0.0, 0, 0, 0
        self.rollback_reason = None
        self.inconclusive = False
        self._late.extend([False] * _OF_LAST)
        self._machine_late.extend([False] * _OF_LAST)
        self.max_command_step_nm = 0.0
        self.stages_run = ["shadow"]
        self.stage = Stage.SHADOW

    def begin_canary(self) -> None:
        """Let the candidate's share grow from the next tick on."""
        if self.stage is Stage.SHADOW and self._limits is not None:
            self._monitor = CanaryMonitor(self._limits, self.robot)
            self.stage, self._step_index, self._stage_ticks = Stage.CANARY, 0, 0
            self.stages_run.append(f"canary {self.robot.canary.stages[0]:.0%}")

    def commit(self, armed_revert: bool) -> None:
        """Make the candidate the committed controller; with `armed_revert` it stays watched, and A is kept."""
        if self.stage is not Stage.READY or self.b is None:
            return
        self.previous_slot, self.a, self.b = self.a, self.b, None
        self.stage, self.share = Stage.COMMITTED, 0.0
        self.stages_run.append("commit")
        self._fresh_ticks = round(_FRESH_S / self.robot.dt_s)
        self._trigger, self._monitor = self._monitor if armed_revert else None, None

    def roll_back(self, reason: str, seq: int) -> None:
        """Return to the committed controller, or after a commit to the one before it. Idempotent."""
        if self.b is not None:
            self.b = self._monitor = None
        elif self.previous_slot is not None:
            self.previous_slot.controller.adopt_state(self.a.controller)  # it has not run since the commit
            self.a, self.previous_slot, self._trigger = self.previous_slot, None, None
            self._fresh_ticks = 0
        else:
            return
        self.stage, self.share = Stage.COMMITTED, 0.0
        self.rollback_reason, self.inconclusive = reason, False
        self.notes.append(Note(seq=seq, what=f"rolled back: {reason}"))

    def kill(self, baseline: Slot, reason: str, seq: int) -> None:
        """Drop whatever is under way and command with the built-in baseline from the next tick on.

        Nothing of a patch stays, not even its states; only where the baseline runs already does it simply go on.
        """
        self.b = self.previous_slot = self._monitor = self._trigger = None
        self._fresh_ticks = 0
        if self.a.sha256 != baseline.sha256:
            baseline.reset()
            self.a, self._a_ok, self._a_failed = baseline, 0, False
        self.stage, self.share = Stage.COMMITTED, 0.0
        self.rollback_reason = f"killed: {reason}"
        self.notes.append(Note(seq=seq, what=self.rollback_reason))

    def _swap_command(
        self,
        b: Slot,
        tau_a: list[float] | None,
        frame: Frame,
        reference: Reference,
        previous: Sequence[float],
        now_ns: int,
    ) -> Command:
        tau_b = self._ask(b, frame, reference)
        if tau_b is None:
            return self._without_candidate(tau_a, frame, previous, now_ns)
        self._late.append(False)
        if tau_a is None:  # nothing to move away from, and nothing to fall back to but the safety law
            return self._committed_command(tau_a, frame, previous, now_ns)
        alone = self._rule(tau_b, frame, previous, now_ns, self._tight)
        if self.stage is Stage.SHADOW and alone.breach in _LAW_FAULTS:
            self.roll_back(f"in shadow: {_explain(alone)}", frame.seq)
        if self.stage not in (Stage.CANARY, Stage.READY) or self._hold is not None:
            return self._committed_command(tau_a, frame, previous, now_ns)  # no share while the safety law commands
        self._advance_share(reference)
        self.canary_ticks += 1
        mixed = [a + self.share * (b_i - a) for a, b_i in zip(tau_a, tau_b, strict=True)]
        ruling = self._rule(mixed, frame, previous, now_ns, self._tight) if alone.tau is not None else alone
        if ruling.tau is None:
            reason: str | None = f"envelope: {_explain(ruling)}"
        else:
            assert self._monitor is not None
            reason = self._monitor.judge(frame, reference, self.share, ruling.tau, previous)
        if reason is not None or ruling.tau is None:
            self.roll_back(str(reason), frame.seq)
            self.inconclusive = ruling.breach is Breach.STALE  # nobody's law makes a measurement late
            return self._committed_command(tau_a, frame, previous, now_ns)
        return Command(tau=ruling.tau, source="b" if self.share >= 1.0 else "mix", clipped=ruling.clipped)

    def _without_candidate(
        self, tau_a: list[float] | None, frame: Frame, previous: Sequence[float], now_ns: int
    ) -> Command:
        """A's command instead of one that did not come. Late once is replaced, late often and failed at all is gone."""
        late, why = self._failure == LATE, str(self._failure)
        self._late.append(late)
        if not late or sum(self._late) >= _LATE_TICKS:
            where = "in shadow: " if self.stage is Stage.SHADOW else ""
            self.roll_back(where + why, frame.seq)
        return self._committed_command(tau_a, frame, previous, now_ns)

    def _advance_share(self, reference: Reference) -> None:
        """Move the share towards its stage. The clock of the last stage runs only while the robot moves.

        The stages before it guard against gross errors, which show on a robot at rest too.
        """
        plan, dt_s = self.robot.canary, self.robot.dt_s
        last = self._step_index + 1 == len(plan.stages)
        target = plan.stages[self._step_index]
        if self.share < target:
            ramp = dt_s / plan.fade_s if plan.fade_s > 0 else 1.0
            self.share += ramp
            if self.share > target - 1e-9:  # sums of steps end beside the target, not on it
                self.share = target
            return
        assert self._monitor is not None
        if not last or self._monitor.is_excited(reference):
            self._stage_ticks += 1
        if self._stage_ticks * dt_s < plan.hold_s[self._step_index]:
            return
        if not last:
            self._step_index, self._stage_ticks = self._step_index + 1, 0
            self.stages_run.append(f"canary {plan.stages[self._step_index]:.0%}")
        else:
            self.stage = Stage.READY

    def _watch_committed(
        self,
        trigger: CanaryMonitor,
        frame: Frame,
        reference: Reference,
        command: Sequence[float],
        previous: Sequence[float],
    ) -> None:
        """The armed revert trigger: a committed patch that no longer keeps its promise goes."""
        reason = trigger.judge(frame, reference, 1.0, command, previous)
        if reason is None and self._a_failed:
            reason = "the safety law had to take over"
        if reason is not None:
            self.roll_back(f"revert trigger: {reason}", frame.seq)

    def _committed_command(
        self, tau_a: Sequence[float] | None, frame: Frame, previous: Sequence[float], now_ns: int
    ) -> Command:
        ruling = self._rule(tau_a, frame, previous, now_ns)
        breach = ruling.breach
        self._a_failed = breach is not None and breach not in _NO_LAWS_FAULT
        if ruling.tau is not None:
            self._a_ok += 1
            if self._hold is None or self._a_ok >= _A_OK_TICKS:
                self._hold = None
                return Command(ruling.tau, "a", ruling.clipped)
        else:
            self._a_ok = 0
            if self._hold is None:
                self._hold = list(frame.q)
                self.notes.append(Note(seq=frame.seq, what=f"safety law took over: {_explain(ruling)}"))
        return self._safety_command(frame, previous)

    def _safety_command(self, frame: Frame, previous: Sequence[float]) -> Command:
        """Hold the robot where it was; if even the measurement is bad, repeat the last command that was fit to send."""
        assert self._hold is not None
        if not all(map(math.isfinite, self._hold)) and all(map(math.isfinite, frame.q)):
            self._hold = list(frame.q)
        zero = [0.0] * self.robot.dof
        tau = self._ask(self._safety, frame, Reference(q_ref=self._hold, qd_ref=zero, qdd_ref=zero)) or previous
        out = []
        for i, value in enumerate(tau):
            out.append(self._envelope.clip(i, value if math.isfinite(value) else previous[i], previous[i]))
        return Command(tau=out, source="safety", clipped=False)


def _explain(ruling: Ruling) -> str:
    where = "" if ruling.joint is None else f" (joint {ruling.joint + 1})"
    return f"{ruling.breach}{where}"
