"""Topics of a running graph as a source: each message is a row, and what the middleware says of them is health.

Silence is noticed by the middleware where a publisher offers the deadline that is asked for, and by a timer where none
does.
"""

from __future__ import annotations

import copy
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rclpy.clock import Clock as RosClock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import LivelinessPolicy, QoSProfile

from core.errors import BadInput
from core.ros_node import QUALITIES
from telemetry.message_source import MessageSource, Said
from telemetry.ros_messages import DIAGNOSTICS, READ_TYPES, flatten, stamp_of
from telemetry.sources import Chunk

MOST_WAITING = 200_000  # messages that nobody has taken; then the oldest go


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic to be watched."""

    name: str
    type: str  # such as sensor_msgs/msg/JointState
    qos: str = "sensor_data"  # a name of `core.ros_node.QUALITIES`
    deadline_s: float = 0.0  # longest silence; 0: any
    liveliness_s: float = 0.0  # a publisher has to be alive within this time; 0: any

    def __post_init__(self) -> None:
        if self.type not in READ_TYPES:
            raise BadInput(f"{self.name}: {self.type or 'no type'} is not read; use one of {', '.join(READ_TYPES)}")
        if self.qos not in QUALITIES:
            raise BadInput(f"{self.name}: there is no qos {self.qos!r}; use one of {', '.join(QUALITIES)}")

    def profile(self) -> QoSProfile:
        """The quality that is asked for."""
        quality = copy.copy(QUALITIES[self.qos])
        if self.deadline_s > 0.0:
            quality.deadline = Duration(nanoseconds=round(self.deadline_s * 1e9))
        if self.liveliness_s > 0.0:
            quality.liveliness = LivelinessPolicy.AUTOMATIC
            quality.liveliness_lease_duration = Duration(nanoseconds=round(self.liveliness_s * 1e9))
        return quality


class Listener:
    """Subscriptions, a buffer of what they said, and a count of what was wrong with them.

    Args:
        node: whose clock stamps what arrives; with `use_sim_time` the header stamps do, which are finer than /clock.
        topics: what to listen to.
        is_mine: tells the node's own messages, which are left out.
    """

    def __init__(self, node: Node, topics: tuple[Topic, ...], is_mine: Callable[[Any], bool]) -> None:
        self._node, self._is_mine = node, is_mine
        self._sim_time = bool(node.get_parameter("use_sim_time").value)
        self._buffer: deque[Said] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self.topics = topics
        self.heard = Counter[str]()
        self.outcomes = Counter[tuple[str, str]]()  # (topic, what) -> how often
        self._heard_ns = [0] * len(topics)  # steady clock; 0 before the first
        self._steady = RosClock(clock_type=ClockType.STEADY_TIME)
        self._subscriptions = [self._subscribe(k, topic.profile()) for k, topic in enumerate(topics)]
        spans = [topic.deadline_s for topic in topics if topic.deadline_s > 0.0]
        self._timer = node.create_timer(max(min(spans) / 2, 0.01), self._look, clock=self._steady) if spans else None
        self._silent = set(range(len(topics)))  # told already

    def take(self) -> list[Said]:
        """What has arrived since it was last asked."""
        with self._lock:
            said = list(self._buffer)
            self._buffer.clear()
        return said

    def _subscribe(self, k: int, quality: QoSProfile) -> Any:
        topic = self.topics[k]
        callbacks = SubscriptionEventCallbacks(
            deadline=lambda _: self._note(topic, "deadline missed"),
            liveliness=lambda event: self._alive(topic, event),
            incompatible_qos=lambda _: self._incompatible(k),
            message_lost=lambda event: self._note(topic, "messages lost", event.total_count_change),
        )
        kind = message_type(topic.type)
        return self._node.create_subscription(
            kind, topic.name, lambda m: self._hear(k, m), quality, event_callbacks=callbacks
        )

    def _hear(self, k: int, message: Any) -> None:
        topic = self.topics[k]
        if topic.type == DIAGNOSTICS and self._is_mine(message):
            return
        self.heard[topic.name] += 1
        self._heard_ns[k] = self._steady.now().nanoseconds
        self._silent.discard(k)
        stamp_ns = stamp_of(message)
        now_ns = stamp_ns if self._sim_time and stamp_ns else self._node.get_clock().now().nanoseconds
        values = flatten(topic.name, topic.type, message)
        if values:
            with self._lock:
                self._buffer.append(Said(publisher=k, received_ns=now_ns, stamp_ns=stamp_ns, values=values))

    def _look(self) -> None:
        """Silence beyond the deadline, told once until the topic speaks again."""
        now_ns = self._steady.now().nanoseconds
        for k, topic in enumerate(self.topics):
            silence_s = (now_ns - self._heard_ns[k]) * 1e-9
            if 0.0 < topic.deadline_s < silence_s and k not in self._silent:
                self._silent.add(k)
                self._note(topic, "silent beyond its deadline")

    def _alive(self, topic: Topic, event: Any) -> None:
        if event.not_alive_count_change > 0 or event.alive_count_change < 0:
            self._note(topic, "a publisher is gone")

    def _incompatible(self, k: int) -> None:
        """No publisher offers that: take the topic as it is, and watch its silence here."""
        topic = self.topics[k]
        self._note(topic, "its publisher offers no such quality")
        if topic.deadline_s > 0.0 or topic.liveliness_s > 0.0:
            old, plain = self._subscriptions[k], copy.copy(QUALITIES[topic.qos])
            self._subscriptions[k] = self._subscribe(k, plain)
            self._node.destroy_subscription(old)

    def _note(self, topic: Topic, what: str, times: int = 1) -> None:
        self.outcomes[topic.name, what] += times


class LiveSource(MessageSource):
    """What a listener hears as rows. Channels are those of its first messages.

    Raises:
        BadInput: none of these has a number.
    """

    def __init__(self, where: str, sample: list[Said]) -> None:
        super().__init__()
        self.where, self._sample, self._done = where, sample, 0
        self._discover()

    def count(self) -> None:
        return None

    def _messages(self) -> Iterator[Said]:
        yield from self._sample

    @property
    def origin_s(self) -> float:
        """When the first message came, on the clock of the node [s]."""
        return self._origin_ns * 1e-9

    def chunk(self, said: list[Said]) -> Chunk:
        """The next rows."""
        chunk = self._chunk(said, self._done)
        self._done += len(said)
        return chunk


def message_type(name: str) -> Any:
    """The class of a message type such as sensor_msgs/msg/JointState.

    Raises:
        BadInput: its package is not installed.
    """
    package, _, kind = name.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError):
        raise BadInput(f"{name}: is not installed here; install its package, or leave the topic out") from None
