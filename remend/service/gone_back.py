"""A robot that went back to the controller before by itself, long after its commit: the records follow it."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.host_status import HostStatus
from core.errors import Conflict, Refused
from core.status import PatchStatus
from remend.store import Store
from remend.versions import Versions

_S = PatchStatus
BY_ORDER = "rolled back by "  # who carries out an order writes it down


def follow_back(
    store: Store, versions: Versions, robot_id: str, status: HostStatus, files: Mapping[str, bytes]
) -> tuple[str, ...]:
    """Write down that active patches run no more; which they were.

    Args:
        status: of the robot, committed.
        files: of the controller that it runs.
    """
    why, gone = status.rollback_reason or "the robot runs another controller", []
    if why.startswith(BY_ORDER):
        return ()
    for patch in store.in_status(robot_id, _S.ACTIVE):
        if patch.candidate.result_sha == status.active_sha:
            continue
        try:
            versions.commit(robot_id, files, patch.candidate.result_sha, f"{why}\n\n{patch.id}", "robot")
            if status.killed is not None:
                store.move(patch.id, _S.ACTIVE, _S.KILLED, "robot", why)
            else:
                store.move(patch.id, _S.ACTIVE, _S.ROLLING_BACK, "robot", why)
                store.move(patch.id, _S.ROLLING_BACK, _S.ROLLED_BACK, "robot", why)
        except (Conflict, Refused):  # somebody else has written it down
            continue
        gone.append(patch.id)
    return tuple(gone)
