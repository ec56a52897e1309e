"""Sealed scenarios follow from a commitment, by a way that nobody can take beforehand and everybody can check."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.records import Seal
from sim.evidence import draw_scenarios
from sim.sealing import is_genuine, seed_of, signed
from tests import made_up

SEAL = made_up.seal()
FIXED = {"telemetry_sha": "1" * 64, "base_sha": "2" * 64, "result_sha": "3" * 64, "policy_sha": "4" * 64, "attempt": 2}


def test_one_commitment_has_one_seed() -> None:
    assert made_up.seal() == SEAL
    assert seed_of(SEAL) == seed_of(made_up.seal())
    assert 0 <= seed_of(SEAL) < 2**52
    assert is_genuine(SEAL)


@pytest.mark.parametrize("name", FIXED)
def test_whatever_is_fixed_decides_the_seed_and_cannot_be_changed_later(name: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
    other = replace(SEAL, **{name: FIXED[name]})
    assert not is_genuine(other)
    assert is_genuine(signed(other, key))
    assert seed_of(signed(other, key)) != seed_of(SEAL)


def test_what_differs_from_run_to_run_does_not_decide_the_seed() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
    again = replace(SEAL, patch_id="pat_2", incident_id="inc_2", robot_id="other", at_ns=8)
    assert signed(again, key).signature == SEAL.signature


def test_another_key_draws_other_scenarios() -> None:
    other = made_up.seal(seed=2)
    assert is_genuine(other)
    assert seed_of(other) != seed_of(SEAL)
    assert not is_genuine(replace(SEAL, public_key=other.public_key))


def test_another_candidate_meets_other_sealed_scenarios() -> None:
    drawn = [
        {scenario.sha256 for scenario in draw_scenarios(made_up.twin(), 10, seed_of(made_up.seal(result_sha=sha)))}
        for sha in ("a" * 64, "b" * 64)
    ]
    assert not drawn[0] & drawn[1]


@pytest.mark.parametrize(
    "broken",
    [{"signature": ""}, {"signature": "zz"}, {"signature": "00" * 64}, {"public_key": "ab"}, {"public_key": "x"}],
)
def test_what_is_no_signature_is_not_genuine(broken: dict[str, str]) -> None:
    assert not is_genuine(replace(SEAL, **broken))


@given(st.integers(0, 63), st.integers(1, 255))
def test_no_altered_signature_is_genuine(place: int, change: int) -> None:
    raw = bytearray.fromhex(SEAL.signature)
    raw[place] ^= change
    altered: Seal = replace(SEAL, signature=raw.hex())
    assert not is_genuine(altered)
