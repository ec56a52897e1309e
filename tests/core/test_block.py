"""A block of telemetry keeps every bit of the rows it is made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.block import Block, flat_row
from core.frames import Frame, Reference, TelemetryRow, pack_frame, unpack_frame

numbers = st.floats(allow_nan=False, allow_infinity=True, width=64)


@st.composite
def telemetry(draw: st.DrawFn) -> list[TelemetryRow]:
    n, m = draw(st.integers(1, 4)), draw(st.integers(1, 4))

    def joints() -> list[float]:
        return draw(st.lists(numbers, min_size=n, max_size=n))

    def efforts() -> list[float]:
        return draw(st.lists(numbers, min_size=m, max_size=m))

    rows = []
    for _ in range(draw(st.integers(1, 5))):
        seq, stamp_ns = draw(st.integers(0, 2**53)), draw(st.integers(0, 2**53))
        frame = Frame(seq=seq, stamp_ns=stamp_ns, q=joints(), qd=joints(), tau_meas=efforts(), tau_cmd=efforts())
        rows.append(TelemetryRow(frame=frame, reference=Reference(q_ref=joints(), qd_ref=joints(), qdd_ref=joints())))
    return rows


def block_of(rows: list[TelemetryRow]) -> Block:
    data = np.array([flat_row(row.frame, row.reference) for row in rows])
    return Block(data=data, actuators=len(rows[0].frame.tau_cmd))


def regular(rows: int, dof: int = 2, period_ns: int = 2_000_000) -> Block:
    data = np.arange(rows * (2 + 7 * dof), dtype=float).reshape(rows, 2 + 7 * dof)
    data[:, 0], data[:, 1] = np.arange(rows), period_ns * np.arange(rows)
    return Block(data=data, actuators=dof)


@given(telemetry())
def test_rows_come_back_as_they_went_in(rows: list[TelemetryRow]) -> None:
    block = block_of(rows)
    assert block.dof == len(rows[0].frame.q)
    assert len(block) == len(rows)
    assert block.rows() == rows
    assert all(type(row.frame.seq) is int and type(row.frame.stamp_ns) is int for row in block.rows())


@given(telemetry())
def test_bytes_keep_every_bit(rows: list[TelemetryRow]) -> None:
    block = block_of(rows)
    back = Block.from_bytes(block.to_bytes(), block.dof, block.actuators)
    assert back.data.tobytes() == block.data.tobytes()
    assert back.rows() == rows


@given(telemetry())
def test_a_frame_as_bytes_keeps_every_bit(rows: list[TelemetryRow]) -> None:
    for row in rows:
        data = pack_frame(row.frame)
        n, m = len(row.frame.q), len(row.frame.tau_cmd)
        assert unpack_frame(data, n, m) == row.frame
        assert pack_frame(unpack_frame(data, n, m)) == data


def test_every_group_is_where_its_name_says() -> None:
    names = ("q", "qd", "tau_meas", "tau_cmd", "q_ref", "qd_ref", "qdd_ref")
    values = {name: [10.0 * k, 10.0 * k + 1.0] for k, name in enumerate(names)}
    values |= {name: [*values[name], 7.5] for name in ("tau_meas", "tau_cmd")}  # two coordinates, three actuators
    frame = Frame(seq=3, stamp_ns=7_000_000_000, **{name: values[name] for name in names[:4]})  # type: ignore[arg-type]
    reference = Reference(**{name: values[name] for name in names[4:]})
    block = block_of([TelemetryRow(frame=frame, reference=reference)])
    for name in names:
        assert block.group(name).tolist() == [values[name]]
    assert block.t_s.tolist() == [7.0]
    with pytest.raises(KeyError, match="q_true"):
        block.group("q_true")


def test_a_group_is_a_view_and_not_a_copy() -> None:
    block = regular(3)
    assert np.shares_memory(block.group("tau_cmd"), block.data)


def test_a_stretch_has_its_start_and_not_its_end() -> None:
    block = regular(100)
    stretch = block.between(0.02, 0.05)
    assert stretch.data[:, 0].tolist() == list(range(10, 25))
    assert len(block.between(-1.0, 99.0)) == 100
    assert len(block.between(0.05, 0.05)) == 0
    assert len(block.between(5.0, 6.0)) == 0


def test_rows_can_be_cut_out() -> None:
    block = regular(10)
    assert block[3:5].data[:, 0].tolist() == [3.0, 4.0]
    assert block[3:5].dof == block.dof


@given(st.integers(0, 50), st.integers(0, 50))
def test_stretches_that_meet_share_no_row_and_lose_none(cut: int, length: int) -> None:
    block = regular(length)
    parts = [block.between(-1.0, 0.002 * cut), block.between(0.002 * cut, 9.0)]
    assert Block.join(parts).data.tobytes() == block.data.tobytes()
    assert len(parts[0]) == min(cut, length)
