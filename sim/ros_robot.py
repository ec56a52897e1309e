"""The PyBullet robot as a ROS 2 node: it says what hardware would say, takes commands, and hides its fault.

Published: /clock, /joint_states, /odom and /imu where the robot has a base that moves, /tf where tf2_msgs is installed
(the wheels have none), robot_description. Taken: the command topic, one number for each actuator in their order, as
ros2_control's forward command controllers take it. Physics stands still until the first command; after that the drives
hold the last one, as drives do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from nav_msgs.msg import Odometry
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from core.errors import BadInput, RobotFault
from core.frames import Frame
from core.robot import Robot
from core.robot_toml import load_robot
from core.ros_frames import RosFrames, time_of
from core.ros_node import LATCHED, RELIABLE, Stop, ros
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, kind_of, open_plant
from sim.plant import Plant
from sim.robot_process import fault_course
from sim.tasks.catalogue import draw_task
from sim.tasks.task import Task

POINT_RATE_HZ = 50.0  # points of a task's path; quintics join them
_AHEAD_S = 3.0  # a task is published this long before it begins
_SEGMENT_S = 6.0
_CLOCK_PERIOD_NS = 10**7  # /clock at 100 Hz: nodes pay for each, and stamps say the rest
_ASK_AGAIN_S = 0.2  # lockstep: a state that nobody has answered is said again
_START_PERIOD_S = 0.02  # wall time between states before the first command


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRobot:
    """What to simulate, and how fast."""

    robot_toml: Path
    fault: str = "none"
    seed: int = 1
    learn_s: float = 90.0  # faults set in after this time, on the robot's clock
    rate: float = 1.0  # multiple of real time; 0 is as fast as answers come
    lockstep: bool = False  # time stands still until a state is answered
    command_topic: str = "commands"
    work_topic: str | None = None  # where to publish tasks as paths


class RobotNode(Node):
    """Topics of one simulated robot."""

    def __init__(self, robot: Robot, command_topic: str, work_topic: str | None) -> None:
        super().__init__("remend_sim")
        self._robot, self.frames = robot, RosFrames(robot)
        self._clock_topic = self.create_publisher(Clock, "/clock", RELIABLE)
        self._states = self.create_publisher(JointState, "joint_states", RELIABLE)
        self._odometry = self.create_publisher(Odometry, "odom", RELIABLE) if self.frames.has_odometry else None
        self._imu = self.create_publisher(Imu, "imu", RELIABLE) if self.frames.has_imu else None
        self._transforms = self._open_transforms() if self.frames.has_odometry else None
        self._description = self.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=robot.urdf.read_text(encoding="utf-8")))
        self.work = None if work_topic is None else self.create_publisher(JointTrajectory, work_topic, RELIABLE)
        self.command: list[float] | None = None
        self._clock_ns = -_CLOCK_PERIOD_NS
        self.said_ns = 0  # stamp of the last state
        self.is_answered = False  # whether a command came for it
        self.create_subscription(Float64MultiArray, command_topic, self._take, RELIABLE)

    def _open_transforms(self) -> Publisher[Any] | None:
        try:
            from tf2_msgs.msg import TFMessage  # noqa: PLC0415 only a ROS 2 install has it
        except ImportError:
            self.get_logger().info("tf2_msgs is not installed here: /tf is not published; /odom says the same")
            return None
        self._transform_type = TFMessage
        return self.create_publisher(TFMessage, "/tf", 100)

    def _take(self, message: Float64MultiArray) -> None:
        values = list(message.data)
        if len(values) != len(self._robot.actuators) or not all(map(math.isfinite, values)):
            self.get_logger().warning(
                f"a command has {len(self._robot.actuators)} finite numbers, in the order of "
                f"{', '.join(self._robot.actuators)}; this one is left out",
                throttle_duration_sec=5.0,
            )
            return
        self.command = values
        answers = message.layout.dim[0].label if message.layout.dim else ""
        self.is_answered = self.is_answered or not answers.isdecimal() or int(answers) == self.said_ns

    def say(self, frame: Frame, now_ns: int) -> None:
        """Publish one measurement: the clock first, joint states last, so that a frame is complete with them."""
        self.said_ns, self.is_answered, stamp = now_ns, False, time_of(now_ns)
        said: list[tuple[Publisher[Any], Any]] = []
        if now_ns - self._clock_ns >= _CLOCK_PERIOD_NS:
            self._clock_ns = now_ns
            self._clock_topic.publish(Clock(clock=stamp))
        if self._odometry is not None:
            odometry = self.frames.odometry(frame, stamp)
            said.append((self._odometry, odometry))
            if self._transforms is not None:
                self._transforms.publish(self._transform_type(transforms=[self.frames.transform(odometry)]))
        if self._imu is not None:
            said.append((self._imu, self.frames.imu(frame, stamp)))
        self._said = [*said, (self._states, self.frames.joint_state(frame, stamp))]
        self.say_again()

    def say_again(self) -> None:
        """The last measurement once more, for whoever did not get it."""
        for publisher, message in self._said:
            publisher.publish(message)


class _Work:
    """The working day of a robot: its tasks one after the other, as paths."""

    def __init__(self, robot: Robot, seed: int, start_ns: int) -> None:
        self._robot, self._next_ns = robot, start_ns
        self._tasks = self._draw(seed)

    def _draw(self, seed: int) -> Iterator[Task]:
        """The same tasks as `sim.tasks.endless_tasks` has for this seed."""
        rng, start = np.random.default_rng([seed, 0x7A5C]), np.array(self._robot.home)
        while True:
            for kind in rng.permutation(self._robot.tasks.kinds):
                task = draw_task(self._robot, str(kind), start, _SEGMENT_S, rng)
                yield task
                start = task.q[-1]

    def due(self, now_ns: int) -> JointTrajectory | None:
        """The next task, if it is time to announce it."""
        if now_ns < self._next_ns - _AHEAD_S * 1e9:
            return None
        task, robot = next(self._tasks), self._robot
        message = JointTrajectory(joint_names=list(robot.joints))
        message.header.stamp = time_of(self._next_ns)
        stride = max(1, round(robot.control_rate_hz / POINT_RATE_HZ))
        last = len(task.q) - 1
        for k in sorted({*range(0, last, stride), last}):
            sec, nanosec = divmod(round(k * robot.dt_s * 1e9), 10**9)
            message.points.append(
                JointTrajectoryPoint(
                    positions=task.q[k].tolist(),
                    velocities=task.qd[k].tolist(),
                    accelerations=task.qdd[k].tolist(),
                    time_from_start=Duration(sec=sec, nanosec=nanosec),
                )
            )
        self._next_ns += round(len(task.q) * robot.dt_s * 1e9)
        return message


class _Loop:
    """Physics, paced by the wall clock or by the answers."""

    def __init__(self, wanted: SimulatedRobot, robot: Robot, node: RobotNode, executor: Executor, stop: Stop) -> None:
        self._stop = stop
        self._wanted, self._node, self._executor = wanted, node, executor
        self._robot, self._period_ns = robot, round(robot.dt_s * 1e9)
        self._wall_ns = self._period_ns / wanted.rate if wanted.rate else 0.0
        self._now_ns = 0

    def run(self, plant: Plant) -> None:
        """Until the process is asked to end.

        Raises:
            FloatingPointError: the simulated robot has diverged.
        """
        node, work = self._node, None
        self._wait_for_a_command(plant.measure())
        if node.work is not None:
            work = _Work(self._robot, self._wanted.seed, self._now_ns + round(_AHEAD_S * 1e9))
        due_ns = float(time.monotonic_ns())
        while not self._stop.asked:
            assert node.command is not None
            plant.apply(node.command)
            if work is not None and node.work is not None and (path := work.due(self._now_ns)):
                node.work.publish(path)
            self._now_ns += self._period_ns
            node.say(plant.measure(), self._now_ns)
            due_ns = max(due_ns + self._wall_ns, time.monotonic_ns() - 100 * self._wall_ns)  # slept: do not race
            self._spin_until(due_ns)
            if self._wanted.lockstep:
                self._wait_for_the_answer()

    def _wait_for_a_command(self, held: Frame) -> None:
        """Brakes hold the robot until somebody commands it; what it says goes on."""
        while not self._stop.asked and self._node.command is None:
            self._now_ns += self._period_ns
            self._node.say(held, self._now_ns)
            self._spin_until(time.monotonic_ns() + max(self._wall_ns, _START_PERIOD_S * 1e9))

    def _wait_for_the_answer(self) -> None:
        node, asked_s = self._node, time.monotonic()
        while not self._stop.asked and not node.is_answered:
            self._executor.spin_once(timeout_sec=_ASK_AGAIN_S)
            if not node.is_answered and time.monotonic() - asked_s > _ASK_AGAIN_S:
                node.say_again()
                asked_s = time.monotonic()

    def _spin_until(self, due_ns: float) -> None:
        """Take what comes until then, and at least what is there already."""
        while not self._stop.asked:
            left_s = (due_ns - time.monotonic_ns()) * 1e-9
            if left_s <= 0.0:
                return
            self._executor.spin_once(timeout_sec=min(left_s, _ASK_AGAIN_S))


def simulate(wanted: SimulatedRobot, arguments: Sequence[str] = ()) -> None:
    """Run the robot until the process is asked to end.

    Raises:
        BadInput: the robot or fault does not exist, or the rate makes no sense.
        RobotFault: the simulated robot has come apart.
    """
    robot = load_robot(wanted.robot_toml)
    kind_of(robot)
    parse_faults(wanted.fault, robot)
    if not (math.isfinite(wanted.rate) and wanted.rate >= 0.0) or (wanted.rate == 0.0 and not wanted.lockstep):
        raise BadInput(f"--rate {wanted.rate:g}: must be positive, or 0 together with --lockstep; give 1 for real time")
    course = fault_course(robot, wanted.fault, wanted.seed, wanted.learn_s)
    with (
        ros(arguments) as stop,
        open_plant(robot, hidden_physics(robot, wanted.seed), course, wanted.seed) as plant,
    ):
        node = RobotNode(robot, wanted.command_topic, wanted.work_topic)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            _Loop(wanted, robot, node, executor, stop).run(plant)
        except FloatingPointError:
            raise RobotFault("the simulated robot came apart: its motion grew beyond all bounds") from None
        finally:
            executor.shutdown()
            node.destroy_node()
