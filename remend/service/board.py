"""What is known of a robot at this moment, for whoever looks: the last minutes of its pulses. Safe for threads."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from core.clock import Clock
from remend.service.pulse import Condition, Doing, FalseAlarms, Intake, Layout, Pulse, Ratio, Said, Sample

KEPT_S = 60.0  # of telemetry, on the robot's clock
_LINES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """A look at the board."""

    layout: Layout | None = None
    condition: Condition | None = None
    false_alarms: FalseAlarms | None = None
    intake: Intake | None = None
    doing: Doing | None = None
    doing_since_s: float = 0.0  # seconds that this has been going on
    left_s: float | None = None  # seconds that it takes at most if it goes on as it did; None: not known
    lines: tuple[Said, ...] = ()
    ratio: float | None = None  # the last test ratio
    silent_s: float | None = None  # seconds since the last telemetry arrived; None: none has


class Board:
    """The state of one robot."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._now = Now()
        self._doing_ns = self._heard_ns = clock.monotonic_ns()
        self._heard = False
        self.steps = 0  # counts what the caretaker says that it does, so that who listens sees that it went on
        self._lines: deque[Said] = deque(maxlen=_LINES)
        self._samples: deque[Sample] = deque()
        self._ratios: deque[Ratio] = deque()

    def take(self, pulse: Pulse) -> None:
        """Put a pulse on the board."""
        with self._lock:
            match pulse:
                case Sample():
                    self._heard, self._heard_ns = True, self._clock.monotonic_ns()
                    if self._samples and pulse.t_s[0] < self._samples[-1].t_s[-1]:  # the robot was started anew
                        self._samples.clear()
                        self._ratios.clear()
                    self._samples.append(pulse)
                    while self._samples[0].t_s[-1] < pulse.t_s[-1] - KEPT_S:
                        self._samples.popleft()
                case Ratio():
                    self._ratios.append(pulse)
                    while self._ratios[0].t_s < pulse.t_s - KEPT_S:
                        self._ratios.popleft()
                case Doing():
                    if self._now.doing is None or self._now.doing.what != pulse.what:
                        self._doing_ns = self._clock.monotonic_ns()
                    self._now = replace(self._now, doing=pulse)
                    self.steps += 1
                case Condition():
                    self._now = replace(self._now, condition=pulse)
                case Intake():
                    self._now = replace(self._now, intake=pulse)
                case FalseAlarms():
                    self._now = replace(self._now, false_alarms=pulse)
                case Layout():
                    self._now = replace(self._now, layout=pulse)
                case Said():
                    self._lines.append(pulse)

    def now(self) -> Now:
        """What is known, and how old it is."""
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            since_s = (now_ns - self._doing_ns) * 1e-9
            return replace(
                self._now,
                lines=tuple(self._lines),
                ratio=self._ratios[-1].ratio if self._ratios else None,
                doing_since_s=since_s,
                left_s=_left_s(self._now.doing, since_s),
                silent_s=(now_ns - self._heard_ns) * 1e-9 if self._heard else None,
            )

    def course(self, since_s: float = 0.0) -> tuple[tuple[Sample, ...], tuple[Ratio, ...]]:
        """Telemetry and test ratios after `since_s` [robot clock], oldest first."""
        with self._lock:
            samples = tuple(sample for sample in self._samples if sample.t_s[-1] > since_s)
            return samples, tuple(ratio for ratio in self._ratios if ratio.t_s > since_s)


def _left_s(doing: Doing | None, since_s: float) -> float | None:
    """What is left of a stage takes as long as the same share of it took."""
    if doing is None or not 0 < doing.done <= doing.total:
        return None
    return since_s * (doing.total - doing.done) / doing.done
