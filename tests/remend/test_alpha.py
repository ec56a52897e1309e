"""Sealed decisions are counted, each candidate is decided once, and nothing is drawn before it is committed to."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import BadInput
from core.records import Seal
from core.status import PatchStatus
from remend import tables
from remend.alpha import DAY_NS, Spent, next_attempt
from remend.audit import verify_home
from remend.database import writing
from remend.keys import seal_key, simulated_seal_key
from remend.store import Store
from sim.policy import Alpha, Policy
from sim.policy_toml import shipped_policy
from sim.sealing import is_genuine, seed_of, signed
from tests import made_up

HOUR_NS = 3600 * 10**9
POLICY = shipped_policy()
RULE = Alpha(per_incident=0.05, attempts=2, incident_renews_h=100.0, per_day=0.1)
KEY = simulated_seal_key(1)


def at(hours: float, incident: str = "inc_1", robot: str = "iiwa", alpha: float = 0.025) -> Seal:
    return replace(made_up.seal(), incident_id=incident, robot_id=robot, alpha=alpha, at_ns=round(hours * HOUR_NS))


def attempt(seals: list[Seal], hours: float, rule: Alpha = RULE) -> int | Spent:
    return next_attempt(seals, rule, incident_id="inc_1", robot_id="iiwa", now_ns=round(hours * HOUR_NS))


def test_an_incident_has_so_many_attempts_and_no_more() -> None:
    assert attempt([], 1000) == 1
    assert attempt([at(999)], 1000) == 2
    spent = attempt([at(990), at(999)], 1000)
    assert isinstance(spent, Spent)
    assert spent.until_ns == round((990 + 100) * HOUR_NS)
    assert "2 of 2 sealed decisions on this incident" in spent.why
    assert "from 1970-02-15 10:00:00 UTC on" in spent.why


def test_an_incident_that_stays_open_has_its_attempts_again() -> None:
    seals = [at(990), at(999)]
    assert isinstance(attempt(seals, 1089.9), Spent)
    assert attempt(seals, 1090) == 2
    assert attempt(seals, 1099) == 1


def test_a_robot_has_so_much_alpha_a_day_over_all_incidents() -> None:
    seals = [at(980 + k, f"inc_{k + 5}") for k in range(4)]  # at 980, 981, 982, 983
    spent = attempt(seals, 990)
    assert isinstance(spent, Spent)
    assert spent.until_ns == 980 * HOUR_NS + DAY_NS
    assert "iiwa has spent 0.1 of 0.1 alpha within 24 h" in spent.why
    assert attempt(seals, 1003.9) == spent
    assert attempt(seals, 1004) == 1
    assert attempt(seals[1:], 990) == 1
    assert attempt([replace(seal, robot_id="other") for seal in seals], 990) == 1


def test_a_dearer_decision_waits_for_as_many_as_it_takes() -> None:
    dear = replace(RULE, per_incident=0.05, attempts=1)  # 0.05 at once
    seals = [at(980 + k, f"inc_{k + 5}") for k in range(4)]
    spent = attempt(seals, 990, dear)
    assert isinstance(spent, Spent)
    assert spent.until_ns == 981 * HOUR_NS + DAY_NS
    assert attempt(seals[2:], 990, dear) == 1


def test_a_clock_that_was_set_back_gives_nothing_away() -> None:
    assert isinstance(attempt([at(2000), at(2001)], 1000), Spent)


@given(st.lists(st.floats(0, 200), max_size=12), st.floats(0, 200))
def test_whoever_comes_back_when_told_is_served_and_the_budget_is_kept(past: list[float], now: float) -> None:
    seals = [at(hours, f"inc_{k}") for k, hours in enumerate(sorted(h for h in past if h <= now))]
    spent = attempt(seals, now)
    if isinstance(spent, Spent):
        assert spent.until_ns > now * HOUR_NS
        assert not isinstance(attempt(seals, spent.until_ns / HOUR_NS), Spent)
        assert isinstance(attempt(seals, (spent.until_ns - 10**9) / HOUR_NS), Spent)
    else:
        recent = [s for s in seals if s.at_ns > round(now * HOUR_NS) - DAY_NS]
        assert 0.025 * (len(recent) + 1) <= 0.1 + 1e-9


# -- in the store -----------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(store: Store, samples: ModuleType) -> Store:
    store.add_incident(samples.incident())
    for k in range(5):
        store.add_candidate(samples.candidate(f"pat_{k}", result_sha=f"{k}" * 64))
    return store


def sealed(store: Store, patch: str = "pat_0", policy: Policy = POLICY, key: Ed25519PrivateKey = KEY) -> Seal | Spent:
    return store.seal(patch, telemetry_sha="f" * 64, policy=policy, key=key)


def test_a_seal_names_all_that_was_fixed_and_is_on_record_at_once(filled: Store, clock: ManualClock) -> None:
    rows = verify_home(filled.home).rows
    seal = sealed(filled)
    assert isinstance(seal, Seal)
    assert (seal.patch_id, seal.incident_id, seal.robot_id) == ("pat_0", "inc_1", "iiwa")
    assert (seal.telemetry_sha, seal.base_sha, seal.result_sha) == ("f" * 64, "b" * 64, "0" * 64)
    assert (seal.policy_sha, seal.attempt, seal.alpha) == (POLICY.sha256, 1, 0.025)
    assert seal.at_ns == clock.wall_ns()
    assert is_genuine(seal)
    assert verify_home(filled.home).ok
    assert verify_home(filled.home).rows == rows + 1
    assert filled.show("pat_0")["seals"] == filled.show("inc_1")["seals"]
    assert filled.show("pat_0")["audit"][-1]["verb"] == "sealed"


def test_the_same_candidate_is_sealed_once(filled: Store, samples: ModuleType, clock: ManualClock) -> None:
    seal = sealed(filled)
    clock.advance_s(100.0)
    assert sealed(filled) == seal
    filled.add_candidate(samples.candidate("pat_again", result_sha="0" * 64))
    assert sealed(filled, "pat_again", key=simulated_seal_key(2)) == seal
    second = sealed(filled, "pat_1")
    assert isinstance(second, Seal)
    assert second.attempt == 2
    assert seed_of(second) != seed_of(seal)


def test_retries_cannot_buy_a_promotion(filled: Store, clock: ManualClock) -> None:
    assert isinstance(sealed(filled, "pat_0"), Seal)
    assert isinstance(sealed(filled, "pat_1"), Seal)
    rows = verify_home(filled.home).rows
    for _ in range(3):
        assert isinstance(sealed(filled, "pat_2"), Spent)
    other = replace(POLICY, superiority=replace(POLICY.superiority, margin=0.01))
    assert isinstance(sealed(filled, "pat_0", other), Spent)  # asking under easier terms is another decision
    assert verify_home(filled.home).rows == rows
    assert isinstance(sealed(filled, "pat_0"), Seal)  # what is decided stays decided
    clock.advance_s(3600 * POLICY.alpha.incident_renews_h)
    assert isinstance(sealed(filled, "pat_2"), Seal)


def test_a_day_of_incidents_is_limited_too(store: Store, samples: ModuleType) -> None:
    for k in range(5):
        store.add_incident(samples.incident(f"inc_{k}"))
        store.add_candidate(samples.candidate(f"pat_{k}", f"inc_{k}"))
    found = [sealed(store, f"pat_{k}") for k in range(5)]
    assert [isinstance(each, Spent) for each in found] == [False] * 4 + [True]


def test_nothing_is_sealed_for_a_candidate_that_is_not_stored(filled: Store) -> None:
    with pytest.raises(BadInput, match="no patch"):
        sealed(filled, "pat_9")


def test_the_report_on_a_seal_is_found_again(filled: Store, samples: ModuleType) -> None:
    seal = sealed(filled)
    assert isinstance(seal, Seal)
    assert filled.report_on(seal) is None
    candidate = samples.candidate("pat_0", result_sha="0" * 64)
    filled.add_report(samples.report(candidate, "rep_held"))
    assert filled.report_on(seal) is None
    judged = replace(samples.report(candidate, "rep_sealed"), seal=seal)
    filled.add_report(judged)
    assert filled.report_on(seal) == judged
    assert filled.patch("pat_0").report == judged


def test_a_seal_that_was_signed_by_nobody_breaks_the_audit(filled: Store) -> None:
    seal = sealed(filled)
    assert isinstance(seal, Seal)
    forged = replace(signed(replace(seal, result_sha="1" * 64), KEY), result_sha="1" * 64, patch_id="pat_1", attempt=2)
    from remend.journal import Journal  # noqa: PLC0415

    with writing(filled._engine) as connection:
        journal = Journal(connection=connection, actor="mallory", at_ns=1)
        columns = ("patch_id", "incident_id", "robot_id", "base_sha", "result_sha", "policy_sha")
        journal.record(
            tables.seals, "sealed", ("pat_1", "0"), forged, **{name: getattr(forged, name) for name in columns}
        )
    verdict = verify_home(filled.home)
    assert not verdict.ok
    assert "seal" in verdict.why


def test_a_home_without_seals_is_verified_and_brought_up_to_date(filled: Store, samples: ModuleType) -> None:
    filled.move("pat_0", PatchStatus.PROPOSED, PatchStatus.CHECKED, "checker", "inside the language")
    filled.close()
    samples.as_before(filled.home, 1)
    assert verify_home(filled.home).ok
    with Store.open(filled.home) as again:
        assert isinstance(sealed(again), Seal)
    assert verify_home(filled.home).ok


# -- keys -------------------------------------------------------------------------------------------------------------


def test_a_seal_key_is_made_once(home) -> None:
    one, other = seal_key(home), seal_key(home)
    assert one.private_bytes_raw() == other.private_bytes_raw()
    assert (home / "keys" / "seal.pem").stat().st_mode & 0o077 == 0


def test_a_simulation_of_a_seed_has_one_key() -> None:
    keys = {simulated_seal_key(seed).private_bytes_raw() for seed in (1, 1, 2)}
    assert len(keys) == 2
