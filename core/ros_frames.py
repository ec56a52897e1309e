"""A robot's frame as standard ROS 2 messages, and back: JointState for joints, Odometry and Imu for a base that moves.

/joint_states  position, velocity and effort of what has a motor or an encoder; NaN where a name has none of them
/odom          pose in the world; velocity in the frame of the base, as nav_msgs/Odometry wants it
/imu           attitude and rates of the base; linear acceleration is not known, so its covariance begins with -1
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, TransformStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from core.frames import Frame
from core.robot import FIXED_BASE, Robot

POSITION, ATTITUDE = ("x", "y", "z"), ("roll", "pitch", "yaw")
_NAN = math.nan


class RosFrames:
    """How one robot's coordinates and actuators are named in messages.

    `sources` are the topics that a frame is made from, the one that triggers a tick first.
    """

    def __init__(self, robot: Robot) -> None:
        base = {} if robot.kind == FIXED_BASE else {name: i for i, name in enumerate(robot.joints)}
        self._at: Mapping[str, int] = {name: base[name] for name in (*POSITION, *ATTITUDE) if name in base}
        self.joints = tuple(name for name in robot.joints if name not in self._at)
        self.names = (*self.joints, *(name for name in robot.actuators if name not in self.joints))
        self._joint_index = [robot.joints.index(name) for name in self.joints]
        self._efforts = [robot.actuators.index(n) if n in robot.actuators else None for n in self.names]
        self._n, self._m = robot.dof, len(robot.actuators)
        self.has_odometry = any(name in self._at for name in POSITION)
        self.has_imu = any(name in self._at for name in ATTITUDE)
        attitude = () if self.has_odometry or not self.has_imu else ("imu",)
        self.sources = ("joint_states", *(("odom",) if self.has_odometry else ()), *attitude)
        self._order: tuple[tuple[str, ...], list[int | None]] = ((), [])
        self._turned = 0.0

    # to messages

    def joint_state(self, frame: Frame, stamp: Time) -> JointState:
        """Joints first, then actuators that are no joints."""
        rest = [_NAN] * (len(self.names) - len(self.joints))
        message = JointState(name=list(self.names))
        message.header.stamp = stamp
        message.position = array("d", [*(frame.q[i] for i in self._joint_index), *rest])
        message.velocity = array("d", [*(frame.qd[i] for i in self._joint_index), *rest])
        message.effort = array("d", [_NAN if k is None else frame.tau_meas[k] for k in self._efforts])
        return message

    def odometry(self, frame: Frame, stamp: Time) -> Odometry:
        """The base in the world."""
        message = Odometry(child_frame_id="base_link")
        message.header.frame_id, message.header.stamp = "odom", stamp
        pose, twist = message.pose.pose, message.twist.twist
        pose.position.x, pose.position.y, pose.position.z = self._three(frame.q, POSITION)
        pose.orientation = _quaternion(*self._three(frame.q, ATTITUDE))
        velocity = _turned_back(pose.orientation, self._three(frame.qd, POSITION))
        twist.linear.x, twist.linear.y, twist.linear.z = velocity
        twist.angular.x, twist.angular.y, twist.angular.z = self._three(frame.qd, ATTITUDE)
        return message

    def imu(self, frame: Frame, stamp: Time) -> Imu:
        """Attitude and rates of the base."""
        message = Imu()
        message.header.frame_id, message.header.stamp = "base_link", stamp
        message.orientation = _quaternion(*self._three(frame.q, ATTITUDE))
        rate = message.angular_velocity
        rate.x, rate.y, rate.z = self._three(frame.qd, ATTITUDE)
        message.linear_acceleration_covariance[0] = -1.0
        return message

    def transform(self, odometry: Odometry) -> TransformStamped:
        """odom -> base_link."""
        message = TransformStamped(header=odometry.header, child_frame_id=odometry.child_frame_id)
        place, shift = odometry.pose.pose.position, message.transform.translation
        shift.x, shift.y, shift.z = place.x, place.y, place.z
        message.transform.rotation = odometry.pose.pose.orientation
        return message

    def _three(self, values: Sequence[float], names: Sequence[str]) -> tuple[float, float, float]:
        a, b, c = (values[self._at[name]] if name in self._at else 0.0 for name in names)
        return a, b, c

    # from messages

    def read(self, latest: Mapping[str, Any]) -> tuple[list[float], list[float], list[float]]:
        """q (n), qd (n) and effort (m) from the latest message of each source; NaN is what nobody said."""
        q, qd, effort = [_NAN] * self._n, [_NAN] * self._n, [_NAN] * self._m
        state = latest["joint_states"]
        places, position, velocity = self._places(state.name), state.position, state.velocity
        for k, i in enumerate(self._joint_index):
            at = places[k]
            if at is not None:
                q[i] = position[at] if at < len(position) else _NAN
                qd[i] = velocity[at] if at < len(velocity) else _NAN
        for k, actuator in enumerate(self._efforts):
            at = places[k]
            if actuator is not None and at is not None and at < len(state.effort):
                effort[actuator] = state.effort[at]
        if "odom" in latest:
            pose, twist = latest["odom"].pose.pose, latest["odom"].twist.twist
            velocity = _turned(pose.orientation, (twist.linear.x, twist.linear.y, twist.linear.z))
            self._put(q, qd, POSITION, (pose.position.x, pose.position.y, pose.position.z), velocity)
            rates = (twist.angular.x, twist.angular.y, twist.angular.z)
            self._put(q, qd, ATTITUDE, self._angles(pose.orientation), rates)
        elif "imu" in latest:
            rate = latest["imu"].angular_velocity
            self._put(q, qd, ATTITUDE, self._angles(latest["imu"].orientation), (rate.x, rate.y, rate.z))
        return q, qd, effort

    def _angles(self, orientation: Quaternion) -> tuple[float, float, float]:
        """Roll, pitch and yaw; the yaw goes on where it was, and does not fold at half a turn."""
        roll, pitch, yaw = _euler(orientation)
        if math.isfinite(yaw):
            yaw += 2.0 * math.pi * round((self._turned - yaw) / (2.0 * math.pi))
            self._turned = yaw
        return roll, pitch, yaw

    def _put(
        self,
        q: list[float],
        qd: list[float],
        names: Sequence[str],
        position: Sequence[float],
        velocity: Sequence[float],
    ) -> None:
        for name, p, v in zip(names, position, velocity, strict=True):
            if name in self._at:
                q[self._at[name]], qd[self._at[name]] = p, v

    def _places(self, names: Sequence[str]) -> list[int | None]:
        """Where each of our names stands in a message; looked up again only when the names change."""
        if tuple(names) != self._order[0]:
            index = {name: i for i, name in enumerate(names)}
            self._order = (tuple(names), [index.get(name) for name in self.names])
        return self._order[1]


def command_message(command: Sequence[float]) -> Float64MultiArray:
    """What ros2_control's forward command controllers take: one number for each actuator, in their order."""
    return Float64MultiArray(data=array("d", command))


def time_of(stamp_ns: int) -> Time:
    """A stamp of a message [ns]."""
    sec, nanosec = divmod(stamp_ns, 10**9)
    return Time(sec=sec, nanosec=nanosec)


def stamp_of(message: Any) -> int:
    """Header stamp of a message [ns]."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def _quaternion(roll: float, pitch: float, yaw: float) -> Quaternion:
    """Turns about x, then y, then z of the world (REP 103)."""
    cr, sr, cp, sp = math.cos(roll / 2), math.sin(roll / 2), math.cos(pitch / 2), math.sin(pitch / 2)
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    return Quaternion(
        x=sr * cp * cy - cr * sp * sy,
        y=cr * sp * cy + sr * cp * sy,
        z=cr * cp * sy - sr * sp * cy,
        w=cr * cp * cy + sr * sp * sy,
    )


def _euler(o: Quaternion) -> tuple[float, float, float]:
    roll = math.atan2(2 * (o.w * o.x + o.y * o.z), 1 - 2 * (o.x * o.x + o.y * o.y))
    side = 2 * (o.w * o.y - o.z * o.x)
    pitch = math.asin(min(max(side, -1.0), 1.0)) if math.isfinite(side) else _NAN
    yaw = math.atan2(2 * (o.w * o.z + o.x * o.y), 1 - 2 * (o.y * o.y + o.z * o.z))
    return roll, pitch, yaw


def _turned(o: Quaternion, v: Sequence[float]) -> tuple[float, float, float]:
    """A vector of the base in the world."""
    tx = 2 * (o.y * v[2] - o.z * v[1])
    ty = 2 * (o.z * v[0] - o.x * v[2])
    tz = 2 * (o.x * v[1] - o.y * v[0])
    return (
        v[0] + o.w * tx + o.y * tz - o.z * ty,
        v[1] + o.w * ty + o.z * tx - o.x * tz,
        v[2] + o.w * tz + o.x * ty - o.y * tx,
    )


def _turned_back(o: Quaternion, v: Sequence[float]) -> tuple[float, float, float]:
    return _turned(Quaternion(x=-o.x, y=-o.y, z=-o.z, w=o.w), v)
