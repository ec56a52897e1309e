"""Is the telemetry fit for statistics at all? Typed findings, made before any detector looks at a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from telemetry import health_kernels as kernels
from telemetry.channels import Channel, Role
from telemetry.sources import Chunk

Array = NDArray[np.float64]

FROZEN_ROWS = 50  # chosen: a tenth of a second at 500 Hz; no sensor with noise repeats itself that long
GAP_PERIODS = 3.0  # chosen: two rows in a row are lost
LATE_S = 0.5  # chosen: older than any controller of a moving robot may be
_REPEATS_AT_END = 20  # chosen: repeats of the largest value that make a sensor or drive saturated
_DWELL = 3  # chosen: repeats per arrival; the peak of a smooth curve repeats itself once or twice in a coarse file
_MOVES = 50  # values of a channel that must be inside of its extremes before these say anything
_DISCRETE = 0.1  # share of repeats inside of the extremes from which on a channel is a switch or counts in steps


class HealthKind(StrEnum):
    """What can be wrong with telemetry before anything is wrong with the robot."""

    GAP = "gap"  # sequence numbers are missing, or stamps leap ahead
    STALE = "stale"  # the same stamp or sequence number again, or data that was old when it arrived
    CLOCK_JUMP = "clock_jump"  # the clock went back, or ahead without a row missing
    OUT_OF_ORDER = "out_of_order"  # a row came after one that was made later
    MISSING = "missing"  # NaN
    INFINITE = "infinite"
    FROZEN = "frozen"  # a measured channel repeats its value to the last bit while others move
    SATURATED = "saturated"  # a value stands at its limit


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFinding:
    """One kind of defect of one channel or clock, over the whole stream so far."""

    kind: HealthKind
    channel: str  # "" when the whole row is concerned
    count: int  # rows, or for FROZEN how often it froze
    first_row: int  # from 1
    detail: str  # one sentence with count and place


class HealthMonitor:
    """Watches a stream for defects of the data; memory does not grow, and the size of chunks does not matter.

    A missing value is missing and nothing else: neither zero nor a repetition. Commands and references may rest, so
    they never count as frozen. A channel with declared limits is saturated where it reaches one; without limits, where
    its largest or smallest value (other than 0, at which things rest) comes again and again while no other value does;
    a reference is not, since it rests where a task begins and ends.

    Args:
        channels: of the stream.
        frozen_rows: equal values in a row that make a frozen channel, while another channel changes.
        gap_periods: stamps further apart than this many usual periods are a gap.
        late_s: data that took so much longer to arrive than the fastest [s] is stale.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        frozen_rows: int = FROZEN_ROWS,
        gap_periods: float = GAP_PERIODS,
        late_s: float = LATE_S,
    ) -> None:
        c = len(channels)
        self.channels = tuple(channels)
        self.rows = 0
        self._frozen_rows, self._gap_periods, self._late_s = frozen_rows, gap_periods, late_s
        self._inputs = np.array([channel.is_input for channel in channels], dtype=np.bool_)
        self._low = np.array([channel.low for channel in channels])
        self._high = np.array([channel.high for channel in channels])
        self._owner = np.full(c, -1, dtype=np.int64)
        self._state = np.zeros((c, kernels.VALUE_STATE))
        self._state[:, kernels.LAST] = np.nan
        self._extremes = np.zeros((c, kernels.EXTREMES))
        self._extremes[:, [kernels.EXTREME, 4 + kernels.EXTREME]] = np.nan
        self._total = np.zeros(1, dtype=np.int64)
        self._changed = np.zeros(c, dtype=np.bool_)
        self._count = np.zeros((c, kernels.VALUE_KINDS), dtype=np.int64)
        self._first = np.zeros((c, kernels.VALUE_KINDS), dtype=np.int64)
        self._clock = np.zeros((0, kernels.CLOCK_STATE))
        self._steps = np.zeros((0, kernels.WINDOW))
        self._clock_count = np.zeros((0, kernels.CLOCK_KINDS), dtype=np.int64)
        self._clock_first = np.zeros((0, kernels.CLOCK_KINDS), dtype=np.int64)

    def update(self, chunk: Chunk) -> Array:
        """Take the next rows; returns their (N, C) values fit for statistics: infinite ones are missing."""
        n = len(chunk)
        publisher = np.zeros(n, dtype=np.int16) if chunk.publisher is None else chunk.publisher
        if chunk.publisher is None:
            self._owner[:] = 0  # one publisher: what it does not say is missing from the first row on
        self._room(int(publisher.max(initial=0)) + 1)
        values = np.ascontiguousarray(chunk.values, dtype=np.float64)
        kernels.scan_clocks(
            np.ascontiguousarray(chunk.stamp_s),
            np.ascontiguousarray(chunk.received_s),
            np.zeros(0, dtype=np.int64) if chunk.seq is None else np.ascontiguousarray(chunk.seq),
            publisher,
            self.rows,
            self._gap_periods,
            self._late_s,
            self._clock,
            self._steps,
            self._clock_count,
            self._clock_first,
        )
        kernels.scan_values(
            values,
            publisher,
            self.rows,
            self._inputs,
            self._low,
            self._high,
            self._frozen_rows,
            self._owner,
            self._state,
            self._extremes,
            self._total,
            self._changed,
            self._count,
            self._first,
        )
        self.rows += n
        return np.where(np.isinf(values), np.nan, values)

    def findings(self) -> list[HealthFinding]:
        """What was found so far, in the order of `HealthKind`; empty when all is well."""
        found = [*self._clock_findings(), *self._value_findings()]
        order = list(HealthKind)
        return sorted(found, key=lambda finding: order.index(finding.kind))

    def _room(self, publishers: int) -> None:
        more = publishers - len(self._clock)
        if more > 0:
            state = np.zeros((more, kernels.CLOCK_STATE))
            state[:, [kernels.TIME, kernels.ARRIVED, kernels.PENDING]] = np.nan
            state[:, kernels.LEAST_AGE] = np.inf
            kinds = np.zeros((more, kernels.CLOCK_KINDS), dtype=np.int64)
            self._clock = np.concatenate((self._clock, state))
            self._steps = np.concatenate((self._steps, np.zeros((more, kernels.WINDOW))))
            self._clock_count = np.concatenate((self._clock_count, kinds))
            self._clock_first = np.concatenate((self._clock_first, kinds))

    def _clock_findings(self) -> Iterator[HealthFinding]:
        count, first = self._clock_count.copy(), self._clock_first.copy()
        for p in np.flatnonzero(~np.isnan(self._clock[:, kernels.PENDING])):  # nobody came after the late row
            if not count[p, kernels.ORDER]:
                first[p, kernels.ORDER] = int(self._clock[p, kernels.PENDING_ROW])
            count[p, kernels.ORDER] += 1
        lost = int(count[:, kernels.LOST].sum())
        gap = f"{lost} rows were lost between sequence numbers" if lost else "The stamps leap ahead over a gap"
        for kind, column, what in (
            (HealthKind.GAP, kernels.GAP, gap),
            (HealthKind.STALE, kernels.REPEATED, "A row repeats the stamp or sequence number of the row before it"),
            (HealthKind.STALE, kernels.LATE, f"A row arrives over {self._late_s:g} s later than the fastest"),
            (HealthKind.CLOCK_JUMP, kernels.JUMP, "The clock jumps"),
            (HealthKind.OUT_OF_ORDER, kernels.ORDER, "A row comes after one that was made later"),
            (HealthKind.MISSING, kernels.NO_TIME, "The time is missing"),
        ):
            times = int(count[:, column].sum())
            if times:
                row = int(first[count[:, column] > 0, column].min()) + 1
                often = "once" if times == 1 else f"{times} times"
                detail = f"{what} {often}, first at row {row}."
                yield HealthFinding(kind=kind, channel="", count=times, first_row=row, detail=detail)

    def _value_findings(self) -> Iterator[HealthFinding]:
        for c, channel in enumerate(self.channels):
            name, counts, firsts = channel.name, self._count[c].tolist(), (self._first[c] + 1).tolist()
            for kind, column in ((HealthKind.MISSING, kernels.MISSING), (HealthKind.INFINITE, kernels.INFINITE)):
                if counts[column]:
                    detail = (
                        f"{counts[column]} of {self.rows} values of {name} are {kind.value}, "
                        f"the first in row {firsts[column]}."
                    )
                    yield _finding(kind, name, counts[column], firsts[column], detail)
            yield from self._frozen(c, name, counts[kernels.FROZEN], firsts[kernels.FROZEN])
            if counts[kernels.AT_LIMIT]:
                row = firsts[kernels.AT_LIMIT]
                detail = f"{name} is at its limit in {counts[kernels.AT_LIMIT]} rows, first in row {row}."
                yield _finding(HealthKind.SATURATED, name, counts[kernels.AT_LIMIT], row, detail)
            elif channel.role is not Role.REFERENCE and not (np.isfinite(channel.low) or np.isfinite(channel.high)):
                yield from self._at_extreme(c, name)

    def _frozen(self, c: int, name: str, count: int, first: int) -> Iterator[HealthFinding]:
        state = self._state[c]
        if count:
            longest, end = int(state[kernels.WORST]), int(state[kernels.WORST_END]) + 1
            detail = f"{name} repeats one value for {longest} rows up to row {end} while others move."
            yield _finding(HealthKind.FROZEN, name, count, first, detail)

    def _at_extreme(self, c: int, name: str) -> Iterator[HealthFinding]:
        extremes = self._extremes[c]
        arrivals = extremes[kernels.ARRIVALS] + extremes[4 + kernels.ARRIVALS]
        inside = self._state[c, kernels.MOVES] - arrivals
        steps = inside < max(_MOVES, 5 * arrivals) or extremes[kernels.INSIDE] > _DISCRETE * inside
        for word, at in (("smallest", 0), ("largest", 4)):
            repeats, value = int(extremes[at + kernels.REPEATS]), float(extremes[at + kernels.EXTREME])
            stays = repeats >= max(_REPEATS_AT_END, _DWELL * extremes[at + kernels.ARRIVALS])
            if stays and value and not steps:
                row = int(extremes[at + kernels.FIRST_REPEAT]) + 1
                rows = repeats + int(extremes[at + kernels.ARRIVALS])
                detail = f"{name} stands at its {word} value {value:g} in {rows} rows, first in row {row}."
                yield _finding(HealthKind.SATURATED, name, rows, row, detail)


def _finding(kind: HealthKind, channel: str, count: int, first_row: int, detail: str) -> HealthFinding:
    return HealthFinding(kind=kind, channel=channel, count=count, first_row=first_row, detail=detail)
