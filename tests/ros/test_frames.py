"""Frames of every shipped robot as ROS 2 messages, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from controllers.ros_pairing import Pairing
from core.frames import Frame
from core.ros_frames import RosFrames, command_message, stamp_of, time_of
from sim.catalogue import find_robot, shipped_robots

STAMP_NS = 1_700_000_000_123_456_789


def made_up(name: str, rng: np.random.Generator) -> tuple[RosFrames, Frame]:
    robot = find_robot(name)
    n, m = robot.dof, len(robot.actuators)
    q, qd, effort = rng.uniform(-1.5, 1.5, n), rng.normal(size=n), rng.normal(size=m)
    return RosFrames(robot), Frame(0, 0, q.tolist(), qd.tolist(), effort.tolist(), [0.0] * m)


def messages(frames: RosFrames, frame: Frame, stamp_ns: int = STAMP_NS) -> dict[str, object]:
    stamp = time_of(stamp_ns)
    make = {"joint_states": frames.joint_state, "odom": frames.odometry, "imu": frames.imu}
    return {source: make[source](frame, stamp) for source in frames.sources}


@pytest.mark.parametrize("name", shipped_robots())
def test_a_frame_comes_back_as_it_was(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        frames, frame = made_up(name, rng)
        q, qd, effort = frames.read(messages(frames, frame))
        assert q == pytest.approx(frame.q, abs=1e-12)
        assert qd == pytest.approx(frame.qd, abs=1e-12)
        assert effort == frame.tau_meas


def test_names_may_come_in_any_order_and_what_is_not_said_is_missing() -> None:
    frames = RosFrames(find_robot("arm2"))
    message = JointState(name=["elbow", "gripper", "shoulder"], position=[1.0, 2.0, 3.0], velocity=[0.1, 0.2, 0.3])
    q, qd, effort = frames.read({"joint_states": message})
    assert (q, qd) == ([3.0, 1.0], [0.3, 0.1])
    assert all(map(math.isnan, effort))


def test_a_base_that_turns_on_keeps_its_turns() -> None:
    frames, frame = made_up("diffdrive", np.random.default_rng(2))
    for yaw in np.arange(0.0, 12.0, 0.5):
        turned = frame._replace(q=[*frame.q[:2], float(yaw), *frame.q[3:]])
        q, _, _ = frames.read(messages(frames, turned))
        assert q[2] == pytest.approx(yaw)


def test_stamps_and_commands() -> None:
    assert stamp_of(messages(*made_up("arm2", np.random.default_rng(3)))["joint_states"]) == STAMP_NS
    assert command_message([1.0, 2.0]).data.tolist() == [1.0, 2.0]


def test_a_source_with_the_same_stamps_is_waited_for_and_one_of_its_own_is_not() -> None:
    frames, frame = made_up("diffdrive", np.random.default_rng(4))
    pairing = Pairing(frames.sources)

    def take(source: str, stamp_ns: int) -> bool:
        return pairing.take(source, messages(frames, frame, stamp_ns)[source])

    assert not take("joint_states", 10), "no pose yet"
    assert take("odom", 10)
    assert not take("joint_states", 20)
    assert take("odom", 20), "complete only now"
    for stamp_ns in (30, 40, 50):  # its pair stays away
        assert not take("joint_states", stamp_ns)
    assert take("joint_states", 60), "given up: the old pose will do"
    assert take("joint_states", 70)
