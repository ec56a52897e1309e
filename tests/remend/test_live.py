"""The live view, read by a WebSocket client as Foxglove is one: same messages as a recording, this machine only."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from core.block import Block
from core.errors import BadInput
from core.records import Event
from core.robot_toml import load_robot
from sim.catalogue import robot_file
from telemetry import ros_topics as ros

pytest.importorskip("foxglove")
from remend.live import HOST, RATE_HZ, LiveView

QUADROTOR = load_robot(robot_file("quadrotor"))
EVENT = Event(detector="d@1", channel="rotor_1", kind="bias", onset_s=0.1, alarm_s=0.25, test_ratio=1.5)
Frame = tuple[int, bytes]  # opcode and payload


class _Client:
    """As much of RFC 6455 as a reader needs."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=10.0)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: foxglove.sdk.v1\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._exactly(1)
        assert b" 101 " in head.split(b"\r\n")[0]

    def close(self) -> None:
        self._socket.close()

    def frames(self) -> Iterator[Frame]:
        while True:
            first, length = self._exactly(2)
            if length == 126:
                (length,) = struct.unpack(">H", self._exactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._exactly(8))
            yield first & 15, self._exactly(length)

    def send(self, content: dict[str, Any]) -> None:
        data, mask = json.dumps(content).encode(), os.urandom(4)
        assert len(data) < 65536
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self._socket.sendall(struct.pack(">BBH", 0x81, 0x80 | 126, len(data)) + mask + masked)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, "the server hung up"
            data += more
        return data


def _block(rows: int) -> Block:
    width = 2 + 5 * QUADROTOR.dof + 2 * len(QUADROTOR.actuators)
    data = np.random.default_rng(0).standard_normal((rows, width))
    data[:, 0] = np.arange(rows)
    data[:, 1] = np.arange(rows) * QUADROTOR.dt_s * 1e9
    return Block(data=data, actuators=len(QUADROTOR.actuators))


def _advertised(frames: Iterator[Frame]) -> dict[str, dict[str, Any]]:
    """Channels by topic, as the server announces them."""
    found: dict[str, dict[str, Any]] = {}
    wanted = set(ros.TYPES)
    while set(found) != wanted:
        opcode, data = next(frames)
        if opcode == 1 and (content := json.loads(data))["op"] == "advertise":
            found |= {channel["topic"]: channel for channel in content["channels"]}
    return found


def _read_all(frames: Iterator[Frame], arrived: queue.Queue[Frame]) -> None:
    """Everything until the server ends."""
    with contextlib.suppress(AssertionError, OSError):
        for frame in frames:
            arrived.put(frame)


def test_foxglove_sees_telemetry_scores_and_events_as_in_a_recording() -> None:
    every = round(QUADROTOR.control_rate_hz / RATE_HZ)
    block = _block(10 * every)
    with LiveView(QUADROTOR, "quad-1", port=0) as view:
        client = _Client(int(view.url.rsplit(":", 1)[1]))
        frames = client.frames()
        channels = _advertised(frames)
        arrived: queue.Queue[Frame] = queue.Queue()
        assert {(c["encoding"], c["schemaName"]) for c in channels.values()} == {
            ("cdr", msgtype) for msgtype in ros.TYPES.values()
        }
        topics = list(channels)
        wanted = [{"id": i, "channelId": channels[topic]["id"]} for i, topic in enumerate(topics)]
        client.send({"op": "subscribe", "subscriptions": wanted})
        reader = threading.Thread(target=_read_all, args=(frames, arrived))
        reader.start()
        said: dict[str, list[tuple[int, Any]]] = {}
        sent = 0
        while set(said) != set(topics):  # nothing is kept for a client that has not subscribed yet: say it again
            view.show(block)
            view.score(np.array([0.1, 0.2]) + sent, np.array([0.25, 0.75]))
            view.event(EVENT)
            sent += 1
            with contextlib.suppress(queue.Empty):
                while True:
                    opcode, data = arrived.get(timeout=0.2)
                    if opcode == 2 and data[0] == 1:
                        subscription, stamp_ns = struct.unpack("<IQ", data[1:13])
                        topic = topics[subscription]
                        said.setdefault(topic, []).append((stamp_ns, ros.decode(topic, data[13:])))
    reader.join()
    client.close()
    shown = {round(t_s * 1e9): row for t_s, row in zip(block.t_s[::every], block.rows()[::every], strict=True)}
    for stamp_ns, state in said["/joint_states"]:
        assert state.position.tolist() == shown[stamp_ns].frame.q
    assert said["/remend/score"][0][1].data == 0.75
    assert ros.event_of(said["/remend/event"][0][1]) == EVENT


def test_live_view_is_for_this_machine_only() -> None:
    with LiveView(QUADROTOR, "quad-1", port=0) as view:
        port = int(view.url.rsplit(":", 1)[1])
        others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)} - {HOST}
        for address in others - {"127.0.1.1"}:
            with pytest.raises(OSError), socket.create_connection((address, port), timeout=2.0):  # noqa: PT011
                pass
        assert view.url.startswith("ws://127.0.0.1:")


def test_port_that_is_taken_is_refused_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(BadInput, match="give another one"):
            LiveView(QUADROTOR, "quad-1", port=taken.getsockname()[1])
