"""After a start: bring the records in line with what the robot runs. The robot is the authority.

proposed, checked, validating      -> rejected: the incident shows again and is answered anew
awaiting approval, inconclusive    stay: a person decides
approved                           stays: the caretaker carries it out
staged, shadow, canary             -> active if the robot has committed it, else rolled back
active                             stays if the robot runs it, else rolled back
rolling back                       -> rolled back, unless the robot still runs it
"""

from __future__ import annotations

from core.records import Outcome
from core.status import PatchStatus
from remend.ledger import Patch
from remend.store import Store

_S = PatchStatus
_UNFINISHED = (_S.PROPOSED, _S.CHECKED, _S.VALIDATING)
_ON_TRIAL = (_S.STAGED, _S.SHADOW, _S.CANARY)
_INTERRUPTED = "interrupted: the service was started anew"


def reconcile(store: Store, robot_id: str, active_sha: str) -> Patch | None:
    """Bring all patches of a robot in line with the controller that it runs; the patch that is active, if one is.

    Args:
        active_sha: artefact that the robot says it is committed to.
    """
    give_up(store, robot_id, _INTERRUPTED)
    for patch in store.in_status(robot_id, *_ON_TRIAL):
        if patch.candidate.result_sha == active_sha:
            _walk(store, patch, _to_active(patch.status), "the robot had committed it")
        else:
            _walk(store, patch, (_S.ROLLING_BACK, _S.ROLLED_BACK), _INTERRUPTED)
            store.add_outcome(interrupted(patch.id))
    for patch in store.in_status(robot_id, _S.ROLLING_BACK):
        after = _S.ROLLBACK_FAILED if patch.candidate.result_sha == active_sha else _S.ROLLED_BACK
        _walk(store, patch, (after,), "what the robot says that it runs")
    active = None
    for patch in store.in_status(robot_id, _S.ACTIVE):
        if patch.candidate.result_sha != active_sha:
            _walk(store, patch, (_S.ROLLING_BACK, _S.ROLLED_BACK), "the robot runs another controller")
        else:
            if active is not None:
                _walk(store, active, (_S.SUPERSEDED,), f"{patch.id} took its place")
            active = patch
    return active


def give_up(store: Store, robot_id: str, why: str) -> None:
    """Reject what nobody works on any more."""
    for patch in store.in_status(robot_id, *_UNFINISHED):
        _walk(store, patch, (_S.REJECTED,), why)


def interrupted(patch_id: str) -> Outcome:
    """What is known of a deployment that nobody saw the end of."""
    return Outcome(
        patch_id=patch_id,
        deployed=True,
        rolled_back=True,
        reason=_INTERRUPTED,
        stages=(),
        duration_s=0.0,
        max_command_step=0.0,
        missed_deadlines=None,
    )


def _to_active(status: PatchStatus) -> tuple[PatchStatus, ...]:
    way = (_S.STAGED, _S.SHADOW, _S.CANARY, _S.ACTIVE)
    return way[way.index(status) + 1 :]


def _walk(store: Store, patch: Patch, way: tuple[PatchStatus, ...], why: str) -> None:
    before = patch.status
    for after in way:
        store.move(patch.id, before, after, "service", why)
        before = after
