"""What happens with a patch if it is approved, as steps, with the one at which it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from core.errors import RemendError
from core.robot import CanaryPlan, Robot
from core.robot_toml import load_robot
from core.status import PatchStatus
from remend import numbers
from remend.ledger import Patch
from remend.web.resources import RobotShown
from remend.web.views.times import Moment, moment
from sim.catalogue import robot_file

_S = PatchStatus
_WAY = (_S.AWAITING_APPROVAL, _S.APPROVED, _S.SHADOW, _S.CANARY, _S.ACTIVE)
_AT = {_S.STAGED: _S.APPROVED, _S.SUPERSEDED: _S.ACTIVE, _S.INCONCLUSIVE: _S.AWAITING_APPROVAL}
_ENDED = {_S.REJECTED, _S.EXPIRED, _S.ROLLED_BACK, _S.ROLLING_BACK, _S.ROLLBACK_FAILED, _S.KILLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step."""

    name: str
    what: str
    state: str  # "done", "now", "next", "off" or "failed"
    at: Moment | None


@lru_cache(maxsize=32)
def known_robot(model: str) -> Robot | None:
    """What is known of a model; None if its file cannot be read any more."""
    try:
        return load_robot(robot_file(model))
    except RemendError:
        return None


def canary_plan(model: str) -> CanaryPlan | None:
    """How a robot takes a patch over, if its model is known."""
    robot = known_robot(model)
    return None if robot is None else robot.canary


def steps(patch: Patch, robot: RobotShown | None, plan: CanaryPlan | None, now_ns: int) -> tuple[Step, ...]:
    """The steps of a patch, first to last."""
    status = patch.status
    reached = [move.after for move in patch.moves]
    stood = next((s for s in reversed(reached) if s not in _ENDED), status)
    at = _AT.get(stood, stood)
    place = _WAY.index(at) if at in _WAY else -1
    ended = status in _ENDED
    times = {move.after: move.at_ns for move in patch.moves}
    return tuple(
        Step(
            name=name,
            what=what,
            state=_state(k, place, ended=ended, final=status in (_S.ACTIVE, _S.SUPERSEDED)),
            at=moment(times[step], now_ns) if step in times else None,
        )
        for k, (step, name, what) in enumerate(_rows(plan, robot))
    )


def _state(k: int, place: int, *, ended: bool, final: bool) -> str:
    if k < place or (k == place and final):
        return "done"
    if k > place:
        return "off" if ended else "next"
    return "failed" if ended else "now"


def _rows(plan: CanaryPlan | None, robot: RobotShown | None) -> tuple[tuple[PatchStatus, str, str], ...]:
    share = ""
    if robot is not None and robot.stage == "canary" and robot.share is not None:
        share = f" Now {100 * robot.share:.0f} %."
    shadow, canary = "It is computed beside the controller and commands nothing.", "It gets a growing share."
    if plan is not None:
        shares = ", ".join(f"{100 * each:.0f}" for each in plan.stages)
        shadow = f"{numbers.quantity(plan.shadow_s, 's')}: it is computed beside the controller and commands nothing."
        canary = f"{shares} % of the command, at least {sum(plan.hold_s):.3g} s in all while the robot moves."
    return (
        (_S.AWAITING_APPROVAL, "Decision", "A person approves or rejects what this page shows."),
        (_S.APPROVED, "On its way", "Signed, and sent to the robot."),
        (_S.SHADOW, "Shadow", shadow),
        (_S.CANARY, "Trial", canary + share),
        (_S.ACTIVE, "Active", "Committed; the controller before stays ready."),
    )
