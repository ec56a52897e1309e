"""The alpha ledger: what sealed decisions have spent of an incident and of a robot's day, and when there is some again.

Every look at sealed scenarios can let a worthless candidate pass with a known chance. The chances of all looks add up,
so they are counted: many tries cannot buy a promotion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.records import Incident, Seal
from remend import ledger, numbers, tables
from remend.journal import Journal
from sim.policy import Alpha, Policy
from sim.sealing import signed

DAY_NS = 24 * 3600 * 10**9
_ROUNDING = 1e-9  # shares of alpha add up in binary


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """No alpha is left for another sealed decision."""

    until_ns: int  # UTC
    why: str  # one sentence


def next_attempt(seals: Sequence[Seal], rule: Alpha, *, incident_id: str, robot_id: str, now_ns: int) -> int | Spent:
    """Number of the next attempt at an incident, from 1; or why there is none now.

    Args:
        seals: all sealed decisions of the incident and of the robot.
    """
    window_ns = round(rule.incident_renews_h * 3600 * 1e9)
    of_incident = sorted(s.at_ns for s in seals if s.incident_id == incident_id and s.at_ns > now_ns - window_ns)
    if len(of_incident) >= rule.attempts:
        until_ns = of_incident[-rule.attempts] + window_ns
        why = f"{len(of_incident)} of {rule.attempts} sealed decisions on this incident are made"
        return Spent(until_ns=until_ns, why=f"{why}; there is alpha for another from {numbers.utc(until_ns)} on")
    of_day = sorted((s.at_ns, s.alpha) for s in seals if s.robot_id == robot_id and s.at_ns > now_ns - DAY_NS)
    spent = sum(alpha for _, alpha in of_day)
    left = spent
    for at_ns, alpha in [(now_ns - DAY_NS, 0.0), *of_day]:  # who waits until a decision is a day old has its alpha back
        left -= alpha
        if left + rule.each <= rule.per_day + _ROUNDING:
            until_ns = at_ns + DAY_NS
            break
    if until_ns <= now_ns:
        return len(of_incident) + 1
    why = f"{robot_id} has spent {spent:g} of {rule.per_day:g} alpha within 24 h"
    return Spent(until_ns=until_ns, why=f"{why}; there is enough for another decision from {numbers.utc(until_ns)} on")


def commit(
    journal: Journal, patch_id: str, telemetry_sha: str, policy: Policy, key: Ed25519PrivateKey, per_day: float = 1.0
) -> Seal | Spent:
    """Seal a stored candidate in the caller's transaction, or find the seal that it has, or say why there is none.

    Args:
        per_day: alpha that the robot may spend within 24 h, where the policy does not allow less.

    Raises:
        BadInput: no such patch.
    """
    connection = journal.connection
    candidate = ledger.candidate(connection, patch_id)
    asked = {
        "incident_id": candidate.incident_id,
        "base_sha": candidate.base_sha,
        "result_sha": candidate.result_sha,
        "policy_sha": policy.sha256,
    }
    if earlier := ledger.records(connection, tables.seals, Seal, **asked):
        return earlier[0]
    robot_id = ledger.records(connection, tables.incidents, Incident, id=candidate.incident_id)[0].robot_id
    known = (
        *ledger.records(connection, tables.seals, Seal, incident_id=candidate.incident_id),
        *ledger.records(connection, tables.seals, Seal, robot_id=robot_id),
    )
    attempt = next_attempt(
        list({seal.sha256: seal for seal in known}.values()),
        replace(policy.alpha, per_day=min(policy.alpha.per_day, per_day)),
        incident_id=candidate.incident_id,
        robot_id=robot_id,
        now_ns=journal.at_ns,
    )
    if isinstance(attempt, Spent):
        return attempt
    seal = signed(
        Seal(
            patch_id=patch_id,
            robot_id=robot_id,
            telemetry_sha=telemetry_sha,
            attempt=attempt,
            alpha=policy.alpha.each,
            at_ns=journal.at_ns,
            public_key="",
            signature="",
            **asked,
        ),
        key,
    )
    subject = (patch_id, candidate.sha256)
    journal.record(tables.seals, "sealed", subject, seal, patch_id=patch_id, robot_id=robot_id, **asked)
    return seal
