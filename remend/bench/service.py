"""The service under load and under kills: fleets, many clients at a time, and random deaths while it heals."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.status import PatchStatus
from remend.bench.clients import Answer, crowd
from remend.bench.figure import Figure
from remend.bench.fleet import fleet
from remend.bench.kills import Found, killed
from remend.bench.living import LivingService, let_in
from remend.service.client import Client

FAIR = 5.0  # p99 over median
_CLIENTS, _KILLS, _QUICK_KILLS = 200, 300, 5
_EACH, _QUICK_EACH = 20, 3  # requests of a client in a round
_ROUNDS = 5
_SERVE = ("--sim", "--robot", "cartpole", "--fault", "sensor_bias:onset=2", "--seed", "1")
_LONG_MIN, _QUICK_MIN = 12.0 * 60, 8.0


def run(quick: bool, minutes: float | None = None) -> Iterator[Figure]:
    """All figures of this benchmark.

    Args:
        minutes: that the kills may take; what was reached is in n.
    """
    end_s = time.monotonic() + 60.0 * (minutes or (_QUICK_MIN if quick else _LONG_MIN))
    yield from fleet(quick)
    yield from clients(_QUICK_EACH if quick else _EACH)
    wanted = _QUICK_KILLS if quick else _KILLS
    yield from deaths(killed(wanted, 1, end_s, lambda what: print(f"  {what}", file=sys.stderr)), wanted)


def clients(each: int) -> Iterator[Figure]:
    """Pages and API for 200 clients at a time, of a service that looks after a robot meanwhile; beside one client."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        token, session = let_in(home)
        with LivingService(home, *_SERVE) as service, Client(service.url, token) as client:
            waiting = service.wait_for(lambda: next(client.patches(PatchStatus.AWAITING_APPROVAL.value), None))
            assert waiting is not None
            paths = ("/", f"/patches/{waiting.id}", "/api/v1/patches", "/api/v1/robots")

            def ask(number: int, times: int, seed: int) -> list[Answer]:
                return crowd(service.url, paths, number, times, token=token, session=session, seed=seed)

            ask(1, 5 * len(paths), 0)  # templates are compiled once
            alone = ask(1, 10 * len(paths), 1)
            rounds = [ask(_CLIENTS, each, 2 + number) for number in range(_ROUNDS)]
    ratios = [_tail(answers) for answers in rounds]
    answers = [answer.took_s for round_ in rounds for answer in round_]
    yield Figure(
        bench="service",
        figure=f"{_CLIENTS} clients: 99th percentile of an answer over the median",
        value=float(np.median(ratios)),
        unit="1",
        interval=(min(ratios), max(ratios)),
        n=len(answers),
        target=FAIR,
        sense="<=",
        note=f"{_ROUNDS} rounds, whose range is the interval; inbox, decision page, patches and robots in turn",
    )
    yield Figure(
        bench="service",
        figure=f"{_CLIENTS} clients: median of an answer",
        value=float(np.median(answers)),
        unit="s",
        interval=None,
        n=len(answers),
        peer="one client",
        peer_value=float(np.median([answer.took_s for answer in alone])),
        note=f"99th percentile {np.percentile(answers, 99):.2g} s, slowest {max(answers):.2g} s",
    )


def _tail(answers: list[Answer]) -> float:
    took_s = [answer.took_s for answer in answers]
    return float(np.percentile(took_s, 99) / np.median(took_s))


def deaths(found: Found, wanted: int) -> Iterator[Figure]:
    """What kills did to approvals and to the audit log."""
    note = f"{found.of_services} of services, {found.of_caretakers} of caretakers, in {found.homes} homes"
    if found.kills < wanted:
        note = f"{note}; {wanted} were wanted, and time was up"
    yield Figure(
        bench="service",
        figure="kills while healing: approvals lost, doubled or invented",
        value=float(len(found.wrong)) if found.approvals else None,
        unit="1",
        interval=None,
        n=found.kills,
        target=0.0,
        sense="<=",
        note="; ".join([f"{found.approvals} approvals, {found.commits} commits", note, *found.wrong[:3]])
        if found.approvals
        else "nothing was approved",
    )
    yield Figure(
        bench="service",
        figure="kills while healing: audit logs that did not verify",
        value=float(len(found.broken)) if found.kills else None,
        unit="1",
        interval=None,
        n=found.kills,
        target=0.0,
        sense="<=",
        note="; ".join(found.broken[:3]) or None,
    )
