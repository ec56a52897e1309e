"""Is the telemetry fit for statistics at all? Typed findings, made before any detector looks at a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class HealthKind(StrEnum):
    """What can be wrong with telemetry before anything is wrong with the robot."""

    GAP = "gap"  # sequence numbers or stamps are missing
    STALE = "stale"  # the same stamp or sequence number again
    BACKWARDS = "backwards"  # time runs back
    MISSING = "missing"  # NaN
    INFINITE = "infinite"
    FROZEN = "frozen"  # a channel repeats its value to the last bit while others move


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFinding:
    """One defect of a stretch of telemetry."""

    kind: HealthKind
    channel: str  # "" when the whole row is concerned
    detail: str  # one sentence with count and place


def check_health(
    t_s: Array,
    values: Array,
    channels: Sequence[str],
    seq: NDArray[np.int64] | None = None,
    frozen_rows: int = 50,
    gap_periods: float = 3.0,
) -> list[HealthFinding]:
    """Findings in (N,) times [s] and (N, C) values, in the order of `HealthKind`; empty when all is well.

    A missing value is reported as missing and nothing else: it does not count as zero, nor as a repeated value.

    Args:
        seq: (N,) sequence numbers, when the stream has them.
        frozen_rows: equal values in a row that make a frozen channel, while another channel changes.
        gap_periods: stamps further apart than this many median periods are a gap.
    """
    found = _clock_findings(t_s, seq, gap_periods)
    for kind, wrong in ((HealthKind.MISSING, np.isnan(values)), (HealthKind.INFINITE, np.isinf(values))):
        for c, name in enumerate(channels):
            if count := int(wrong[:, c].sum()):
                first = int(np.argmax(wrong[:, c]))
                found.append(
                    HealthFinding(
                        kind=kind,
                        channel=name,
                        detail=f"{count} of {len(t_s)} values of {name} are {kind.value}, the first in row {first}.",
                    )
                )
    if values.shape[0] > 1:
        for c, name in enumerate(channels):
            longest, end = _longest_repeat(values, c)
            if longest >= frozen_rows:
                found.append(
                    HealthFinding(
                        kind=HealthKind.FROZEN,
                        channel=name,
                        detail=f"{name} repeats one value for {longest} rows up to row {end} while others move.",
                    )
                )
    return found


def _clock_findings(t_s: Array, seq: NDArray[np.int64] | None, gap_periods: float) -> list[HealthFinding]:
    found = []

    def report(kind: HealthKind, rows: NDArray[np.int64], what: str) -> None:
        if rows.size:
            times = "once" if rows.size == 1 else f"{rows.size} times"
            found.append(
                HealthFinding(kind=kind, channel="", detail=f"{what} {times}, first at row {int(rows[0]) + 1}.")
            )

    steps = np.diff(t_s)
    forward = steps[steps > 0.0]
    period = float(np.median(forward)) if forward.size else 0.0
    if seq is not None:
        jumps = np.diff(seq)
        lost = int(np.sum(jumps[jumps > 1] - 1))
        report(HealthKind.GAP, np.flatnonzero(jumps > 1), f"{lost} rows were lost between sequence numbers")
    elif period > 0.0:
        report(
            HealthKind.GAP,
            np.flatnonzero(steps > gap_periods * period),
            f"The stamps jump ahead by more than {gap_periods:g} periods of {period:g} s",
        )
    same = steps == 0.0 if seq is None else (steps == 0.0) | (np.diff(seq) == 0)
    report(HealthKind.STALE, np.flatnonzero(same), "A row repeats the stamp or sequence number of the row before it")
    report(HealthKind.BACKWARDS, np.flatnonzero(steps < 0.0), "The stamps run backwards")
    return found


def _longest_repeat(values: Array, c: int) -> tuple[int, int]:
    """Longest run of equal values of channel `c` in rows where another channel moves, and the row it ends in."""
    column = values[:, c]
    changed = (values[1:] != values[:-1]) & np.isfinite(values[1:])
    moved = np.delete(changed, c, axis=1).any(axis=1)
    longest = run = end = 0
    for i, (same, other) in enumerate(zip((column[1:] == column[:-1]).tolist(), moved.tolist(), strict=True), start=1):
        if not same:
            run = 0
        elif other:
            run += 1
            if run > longest:
                longest, end = run, i
    return (longest + 1, end) if longest else (0, 0)
