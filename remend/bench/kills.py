"""Services and caretakers that are killed at random moments while they heal, and what an auditor finds afterwards.

Each home is a new robot that degrades; it is killed until its patch was committed, then the next one is taken. Half of
the kills come at any moment, the others right after a client has begun to approve what waits; it remembers what it sent
and what was answered.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import select

from core.errors import RemendError
from core.records import Approval
from core.status import PatchStatus
from remend import ledger, tables
from remend.audit import verify_home
from remend.bench.living import LivingService, let_in
from remend.service.casefile import HEAD
from remend.service.client import Client
from remend.store import Store
from remend.web.resources import PatchWhole

ROBOT_ID = "cartpole-sim{seed}"
_MOST_A_HOME = 12  # kills
_SHORTEST_S, _LONGEST_S = 1.0, 40.0  # from a start to the kill, uniform
_AT_THE_DOOR_S = 0.5  # from an approval that is sent to a kill, at most
_PATIENCE_S = 240.0  # for a patch that waits, after which it is killed all the same
_GOES_ON = {PatchStatus.ACTIVE, PatchStatus.SHADOW, PatchStatus.CANARY, PatchStatus.STAGED}
_LOOK_S = 0.3


@dataclass(slots=True)
class Desk:
    """Who approves, and what they remember of it."""

    sent: set[str] = field(default_factory=set)  # reasons, each of one request
    answered: dict[str, str] = field(default_factory=dict)  # reason -> id of the approval, as the service said

    def approve(self, client: Client, patch: PatchWhole) -> None:
        """Approve a patch that was read, if the service still answers."""
        reason = f"request {len(self.sent) + 1}"
        self.sent.add(reason)
        try:
            made = client.decide("approve", patch, reason, robot_name=patch.summary.robot_id)
        except RemendError:  # killed meanwhile, or this was approved before: what was answered then counts
            return
        self.answered[made.reason] = made.id


@dataclass(slots=True)
class Found:
    """What was found after kills."""

    kills: int = 0
    of_services: int = 0
    of_caretakers: int = 0
    homes: int = 0
    approvals: int = 0
    commits: int = 0
    wrong: list[str] = field(default_factory=list)  # an approval that was lost, doubled or invented
    broken: list[str] = field(default_factory=list)  # an audit log that did not verify

    def examine(self, home: Path, desk: Desk) -> None:
        """Hold records and audit log of a home against what was sent and answered."""
        verdict = verify_home(home)
        if not verdict.ok:
            self.broken.append(f"kill {self.kills}: {verdict.why}")
        with Store.open(home) as store, store.reading() as connection:
            kept = ledger.records(connection, tables.approvals, Approval)
            rows = Counter(connection.scalars(select(tables.audit.c.subject).filter_by(verb="approve")))
            moved = Counter(
                patch.candidate.id
                for patch in store.patches()
                for move in patch.moves
                if move.after is PatchStatus.ACTIVE
            )
            going = {patch.candidate.id for patch in store.patches() if patch.status in _GOES_ON}
        self.wrong += [f"kill {self.kills}: {what}" for what in unsound(kept, rows, moved, going, desk)]


def unsound(
    kept: tuple[Approval, ...], rows: Counter[str], moved: Counter[str], going: set[str], desk: Desk
) -> list[str]:
    """What is wrong with the approvals of a home; empty if they are those that were given.

    Args:
        rows: patch -> rows of the audit log that say that it was approved.
        moved: patch -> how often it was committed.
        going: patches that are on the robot, or on their way.
    """
    by_reason = {approval.reason: approval for approval in kept}
    patches = Counter(approval.patch_id for approval in kept)
    lost = [reason for reason, name in desk.answered.items() if reason not in by_reason or by_reason[reason].id != name]
    return [
        *(f"{reason} was answered and is lost" for reason in lost),
        *(f"{approval.id} was asked for by nobody" for approval in kept if approval.reason not in desk.sent),
        *(f"{patch} has {count} approvals" for patch, count in patches.items() if count > 1),
        *(
            f"{patch} has {rows[patch]} rows of an approval"
            for patch in rows | patches
            if rows[patch] != patches[patch]
        ),
        *(f"{patch} was committed {count} times" for patch, count in moved.items() if count > 1),
        *(f"{patch} went on without an approval" for patch in going | set(moved) if not patches[patch]),
    ]


def killed(kills: int, seed: int, until_s: float, say: Callable[[str], None] = lambda _: None) -> Found:
    """Kill `kills` times, or until the monotonic clock says `until_s`.

    Raises:
        RobotFault: a service ended by itself.
    """
    found, rng = Found(), np.random.default_rng(seed)
    while found.kills < kills and time.monotonic() < until_s:
        found.homes += 1
        with tempfile.TemporaryDirectory() as folder:
            _one_home(Path(folder) / "home", min(kills, found.kills + _MOST_A_HOME), until_s, found, rng)
        say(f"{found.kills} kills in {found.homes} homes, {found.approvals} approvals, {found.commits} commits")
    return found


def _one_home(home: Path, kills: int, until_s: float, found: Found, rng: np.random.Generator) -> None:
    seed = found.homes
    token, _ = let_in(home)
    desk = Desk()
    sim = ("--sim", "--robot", "cartpole", "--fault", "sensor_bias:onset=2", "--seed", str(seed))
    service = LivingService(home, *sim)
    try:
        head = home / "robots" / ROBOT_ID.format(seed=seed) / HEAD
        service.wait_for(head.exists)
        while found.kills < kills and time.monotonic() < until_s and not _committed(home):
            with Client(service.url, token) as client:
                approving = None
                if rng.random() < 0.5 or _approved(home):
                    time.sleep(rng.uniform(_SHORTEST_S, _LONGEST_S))
                elif (waiting := _wait_for_a_patch(home)) is not None:
                    approving = threading.Thread(target=desk.approve, args=(client, client.patch(waiting)))
                    approving.start()
                    time.sleep(rng.uniform(0.0, _AT_THE_DOOR_S))
                goes_on = _kill(service, found, rng)
                if approving is not None:
                    approving.join()
            found.examine(home, desk)
            if not goes_on:
                service.end()
                service = LivingService(home)
                found.examine(home, desk)
    finally:
        service.end()
    found.examine(home, desk)
    with Store.open(home) as store:
        found.approvals += sum(patch.approval is not None for patch in store.patches())
        found.commits += sum(move.after is PatchStatus.ACTIVE for patch in store.patches() for move in patch.moves)


def _kill(service: LivingService, found: Found, rng: np.random.Generator) -> bool:
    """Kill the service, its caretaker, or both; whether the service goes on."""
    found.kills += 1
    both, alone = rng.random() < 0.3, rng.random() < 0.5
    if both or alone:
        found.of_caretakers += 1
        for pid in service.caretakers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if both or not alone:
        found.of_services += 1
        service.kill()
    return alone and not both


def _wait_for_a_patch(home: Path) -> str | None:
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s:
        with Store.open(home) as store:
            for patch in store.patches():
                if patch.status is PatchStatus.AWAITING_APPROVAL:
                    return patch.candidate.id
        time.sleep(_LOOK_S)
    return None


def _approved(home: Path) -> bool:
    with Store.open(home) as store:
        return any(patch.status is PatchStatus.APPROVED or patch.status in _GOES_ON for patch in store.patches())


def _committed(home: Path) -> bool:
    with Store.open(home) as store:
        return any(move.after is PatchStatus.ACTIVE for patch in store.patches() for move in patch.moves)
