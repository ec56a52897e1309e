"""Recordings of messages: each message is a row that names its own channels, and says nothing of the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np

from core.errors import BadInput
from telemetry.channels import Channel, channels_by_name
from telemetry.sources import CHUNK_ROWS, SAMPLE_ROWS, Chunk, Clock, Source, rate_of

SAME_CLOCK_NS = 10**17  # stamps that far (three years) from the log's time come from a clock with another origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message as numbers."""

    publisher: int  # from 0
    received_ns: int  # log time
    stamp_ns: int | None  # header stamp, where the message has one
    values: Mapping[str, float]  # channel -> value


class MessageSource(Source):
    """One row per message, in the order of the log. The time of a row is its log time, from 0 at the first.

    Channels are those of the first thousand messages and of the first message of each topic, in order of appearance.
    """

    def _discover(self) -> None:
        """Find channels, rate and origin of time; call it when `_messages` can be called.

        Raises:
            BadInput: no message has a number, or the file is damaged before the first.
        """
        self.clock = Clock.RECEIVED
        self._broken = ""
        self._late: dict[str, list[int]] = {}  # channel that came too late -> count and first message
        sample = list(islice(self._intact(), SAMPLE_ROWS))
        seen = {said.publisher for said in sample}
        names = dict.fromkeys(name for said in sample for name in said.values)
        with suppress(Exception):  # where the end of the file is missing, the note on it comes with the reading
            names |= dict.fromkeys(name for said in self._firsts(seen) for name in said.values)
        if not names:
            raise BadInput(
                f"{self.where}: no joint states, IMU data or number arrays; record sensor_msgs/JointState, "
                "sensor_msgs/Imu or std_msgs/Float64MultiArray."
            )
        self.channels = self._declare(tuple(names))
        self._column = {name: i for i, name in enumerate(names)}
        self._origin_ns = sample[0].received_ns if sample else 0
        self.rate_hz = rate_of(np.array([(said.received_ns - self._origin_ns) * 1e-9 for said in sample]))

    @abstractmethod
    def _messages(self) -> Iterator[Said]:
        """All messages with numbers, in the order of the log."""

    def _firsts(self, but: set[int]) -> Iterator[Said]:
        """The first message of every publisher that is not in `but`, where it can be found at once."""
        yield from ()

    def _declare(self, names: Sequence[str]) -> tuple[Channel, ...]:
        return channels_by_name(names)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        self._late.clear()
        messages, done = self._intact(), 0
        while batch := list(islice(messages, rows)):
            yield self._chunk(batch, done)
            done += len(batch)

    def _chunk(self, batch: Sequence[Said], done: int) -> Chunk:
        values = np.full((len(batch), len(self.channels)), np.nan)
        stamp_s, received_s = np.full(len(batch), np.nan), np.empty(len(batch))
        for i, said in enumerate(batch):
            received_s[i] = (said.received_ns - self._origin_ns) * 1e-9
            if said.stamp_ns:
                same = abs(said.stamp_ns - self._origin_ns) < SAME_CLOCK_NS
                stamp_s[i] = (said.stamp_ns - (self._origin_ns if same else 0)) * 1e-9
            for name, value in said.values.items():
                column = self._column.get(name)
                if column is None:
                    self._late.setdefault(name, [0, done + i + 1])[0] += 1
                else:
                    values[i, column] = value
        publisher = np.array([said.publisher for said in batch], dtype=np.int16)
        return Chunk(stamp_s=stamp_s, received_s=received_s, values=values, publisher=publisher)

    def _intact(self) -> Iterator[Said]:
        """Messages up to where the file is damaged.

        Raises:
            BadInput: it is damaged before the first.
        """
        done = 0
        self._broken = ""
        try:
            for said in self._messages():
                done += 1
                yield said
        except Exception as error:  # the parsers raise whatever a damaged byte leads to
            why = f"({type(error).__name__}: {error})".replace("\n", " ")
            if not done:
                raise BadInput(f"{self.where}: {self._advice(why)}") from error
            self._broken = f"The recording is damaged after {done} messages {why}; what comes before is read."

    def _advice(self, why: str) -> str:
        return f"damaged {why}; record it again."

    def _surprises(self) -> Iterable[str]:
        for name, (count, first) in self._late.items():
            yield f"Channel {name} first came up in message {first} and is left out ({count} values)."
        if self._broken:
            yield self._broken
