"""Compiled inner loops of the health checks: state in arrays, one row after the other, so that chunks do not matter."""
# ruff: noqa: PLR0912, PLR0915 - compiled loops take plain arrays by position and branch where they must

from __future__ import annotations

import numpy as np

from telemetry.kernels import compiled

# Columns of the tallies of a channel: (C, VALUE_KINDS) counts and first rows.
MISSING, INFINITE, FROZEN, AT_LIMIT = 0, 1, 2, 3
VALUE_KINDS = 4
# Columns of the state of a channel.
LAST, RUN, LONGEST, WORST, ALERTED, MOVES, OWN, MARK, WORST_END, RUN_START = range(10)
VALUE_STATE = 10
# Columns of the extremes of a channel, for each side: value, repeats of it, arrivals at it, first row with a repeat.
EXTREME, REPEATS, ARRIVALS, FIRST_REPEAT = 0, 1, 2, 3
INSIDE = 8  # repeats of a value that is no extreme
EXTREMES = 9

# Columns of the tallies of a publisher.
GAP, REPEATED, LATE, JUMP, ORDER, NO_TIME, LOST = range(7)
CLOCK_KINDS = 7
# Columns of the state of a publisher.
STARTED, USES_STAMP, TIME, NEWEST_SEQ, ARRIVED, LEAST_AGE, PENDING, PENDING_ROW, STEPS, USUAL, SEQ = range(11)
CLOCK_STATE = 11
WINDOW = 31  # forward steps in time whose upper decile is the usual step
_DECILE = 3  # steps of a full window that are longer than the usual one
_FAR = 1000  # rows; a sequence number that much lower is a new start and no late row


@compiled
def scan_values(
    values: np.ndarray,
    publisher: np.ndarray,
    first_row: int,
    inputs: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    frozen_rows: int,
    owner: np.ndarray,
    state: np.ndarray,
    extremes: np.ndarray,
    total: np.ndarray,
    changed: np.ndarray,
    count: np.ndarray,
    first: np.ndarray,
) -> None:
    """Take N rows of C channels into the tallies, in place.

    A channel belongs to the publisher that named it first, and can be missing in rows of that one only. A repeated
    value counts towards a freeze where any other channel has changed since the value before.
    """
    for i in range(values.shape[0]):
        row = first_row + i
        for c in range(values.shape[1]):
            v = values[i, c]
            changed[c] = False
            if np.isfinite(v) and not np.isnan(state[c, LAST]) and v != state[c, LAST]:
                changed[c] = True
                total[0] += 1
                state[c, OWN] += 1
        for c in range(values.shape[1]):
            v = values[i, c]
            kind = -1
            if np.isnan(v):
                if owner[c] == publisher[i]:
                    kind = MISSING
            elif np.isinf(v):
                kind = INFINITE
            elif v <= low[c] or v >= high[c]:
                kind = AT_LIMIT
            if kind >= 0:
                count[c, kind] += 1
                if count[c, kind] == 1:
                    first[c, kind] = row
            if not np.isfinite(v):
                continue
            if owner[c] < 0:
                owner[c] = publisher[i]
            repeated = not changed[c] and not np.isnan(state[c, LAST])
            if not repeated:
                if not state[c, ALERTED]:  # a freeze is not how this channel usually rests
                    state[c, LONGEST] = max(state[c, LONGEST], state[c, RUN])
                state[c, RUN] = 1
                state[c, RUN_START] = row
                state[c, ALERTED] = 0
                if changed[c]:
                    state[c, MOVES] += 1
            elif total[0] - state[c, OWN] > state[c, MARK]:
                state[c, RUN] += 1
                run = state[c, RUN]
                if not inputs[c] and state[c, MOVES] > 0 and run >= max(frozen_rows, 3 * state[c, LONGEST]):
                    if not state[c, ALERTED]:
                        state[c, ALERTED] = 1
                        count[c, FROZEN] += 1
                        if count[c, FROZEN] == 1:
                            first[c, FROZEN] = state[c, RUN_START]
                    if run > state[c, WORST]:
                        state[c, WORST] = run
                        state[c, WORST_END] = row
            state[c, MARK] = total[0] - state[c, OWN]
            state[c, LAST] = v
            _extremes(extremes, c, v, repeated, row)


@compiled
def _extremes(extremes: np.ndarray, c: int, v: float, repeated: bool, row: int) -> None:
    inside = True
    for side in range(2):
        at = 4 * side
        sign = 1.0 if side else -1.0
        best = extremes[c, at + EXTREME]
        if np.isnan(best) or sign * v > sign * best:
            if not np.isnan(best):
                extremes[c, INSIDE] += extremes[c, at + REPEATS]
            extremes[c, at + EXTREME] = v
            extremes[c, at + REPEATS] = 0
            extremes[c, at + ARRIVALS] = 1
            inside = False
        elif v == best:
            inside = False
            if repeated:
                extremes[c, at + REPEATS] += 1
                if extremes[c, at + REPEATS] == 1:
                    extremes[c, at + FIRST_REPEAT] = row
            else:
                extremes[c, at + ARRIVALS] += 1
    if inside and repeated:
        extremes[c, INSIDE] += 1


@compiled
def scan_clocks(
    stamp_s: np.ndarray,
    received_s: np.ndarray,
    seq: np.ndarray,
    publisher: np.ndarray,
    first_row: int,
    gap_periods: float,
    late_s: float,
    state: np.ndarray,
    steps: np.ndarray,
    count: np.ndarray,
    first: np.ndarray,
) -> None:
    """Take the times and sequence numbers of N rows into the tallies of their publishers, in place.

    `seq` is empty where there are none. Without them, a row that is behind the newest is out of order if the next row
    goes on from the newest, and a jump of the clock if it goes on from that row.
    """
    numbered = seq.size > 0
    for i in range(stamp_s.size):
        row = first_row + i
        p = publisher[i]
        s = state[p]
        if not s[STARTED]:
            s[USES_STAMP] = 1.0 if np.isfinite(stamp_s[i]) else 0.0
        t = stamp_s[i] if s[USES_STAMP] else received_s[i]
        if not np.isfinite(t):
            _tally(count, first, p, NO_TIME, row)
            s[STARTED] = 1.0 if np.isfinite(s[TIME]) else 0.0
            continue
        age = received_s[i] - t
        if s[USES_STAMP] and np.isfinite(age):
            s[LEAST_AGE] = min(s[LEAST_AGE], age)
            if age - s[LEAST_AGE] > late_s:
                _tally(count, first, p, LATE, row)
        if not s[STARTED]:
            s[STARTED] = 1.0
            s[TIME] = t
            s[ARRIVED] = received_s[i]
            s[SEQ] = seq[i] if numbered else 0
            s[NEWEST_SEQ] = s[SEQ]
            continue
        if not np.isnan(s[PENDING]):  # the row before was behind; now it shows why
            if t >= s[TIME]:
                _tally(count, first, p, ORDER, int(s[PENDING_ROW]))
            else:
                _tally(count, first, p, JUMP, int(s[PENDING_ROW]))
                s[TIME] = s[PENDING]
            s[PENDING] = np.nan
        step = t - s[TIME]
        usual = s[USUAL]
        leap = usual > 0.0 and step > gap_periods * usual
        arrivals = received_s[i] - s[ARRIVED]
        if numbered:
            ahead = seq[i] - s[NEWEST_SEQ]
            if seq[i] == s[SEQ] or step == 0.0:
                _tally(count, first, p, REPEATED, row)
            elif ahead < -_FAR:
                _tally(count, first, p, JUMP, row)
                s[NEWEST_SEQ] = seq[i]
            elif ahead < 0:
                _tally(count, first, p, ORDER, row)
                count[p, LOST] -= 1 if count[p, LOST] > 0 else 0
                s[SEQ] = seq[i]
                continue  # a late row says nothing of the clock of the others
            elif ahead > 1:
                _tally(count, first, p, GAP, row)
                count[p, LOST] += int(ahead) - 1
            elif step < 0.0 or leap:
                _tally(count, first, p, JUMP, row)
            s[SEQ] = seq[i]
            s[NEWEST_SEQ] = max(s[NEWEST_SEQ], seq[i])
        elif step == 0.0:
            _tally(count, first, p, REPEATED, row)
        elif step < 0.0:
            s[PENDING] = t
            s[PENDING_ROW] = row
            continue
        elif leap and s[USES_STAMP] and np.isfinite(arrivals) and step - arrivals > gap_periods * usual:
            _tally(count, first, p, JUMP, row)
        elif leap:
            _tally(count, first, p, GAP, row)
        s[TIME] = t
        s[ARRIVED] = received_s[i]
        if step > 0.0:
            taken = int(s[STEPS])
            steps[p, taken % WINDOW] = step
            s[STEPS] = taken + 1
            if taken < WINDOW or taken % 8 == 0:
                known = np.sort(steps[p, : min(taken + 1, WINDOW)])
                s[USUAL] = known[known.size - 1 - known.size * _DECILE // WINDOW] if known.size > 1 else 0.0


@compiled
def _tally(count: np.ndarray, first: np.ndarray, p: int, kind: int, row: int) -> None:
    count[p, kind] += 1
    if count[p, kind] == 1:
        first[p, kind] = row
