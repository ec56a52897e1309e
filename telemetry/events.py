"""From test ratios to events: one event per fault, opened at 1, closed well below, never twice for the same thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.ids import plain
from core.records import Event
from telemetry.evidence import Evidence

OPEN_AT = 1.0  # test ratio: statistic / threshold, read as in MAVLink's ESTIMATOR_STATUS
CLOSE_BELOW = 0.5  # same source: a healthy estimator stays below 0.5
SETTLE_S = (0.3, 1.0, 3.0)  # after the alarm its evidence is looked at again: what changed gets clearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long an alarm has to be over, and how soon the next one is the same one."""

    dwell_s: float = 0.5
    merge_s: float = 1.0
    rearm_s: float = 10.0


USUAL = Silence()


class EventTracker:
    """Hysteresis, dwell and refractory time around a stream of test ratios.

    An event opens when the ratio reaches 1 and closes when it has stayed below 0.5 for `dwell_s`. A new alarm within
    `merge_s` of the close continues the same event, whatever its channel; within `rearm_s` it does so if the same
    channel leads it (a fault that shows only while the robot moves is one fault). Continuing raises no second `Event`.
    """

    def __init__(
        self, dwell_s: float = 0.5, merge_s: float = 1.0, rearm_s: float = 10.0, detector: str = "unnamed@0"
    ) -> None:
        """All times in s. Chosen: longer than a control hiccup, shorter than an operator's reaction."""
        self.dwell_s = dwell_s
        self.merge_s = merge_s
        self.rearm_s = rearm_s
        self.detector = detector
        self.clear()

    def clear(self) -> None:
        """Start over: no event yet."""
        self.events: list[Event] = []  # every event since the start, in order of alarm
        self.ends_s: list[float | None] = []  # last row at or above 0.5 of each event; None while it is open
        self._open = False
        self._last_high_s = -np.inf
        self._looks = len(SETTLE_S)  # at the open event so far

    @property
    def open(self) -> bool:
        """Whether an event is open: the `alarm` column."""
        return self._open

    @property
    def until(self) -> tuple[float, float]:
        """Test ratio and time [s] before which `update` asks for no evidence: rows below both may come together."""
        if not self._open:
            return OPEN_AT, np.inf
        looks_s = self.events[-1].alarm_s + SETTLE_S[self._looks] if self._looks < len(SETTLE_S) else np.inf
        return np.inf, min(looks_s, self._last_high_s + self.dwell_s)  # it may close then, and the next one open

    def update_rows(
        self,
        t_s: NDArray[np.float64],
        ratio: NDArray[np.float64],
        alarm: NDArray[np.bool_],
        evidence: Callable[[Event | None], Evidence],
    ) -> None:
        """`update` for (N,) rows of which none but the last may be at or beyond `until`, for which `evidence` speaks.

        Args:
            alarm: (N,) out: whether an event is open.
        """
        for i, (row_s, row_ratio) in enumerate(zip(t_s.tolist(), ratio.tolist(), strict=True)):
            self.update(row_s, row_ratio, evidence)
            alarm[i] = self._open

    def update(self, t_s: float, ratio: float, evidence: Callable[[Event | None], Evidence]) -> Event | None:
        """Take one row's test ratio; return the event that it opens, if it opens one.

        Args:
            t_s: time of the row [s, robot clock].
            ratio: test ratio of the row.
            evidence: asked only when an alarm starts, and with the open event some times after, such as
                `Witness.evidence` of the row.
        """
        if self._open:
            if self._looks < len(SETTLE_S) and t_s >= self.events[-1].alarm_s + SETTLE_S[self._looks]:
                self._looks += 1
                why = evidence(self.events[-1])
                if ratio >= CLOSE_BELOW or why.kind != self.events[-1].kind == "spike":
                    self._look_again(why)  # what has passed already shows nothing more, unless it was a jump
            if ratio >= CLOSE_BELOW:
                self._last_high_s = t_s
            elif t_s - self._last_high_s >= self.dwell_s:
                self._open = False
                self.ends_s[-1] = self._last_high_s
            return None
        if not ratio >= OPEN_AT:
            return None
        why = evidence(None)
        quiet_s = t_s - self._last_high_s
        self._open = True
        self._last_high_s = t_s
        if self.events and (
            quiet_s <= self.merge_s + self.dwell_s
            or (quiet_s <= self.rearm_s + self.dwell_s and why.channel == self.events[-1].channel)
        ):
            self.ends_s[-1] = None
            return None
        event = Event(
            detector=self.detector,
            channel=why.channel,
            kind=why.kind,
            onset_s=min(why.onset_s, t_s),
            alarm_s=t_s,
            test_ratio=ratio,
            ranking=why.ranking,
            kinds=why.kinds,
            frequency_hz=why.frequency_hz,
        )
        self.events.append(event)
        self.ends_s.append(None)
        self._looks = 0
        return event

    def _look_again(self, why: Evidence) -> None:
        """What changed is clearer some rows after the alarm."""
        self.events[-1] = replace(
            self.events[-1],
            channel=why.channel,
            kind=why.kind,
            ranking=why.ranking,
            kinds=why.kinds,
            frequency_hz=why.frequency_hz,
        )

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Everything but the settings, as named arrays."""
        text = json.dumps([plain(event) for event in self.events]).encode()
        ends = [np.nan if end is None else end for end in self.ends_s]
        return {
            "tracker": np.array([self._open, self._last_high_s, self._looks]),
            "tracker_ends_s": np.array(ends, dtype=np.float64),
            "tracker_events": np.frombuffer(text, dtype=np.uint8).astype(np.float64),
        }

    def restore(self, arrays: dict[str, NDArray[np.float64]]) -> None:
        """Inverse of `arrays`; other keys are ignored."""
        events = json.loads(arrays["tracker_events"].astype(np.uint8).tobytes())
        self.events = [
            Event(**event | {name: tuple(map(tuple, event[name])) for name in ("ranking", "kinds")}) for event in events
        ]
        self.ends_s = [None if np.isnan(end) else end for end in arrays["tracker_ends_s"].tolist()]
        is_open, self._last_high_s, looks = arrays["tracker"].tolist()
        self._open, self._looks = bool(is_open), int(looks)
