"""The control process of an inline robot: one command for each measurement, and switches that hold over restarts."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.inline_loop import InlineLoop
from controllers.inline_messages import HEAD, SOURCES, Follow, Freeze, InlineSetup, InlineStatus, Request, Thaw
from controllers.mark import FREEZE
from controllers.requests import AskStatus, BeginShadow, Done, Hold, Kill, Refusal, Resume, Rows, StagePatch, Stop
from controllers.setpoint import Path as Way
from controllers.signature import TrustStore
from core.block import Block
from sim.catalogue import find_robot, robot_file
from tests.controllers import candidates

ROBOT = find_robot("arm2")
PERIOD_NS = round(ROBOT.dt_s * 1e9)
START_NS = 1_700_000_000 * 10**9
KEYS = (Ed25519PrivateKey.from_private_bytes(b"o" * 32), Ed25519PrivateKey.from_private_bytes(b"s" * 32))
REST = [*ROBOT.home, 0.0, 0.0, 0.0, 0.0]


class Node:
    """The other ends of both pipes."""

    def __init__(self, line: Connection, link: Connection) -> None:
        self.line, self.link = line, link
        self.rows: list[Block] = []

    def ask(self, request: Request) -> object:
        self.link.send((7, request))
        while True:
            number, answer = self.link.recv()
            if number == 7:
                return answer
            assert isinstance(answer, Rows)
            self.rows.append(Block.from_bytes(answer.data, 2, 2))

    def status(self) -> InlineStatus:
        status = self.ask(AskStatus())
        assert isinstance(status, InlineStatus)
        return status

    def measured(self, tick: float, values: list[float] = REST, age_ns: int = 0) -> tuple[int, str, list[float]] | None:
        stamp_ns = START_NS + round(tick * PERIOD_NS)
        self.line.send_bytes(HEAD.pack(stamp_ns, age_ns) + array("d", values).tobytes())
        return self.answer(stamp_ns)

    def answer(self, stamp_ns: int) -> tuple[int, str, list[float]] | None:
        """The command; None where the next request is answered and no command has come."""
        self.status()  # the loop takes requests before measurements, so this is behind nothing
        self.status()
        if not self.line.poll(0):
            return None
        data = self.line.recv_bytes()
        stamp, source = HEAD.unpack_from(data)
        return stamp - START_NS, SOURCES[source], array("d", data[HEAD.size :]).tolist()


@contextmanager
def looping(folder: Path) -> Iterator[Node]:
    """The loop in a thread; that it is a process of its own is for the tests in tests/ros."""
    (line, line_end), (link, link_end) = Pipe(), Pipe()
    setup = InlineSetup(
        robot_toml=robot_file("arm2"),
        robot_id="arm",
        controller=ROBOT.controller,
        trust=TrustStore.of([KEYS[0].public_key()], [KEYS[1].public_key()]).to_json(),
        folder=folder,
        simulated=True,
        sim_time=False,
    )

    def serve() -> None:
        with suppress(EOFError, OSError):
            InlineLoop(setup, line_end, link_end).serve()

    thread = Thread(target=serve)
    thread.start()
    node = Node(line, link)
    try:
        yield node
        assert node.ask(Stop()) == Done()
    finally:
        line.close()
        link.close()
        thread.join()
        line_end.close()
        link_end.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with looping(tmp_path) as made:
        yield made


def test_each_measurement_is_answered_once_and_old_ones_are_left_out(node: Node) -> None:
    first = node.measured(0)
    assert first is not None
    assert first[:2] == (0, "a")
    third = node.measured(2)
    assert node.measured(1) is None, "it came too late"
    assert node.measured(2) == third, "the same stamp again: the same answer, and no tick"
    assert node.status().host.ticks == 2


def test_before_a_whole_measurement_nothing_is_commanded(node: Node) -> None:
    assert node.measured(0, [math.nan, *REST[1:]]) is None
    assert node.measured(1) is not None


def test_a_measurement_that_gets_old_hands_over_to_the_safety_law(node: Node) -> None:
    node.measured(0)
    node.line.send_bytes(HEAD.pack(0, round(2e9 * ROBOT.envelope.stale_after_s)))
    answer = node.answer(0)
    assert answer is not None
    assert answer[1] == "safety"


def test_after_a_silence_and_after_a_new_start_of_the_robot_the_reference_is_where_it_stands(node: Node) -> None:
    node.measured(0)
    node.measured(1)
    moved = [0.6, 1.0, 0.0, 0.0, 0.0, 0.0]
    node.measured(2000, moved)
    node.measured(-5000, REST)  # the clock of the messages starts over
    node.ask(AskStatus())
    for tick in range(1, 60):
        node.measured(-5000 + tick, REST)
    rows = Block.join(node.rows)
    assert rows.group("q_ref")[2].tolist() == [0.6, 1.0]
    assert rows.group("q_ref")[3].tolist() == list(ROBOT.home)
    assert (rows.t_s[1:] > rows.t_s[:-1]).all(), "the robot's own clock never goes back"


def test_a_freeze_refuses_patches_over_a_restart_until_it_is_lifted(tmp_path: Path) -> None:
    with looping(tmp_path) as node:
        assert node.ask(Freeze(reason="wet floor")) == Done()
    assert (tmp_path / FREEZE).read_text() == "wet floor"
    with looping(tmp_path) as node:
        for request in (StagePatch(signed=b"{}", files={}), BeginShadow(limits=candidates.wide_limits(2))):
            answer = node.ask(request)
            assert isinstance(answer, Refusal)
            assert "frozen (wet floor)" in answer.why
        assert node.ask(Thaw()) == Done()
        answer = node.ask(StagePatch(signed=b"{}", files={}))
        assert isinstance(answer, Refusal)
        assert answer.signature
    assert not (tmp_path / FREEZE).exists()


def test_a_kill_holds_in_the_next_tick_and_thawing_does_not_end_it(node: Node) -> None:
    node.measured(0)
    assert node.ask(Kill(reason="smoke")) == Done()
    node.measured(1)
    assert node.status().host.killed == "smoke"
    answer = node.ask(Thaw())
    assert isinstance(answer, Refusal)
    assert "remend rearm" in answer.why


def test_a_held_robot_takes_no_path_until_it_goes_on_and_then_from_where_it_is(tmp_path: Path) -> None:
    elbow = Way(start_ns=None, joints=("elbow",), t_s=(0.5,), q=((1.0,),), qd=(), qdd=())
    with looping(tmp_path) as node:
        node.measured(0)
        assert node.ask(Hold(reason="a visitor")) == Done()
        refused = node.ask(Follow(way=elbow))
        assert isinstance(refused, Refusal)
        assert "held (a visitor)" in refused.why
    with looping(tmp_path) as node:
        node.measured(0)
        status = node.status()
        assert (status.host.held, status.reference) == ("a visitor", "hold")
        node.ask(Resume())
        assert node.ask(Follow(way=elbow)) == Done()
        for tick in range(1, 900):
            node.measured(tick)
        rows = Block.join(node.rows)
        assert rows.group("q_ref")[-1].tolist() == [ROBOT.home[0], 1.0]
        assert abs(rows.group("q_ref")[1:] - rows.group("q_ref")[:-1]).max() < 0.004


def test_a_path_is_on_the_clock_of_the_messages(node: Node) -> None:
    way = Way(start_ns=START_NS + PERIOD_NS, joints=("elbow",), t_s=(0.0,), q=((1.0,),), qd=(), qdd=())
    refused = node.ask(Follow(way=way))
    assert isinstance(refused, Refusal)
    assert refused.bad
    node.measured(0)
    assert node.ask(Follow(way=way)) == Done()
    for tick in range(1, 60):
        node.measured(tick)
    assert Block.join(node.rows).group("q_ref")[:3, 1].tolist() == [ROBOT.home[1], 1.0, 1.0]
