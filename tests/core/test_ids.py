"""Ids that sort, and one text and one hash for one value."""

from __future__ import annotations

import enum
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.ids import canonical_json, new_id, plain, sha256_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    size_m: float
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    colour: Colour
    row: object


@given(times=st.lists(st.integers(0, 2**53), min_size=2, max_size=20, unique=True))
def test_ids_sort_by_the_time_of_their_creation(times: list[int]) -> None:
    ids = [new_id("pat", ManualClock(1000 * us)) for us in sorted(times)]
    assert ids == sorted(ids)


def test_ids_of_the_same_microsecond_differ() -> None:
    clock = ManualClock(1_800_000_000 * 10**9)
    ids = {new_id("inc", clock) for _ in range(50)}
    assert len(ids) > 45  # twenty random bits
    assert all(len(value) == len("inc_") + 15 and value.startswith("inc_") for value in ids)
    assert new_id("inc") != new_id("inc")


@given(json_values)
def test_canonical_json_is_read_back_as_the_same_value(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, int], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert canonical_json(dict(items)) == canonical_json(value)
    assert sha256_of(dict(items)) == sha256_of(value)


@given(json_values, json_values)
def test_values_have_equal_hashes_only_if_their_texts_are_equal(a: object, b: object) -> None:
    assert (sha256_of(a) == sha256_of(b)) == (canonical_json(a) == canonical_json(b))


def test_records_become_plain_json() -> None:
    record = Outer(
        inner=Inner(size_m=0.1, tags=("a", "ü")), colour=Colour.RED, row={1: np.arange(3.0), "p": PurePosixPath("a/b")}
    )
    expected = '{"colour":"red","inner":{"size_m":0.1,"tags":["a","ü"]},"row":{"1":[0.0,1.0,2.0],"p":"a/b"}}'
    assert canonical_json(record) == expected
    assert sha256_of(record) == hashlib.sha256(expected.encode()).hexdigest()


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    assert plain([np.float64(0.5), np.int64(3), np.bool_(True), np.zeros((1, 2))]) == [0.5, 3, True, [[0.0, 0.0]]]
    assert [type(value) for value in plain([np.float64(0.5), np.int64(3), np.bool_(True)])] == [float, int, bool]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float64("nan"), np.array([1.0, math.inf])])
def test_what_is_not_finite_has_no_canonical_text(bad: object) -> None:
    for value in (bad, [bad], {"a": bad}, Outer(inner=Inner(size_m=1.0, tags=()), colour=Colour.RED, row=bad)):
        with pytest.raises(ValueError, match="cannot be written as canonical JSON"):
            canonical_json(value)


def test_bytes_are_hashed_as_they_are() -> None:
    assert sha256_of(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert sha256_of(b'"abc"') == sha256_of("abc")


def test_a_dataclass_type_is_no_record() -> None:
    with pytest.raises(TypeError):
        canonical_json(Inner)
