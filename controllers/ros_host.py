"""The lifecycle node that drives a robot inline: measurements to the control process, its commands to the drives.

rclpy never shares a process with the loop. Unconfigured: nothing runs. Inactive: the control process is ready, nothing
is commanded. Active: every measurement is answered on the command topic. When the control process dies, a new one boots
the committed version.
"""

from __future__ import annotations

import json
import secrets
import threading
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Twist
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from controllers.inline_messages import Drive, Follow, Freeze, InlineSetup, InlineStatus, Request, StayHere, Thaw
from controllers.inline_process import Answered, InlineProcess, Process
from controllers.requests import AskStatus, Hold, Kill, Resume, RollBack
from controllers.ros_intake import Intake
from controllers.ros_pairing import Pairing
from controllers.ros_patching import Patching
from controllers.ros_reports import Reports
from controllers.setpoint import Path as Way
from controllers.setpoint import Speed
from core.block import Array, Block
from core.errors import BadInput, RemendError
from core.robot import Robot
from core.robot_toml import load_robot
from core.ros_frames import RosFrames, stamp_of
from core.ros_node import QUALITIES, RELIABLE, Setting, declare

_PATIENCE_S = 60.0  # for a control process to start, on a busy machine
_ANSWER_S = 5.0  # for a switch to be thrown
_MOST_AGE_NS = 10**9  # of a first measurement; beyond it the stamps come from another clock

SETTINGS = (
    Setting(name="robot", default="", meaning="Catalogue name, or path of a robot.toml.", read_only=True),
    Setting(name="robot_id", default="", meaning="Name in signatures; by default the robot's.", read_only=True),
    Setting(name="trust", default="", meaning="File with the public keys that may sign patches.", read_only=True),
    Setting(name="folder", default="", meaning="Where commits and the latch are kept.", read_only=True),
    Setting(name="simulated", default=False, meaning="Nobody can come to harm.", read_only=True),
    Setting(name="autostart", default=True, meaning="Configure and activate at once.", read_only=True),
    Setting(name="sensor_qos", default="sensor_data", meaning="sensor_data, latest or reliable.", read_only=True),
    Setting(
        name="lease_s",
        default=3.0,
        meaning="A service that is silent for so long loses the robot, and its uncommitted patch goes [s].",
        low=0.5,
        high=60.0,
        read_only=True,
    ),
    Setting(name="status_rate_hz", default=5.0, meaning="Rate of ~/status [Hz].", low=0.2, high=20.0),
    Setting(
        name="active_version",
        default="",
        meaning="sha256 of the controller that runs. Set it to a signed patch (JSON) to have that swapped in.",
    ),
)


class HostNode(LifecycleNode):
    """One robot.

    Args:
        find: robot.toml of a robot's name.
        overrides: parameters that win over those of a file.
        home: where trust and folder are by default.
    """

    called = "remend_host"
    settings: tuple[Setting, ...] = SETTINGS

    def __init__(self, find: Callable[[str], Path], overrides: Mapping[str, Any], home: Path) -> None:
        given = [Parameter(name, value=value) for name, value in overrides.items()]
        super().__init__(self.called, parameter_overrides=given)
        self._find, self._home = find, home
        declare(self, self.settings)
        self.process: Process | None = None
        self.status: InlineStatus | None = None
        self.why = ""  # it could not be configured
        self.boot = ""  # another one for each control process
        self._asked: Answered | None = None
        self._is_active, self._ended = False, False
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._entities: list[Any] = []
        self._intake: Intake | None = None
        self._patching = Patching(self)
        self._lock = threading.Lock()
        self._commands: LifecyclePublisher[Float64MultiArray] | None = None
        self._own_topics = {publisher.topic_name for publisher in self.publishers}  # of any node

    def text(self, name: str) -> str:
        """A parameter of type string."""
        return str(self.get_parameter(name).value)

    def start(self) -> None:
        """Configure and activate.

        Raises:
            BadInput: it cannot be configured; the log says why.
        """
        if self.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
            raise BadInput(self.why or "the host cannot be configured; its log says why")
        self.trigger_activate()

    # lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the robot and start its control process."""
        try:
            self._open()
        except (RemendError, OSError) as error:
            self.why = str(error)
            self.get_logger().error(self.why)
            self._close()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Command from now on; the reference is where the robot stands."""
        if self.process is not None:
            self.process.ask(StayHere())
        self._is_active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Command nothing from now on: the drives are left to whoever comes next."""
        self._is_active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the control process."""
        self._close()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the control process."""
        self._close()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """End the control process too."""
        self._close()
        super().destroy_node()

    def _open(self) -> None:
        name = self.text("robot")
        if not name:
            raise BadInput("parameter robot: missing; give a catalogue name or the path of a robot.toml")
        toml = self._find(name)
        self.robot: Robot = load_robot(toml)
        self.robot_id = self.text("robot_id") or self.robot.name
        quality = QUALITIES.get(self.text("sensor_qos"))
        if quality is None:
            raise BadInput(f"parameter sensor_qos: {self.text('sensor_qos')!r} is none of {', '.join(QUALITIES)}")
        self.trust = self._read_trust()
        self._setup = InlineSetup(
            robot_toml=toml,
            robot_id=self.robot_id,
            controller=self.robot.controller,
            trust=self.trust,
            folder=Path(self.text("folder") or self._home / "robots" / self.robot_id),
            simulated=bool(self.get_parameter("simulated").value),
            sim_time=bool(self.get_parameter("use_sim_time").value),
        )
        self._frames = RosFrames(self.robot)
        self._pairing = Pairing(self._frames.sources)
        self._offset_ns: int | None = None
        self._last_ns = 0
        self._open_drives()
        self._telemetry = self.create_publisher(Float64MultiArray, "~/telemetry", RELIABLE)
        self._rows_said = 0
        self._layout = MultiArrayDimension(size=len(self.robot.actuators), stride=len(self.robot.actuators))
        take = self.create_subscription
        self._entities += [
            take(JointTrajectory, "~/joint_trajectory", self._path, RELIABLE),
            take(Twist, "~/cmd_vel", self._speed, RELIABLE),
            self.create_service(Trigger, "~/rollback", self._switch(lambda: RollBack(reason="asked over ROS"))),
            self.create_service(Trigger, "~/hold", self._switch(lambda: Hold(reason="asked over ROS"))),
            self.create_service(Trigger, "~/resume", self._switch(Resume)),
            self.create_service(Trigger, "~/freeze", self._switch(lambda: Freeze(reason="asked over ROS"))),
            self.create_service(Trigger, "~/kill", self._switch(lambda: Kill(reason="asked over ROS"))),
            self.create_service(Trigger, "~/rearm", self._switch(Thaw)),
        ]
        self._reports = Reports(self, self.robot)
        self._start()
        self._patching.open(self.robot)
        overdue_s = max(self.robot.dt_s, 0.5 * self.robot.envelope.stale_after_s)
        self._entities.append(self.create_timer(overdue_s, self._look_at_the_clock, clock=self._steady))
        self._entities.append(self.create_timer(0.1, self._keep_house, clock=self._steady))
        self._intake = Intake(self, self._frames.sources, quality, self._measured, self._first_of_all())

    def let_go(self, entities: Sequence[Any]) -> None:
        """Destroy subscriptions, services and timers."""
        for entity in entities:
            any(destroy(entity) for destroy in (self.destroy_subscription, self.destroy_service, self.destroy_timer))

    def _open_drives(self) -> None:
        """The way to the drives."""
        self._commands = self.create_lifecycle_publisher(Float64MultiArray, "commands", RELIABLE)

    def _first_of_all(self) -> Sequence[tuple[Any, str, Callable[[Any], None]]]:
        """What the intake hears besides measurements: topic, type and callback."""
        return ()

    def _make_process(self) -> Process:
        return InlineProcess(self._setup, self._command, self._rows, self._end)

    def _read_trust(self) -> bytes:
        path = Path(self.text("trust") or self._home / "trust.json")
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{path}: cannot be read ({error.strerror}); `remend ros trust` on the service's machine writes it"
            ) from error

    def _start(self) -> None:
        """A control process, once it has said that it is ready."""
        self.boot, self._ended = secrets.token_hex(4), False
        with self._lock:
            self._rows_said = 0
        self.process = self._make_process()
        try:
            self.status = self.process.ask(AskStatus()).result(timeout=_PATIENCE_S)
        except TimeoutError:
            raise BadInput(f"the control process of {self.robot_id} does not start; see what it says above") from None
        self._offset_ns = None
        self.get_logger().info(f"control process {self.process.pid} runs {self._active_sha()[:12]}")

    def _close(self) -> None:
        self._is_active = False
        if self._intake is not None:
            self._intake.close()
            self._intake = None
        self.let_go(self._entities)
        self._entities = []
        for publisher in [each for each in self.publishers if each.topic_name not in self._own_topics]:
            if publisher is self._commands:
                self.destroy_lifecycle_publisher(publisher)
            else:
                self.destroy_publisher(publisher)
        self._patching.close()
        if self.process is not None:
            self.process.close()
            self.process = None

    # measurements and commands

    def _measured(self, source: str, message: Any) -> None:
        if self._is_active and self._pairing.take(source, message):
            self._forward()

    def _forward(self) -> None:
        latest = self._pairing.latest
        now_ns = self.get_clock().now().nanoseconds
        stamp_ns = stamp_of(latest["joint_states"]) or now_ns
        if self._offset_ns is None and self._setup.sim_time:
            self._offset_ns = 0
        elif self._offset_ns is None:
            age_ns = now_ns - stamp_ns
            self._offset_ns = 0 if -_MOST_AGE_NS < age_ns < _MOST_AGE_NS else age_ns
            if self._offset_ns:
                self.get_logger().warning(
                    f"measurements are stamped by another clock ({age_ns * 1e-9:.3g} s away): how late one is shows "
                    "only against the first; synchronise the clocks"
                )
        self._last_ns = stamp_ns + self._offset_ns
        q, qd, effort = self._frames.read(latest)
        if self.process is not None:
            self.process.measured(stamp_ns, now_ns - self._last_ns, [*q, *qd, *effort])

    def _look_at_the_clock(self) -> None:
        """When measurements stay away the loop has to be told, or nothing would happen."""
        age_ns = self.get_clock().now().nanoseconds - self._last_ns
        if self._is_active and self._last_ns and self.process and age_ns > self.robot.envelope.stale_after_s * 1e9:
            self.process.overdue(age_ns)

    def _command(self, stamp_ns: int, command: array[float], _source: str) -> None:
        """From the control process's thread to the drives. The label says which measurement this answers."""
        message = Float64MultiArray(data=command)
        self._layout.label = str(stamp_ns)
        message.layout.dim.append(self._layout)
        if self._is_active and self._commands is not None:
            self._commands.publish(message)

    def _rows(self, data: bytes) -> None:
        block = Block.from_bytes(data, self.robot.dof, len(self.robot.actuators))
        with self._lock:
            first, self._rows_said = self._rows_said, self._rows_said + len(block)
        self._telemetry.publish(telemetry_message(self.boot, first, block.data))

    def _end(self) -> None:
        self._ended = True

    # references

    def _path(self, message: JointTrajectory) -> None:
        start_ns = stamp_of(message)
        way = Way(
            start_ns=start_ns or None,
            joints=tuple(message.joint_names),
            t_s=tuple(p.time_from_start.sec + 1e-9 * p.time_from_start.nanosec for p in message.points),
            q=tuple(tuple(p.positions) for p in message.points),
            qd=_rows_of([p.velocities for p in message.points]),
            qdd=_rows_of([p.accelerations for p in message.points]),
        )
        self._ask_and_report(Follow(way=way))

    def _speed(self, message: Twist) -> None:
        self._ask_and_report(Drive(speed=Speed(ahead_m_s=message.linear.x, turn_rad_s=message.angular.z)))

    def _ask_and_report(self, request: Request) -> None:
        if self.process is None or not self._is_active:
            return

        def report(answered: Answered) -> None:
            if error := answered.exception():
                self.get_logger().warning(str(error), throttle_duration_sec=1.0)

        self.process.ask(request).add_done_callback(report)

    def measurement_age_s(self) -> float | None:
        """Age of the last measurement [s]; None before the first."""
        return (self.get_clock().now().nanoseconds - self._last_ns) * 1e-9 if self._last_ns else None

    def about(self) -> dict[str, object]:
        """What else belongs into ~/status."""
        return {"mode": "inline"}

    def incident(self, what: str, why: str) -> None:
        """Say on ~/incidents that something happened."""
        self._reports.incident(what, why)

    # switches and house-keeping

    def _switch(self, make: Callable[[], Request]) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def throw(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                if self.process is None:
                    raise BadInput("the host is not configured; configure it first")
                self.process.ask(make()).result(timeout=_ANSWER_S)
                self.status = self.process.ask(AskStatus()).result(timeout=_ANSWER_S)
            except (RemendError, TimeoutError) as error:
                response.success, response.message = False, str(error) or "the control process does not answer"
                return response
            assert self.status is not None
            response.success, response.message = True, json.dumps(self._reports.short(self.status))
            self._reports.say(self.status)
            return response

        return throw

    def _keep_house(self) -> None:
        if self._ended:
            self._restart()
        if self._asked is not None and self._asked.done():
            if self._asked.exception() is None and (status := self._asked.result()) is not None:
                self.status = status
                self._patching.look(status)
                self._reports.say_when_due(status)
            self._asked = None
        if self._asked is None and self.process is not None:
            self._asked = self.process.ask(AskStatus())

    def _restart(self) -> None:
        self.get_logger().error("the control process has ended: another one boots the committed version")
        if self.process is not None:
            self.process.close()
            self.process = None
        try:
            self._start()
        except (RemendError, OSError) as error:
            self.get_logger().error(str(error))
            return
        self._reports.incident("control process ended", "another one runs the committed version")

    def _active_sha(self) -> str:
        return self.status.host.active_sha if self.status is not None else ""


def telemetry_message(boot: str, first: int, rows: Array) -> Float64MultiArray:
    """Rows of a `core.block.Block` as a message; the label tells which they are since the control process began."""
    message = Float64MultiArray(data=array("d", rows.tobytes()))
    count, width = rows.shape
    message.layout.dim = [
        MultiArrayDimension(label=f"{boot}:{first}", size=count, stride=count * width),
        MultiArrayDimension(label="seq stamp_ns q qd tau_meas tau_cmd q_ref qd_ref qdd_ref", size=width, stride=width),
    ]
    return message


def _rows_of(values: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """One row for each point, or none at all where no point has any."""
    return tuple(map(tuple, values)) if any(len(row) for row in values) else ()
