"""The reader of answers believes nothing: exactly the form, or it is no answer."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.metrics import METRICS
from core.robot import Robot
from sim.catalogue import find_robot
from sim.judge import Judgement
from sim.visited import Visited, quantities
from sim.workers.answer import Malformed, Rolled, most_bytes, read_answer, write_answer

ROBOT: Robot = find_robot("arm2")
N, M = ROBOT.dof, len(ROBOT.actuators)
TICKS = 5
figure = st.floats(0.0, 1e12)
share = st.floats(0.0, 1.0)
value = st.floats(-1e12, 1e12)
Q = quantities(ROBOT)


@st.composite
def ranges(draw: st.DrawFn) -> Visited:
    ends = [sorted(draw(st.tuples(value, value))) for _ in range(quantities(ROBOT))]
    return Visited(low=tuple(low for low, _ in ends), high=tuple(high for _, high in ends))


@st.composite
def rollouts(draw: st.DrawFn) -> Rolled:
    diverged = draw(st.booleans())
    ticks = draw(st.integers(1, TICKS)) if diverged else TICKS
    return Rolled(
        judgement=Judgement(
            metrics={name: draw(figure) for name in METRICS},
            peak_error=tuple(draw(figure) for _ in range(N)),
            peak_variation_nm=draw(figure),
            diverged=diverged,
            safety_share=draw(share),
            clipped_share=draw(share),
            limit_broken=draw(st.booleans()),
            visited=draw(ranges()),
        ),
        command=draw(arrays(float, (ticks, M), elements=st.floats(-1e9, 1e9))),
    )


def same(one: tuple[Rolled, ...], other: list[Rolled]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a.judgement == b.judgement and np.array_equal(a.command, b.command) for a, b in pairs)


@given(st.lists(rollouts(), max_size=3))
def test_what_is_written_is_read_to_the_last_bit_and_fits_the_limit(rolled: list[Rolled]) -> None:
    data = write_answer(rolled)
    assert same(read_answer(data, ROBOT, [TICKS] * len(rolled)), rolled)
    assert len(data) <= most_bytes(ROBOT, [TICKS] * len(rolled))


@given(st.lists(rollouts(), min_size=1, max_size=2), st.data())
def test_a_part_of_an_answer_is_none_and_neither_is_one_with_more_behind(
    rolled: list[Rolled], data: st.DataObject
) -> None:
    whole = write_answer(rolled)
    end = data.draw(st.integers(0, len(whole) - 1))
    for wrong in (whole[:end], whole + b"x"):
        with pytest.raises(Malformed):
            read_answer(wrong, ROBOT, [TICKS] * len(rolled))


@given(rollouts())
def test_an_answer_about_more_or_fewer_scenarios_is_none(rolled: Rolled) -> None:
    for asked in ([], [TICKS, TICKS]):
        with pytest.raises(Malformed):
            read_answer(write_answer([rolled]), ROBOT, asked)


@given(st.binary(max_size=200))
def test_noise_is_no_answer(noise: bytes) -> None:
    with pytest.raises(Malformed):
        read_answer(noise, ROBOT, [TICKS])


@given(rollouts(), st.data())
def test_any_eight_bytes_may_be_anything_and_what_is_read_is_still_sane(rolled: Rolled, data: st.DataObject) -> None:
    whole = bytearray(write_answer([rolled]))
    at = data.draw(st.integers(0, len(whole) - 8))
    whole[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
    try:
        (found,) = read_answer(bytes(whole), ROBOT, [TICKS])
    except Malformed:
        return
    judgement = found.judgement
    numbers = [*judgement.metrics.values(), *judgement.peak_error, judgement.peak_variation_nm]
    assert all(0.0 <= number < math.inf for number in numbers)
    assert 0.0 <= judgement.safety_share <= 1.0
    assert 0.0 <= judgement.clipped_share <= 1.0
    assert all(low <= high < math.inf for low, high in zip(judgement.visited.low, judgement.visited.high, strict=True))
    assert found.command.shape[1] == M
    assert np.all(np.isfinite(found.command))
    assert len(found.command) == TICKS or judgement.diverged


HONEST = Rolled(
    judgement=Judgement(
        metrics=dict.fromkeys(METRICS, 1.0),
        peak_error=(1.0,) * N,
        peak_variation_nm=1.0,
        diverged=False,
        safety_share=0.0,
        clipped_share=0.0,
        limit_broken=False,
        visited=Visited(low=(-1.0,) * Q, high=(1.0,) * Q),
    ),
    command=np.ones((TICKS, M)),
)
NUMBERS = 8 + 10  # where the numbers of the first rollout begin


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0, -math.inf])
@pytest.mark.parametrize("place", range(len(METRICS) + N + 3))
def test_no_figure_is_negative_or_not_finite(number: float, place: int) -> None:
    data = bytearray(write_answer([HONEST]))
    struct.pack_into("<d", data, NUMBERS + 8 * place, number)
    with pytest.raises(Malformed):
        read_answer(bytes(data), ROBOT, [TICKS])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2.0])
@pytest.mark.parametrize("place", range(Q))
def test_no_range_is_empty_or_not_finite(number: float, place: int) -> None:
    data = bytearray(write_answer([HONEST]))
    struct.pack_into("<d", data, NUMBERS + 8 * (len(METRICS) + N + 3 + place), number)
    with pytest.raises(Malformed, match="range"):
        read_answer(bytes(data), ROBOT, [TICKS])
    data = bytearray(write_answer([HONEST]))
    struct.pack_into("<d", data, NUMBERS + 8 * (len(METRICS) + N + 3 + Q + place), -number)
    with pytest.raises(Malformed, match="range"):
        read_answer(bytes(data), ROBOT, [TICKS])


@pytest.mark.parametrize("place", [len(METRICS) + N + 1, len(METRICS) + N + 2])
def test_no_share_is_above_one(place: int) -> None:
    data = bytearray(write_answer([HONEST]))
    struct.pack_into("<d", data, NUMBERS + 8 * place, 1.5)
    with pytest.raises(Malformed):
        read_answer(bytes(data), ROBOT, [TICKS])


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_every_command_is_finite(number: float) -> None:
    data = bytearray(write_answer([HONEST]))
    struct.pack_into("<d", data, len(data) - 8, number)
    with pytest.raises(Malformed):
        read_answer(bytes(data), ROBOT, [TICKS])


@pytest.mark.parametrize(
    ("ticks", "actuators", "diverged", "broken"),
    [
        (TICKS + 1, M, 0, 0),
        (0, M, 1, 1),
        (TICKS, M + 1, 0, 0),
        (TICKS, 0, 0, 0),
        (TICKS, M, 2, 0),
        (TICKS, M, 0, 2),
        (TICKS - 1, M, 0, 0),
        (2**32 - 1, 2**32 - 1, 1, 1),
    ],
)
def test_a_rollout_has_the_shape_that_was_asked_for(ticks: int, actuators: int, diverged: int, broken: int) -> None:
    data = bytearray(write_answer([HONEST]))
    struct.pack_into("<IIBB", data, 8, ticks, actuators, diverged, broken)
    with pytest.raises(Malformed):
        read_answer(bytes(data), ROBOT, [TICKS])
