"""A robot as a stick figure: what an environment renders.

Bullet's bodies have no visible shapes, and not all of them have the robot's links, so its camera would see nothing.
The picture shows the frames of the URDF and what lies between them, in perspective.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.rigid_body import Array
from core.robot import Robot

WIDTH, HEIGHT = 320, 240
_EYE = np.array([0.75, -1.0, 0.45])  # direction from the robot to the eye
_PAPER, _GROUND, _INK, _GHOST = (255, 255, 255), (228, 228, 228), (40, 60, 90), (200, 210, 225)
_BASE = ("x", "y", "z", "roll", "pitch", "yaw")
_FILL = 1.15  # distance of the eye, in sizes of the picture's height


class Sketch:
    """Draws one robot at given coordinates; a base that moves stays in the middle."""

    def __init__(self, robot: Robot) -> None:
        self._names = robot.joints
        self._moves = [name for name in _BASE if name in robot.joints]
        self._floats = robot.kind != "fixed_base"
        root = (pin.JointModelFreeFlyer(),) if self._floats else ()
        self._model = pin.buildModelFromUrdf(str(robot.urdf), *root)
        self._data = self._model.createData()
        self._tips = self._find_tips(robot)
        self._rods = self._find_rods()
        points = self._points(np.array(robot.home))
        low, high = points.min(axis=0), points.max(axis=0)
        self._size_m = max(1.3 * float(np.linalg.norm(high - low)), 1e-3)
        self._above_base_m = 0.5 * (low + high) - self._base(np.array(robot.home))
        back = _EYE / np.linalg.norm(_EYE)
        right = np.cross([0.0, 0.0, 1.0], back)
        right /= np.linalg.norm(right)
        self._view = np.array([right, np.cross(back, right), back])

    def draw(self, q: Array, q_ref: Array | None = None) -> NDArray[np.uint8]:
        """(H, W, 3) picture of the robot at `q` (n,), and pale behind it at `q_ref`."""
        image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
        pen = ImageDraw.Draw(image)
        self._centre = self._base(q) + self._above_base_m
        self._draw_ground(pen)
        for coordinates, colour in ((q_ref, _GHOST), (q, _INK)):
            if coordinates is None or not np.all(np.isfinite(coordinates)):
                continue
            pixels = self._project(self._points(coordinates))
            for a, b in self._rods:
                pen.line([tuple(pixels[a]), tuple(pixels[b])], fill=colour, width=5)
            for x, y in pixels:
                pen.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
        return np.array(image)

    def _find_rods(self) -> list[tuple[int, int]]:
        """Pairs of body frames, parent and child; each pair is a rod."""
        frames = self._model.frames
        self._bodies = [k for k, frame in enumerate(frames) if frame.type == pin.FrameType.BODY]
        place = {k: i for i, k in enumerate(self._bodies)}
        rods = []
        for k in self._bodies:
            parent = frames[frames[k].parentFrame].parentFrame  # a body hangs on a joint, and that on a body
            if parent in place and parent != k:
                rods.append((place[parent], place[k]))
        return rods + [(place[frame], len(self._bodies) + i) for i, (frame, _) in enumerate(self._tips)]

    def _find_tips(self, robot: Robot) -> list[tuple[int, Array]]:
        """What the URDF may not show, as body frame and point in it [m]: where a load sits, and rotors."""
        tips = [(self._model.getFrameId(robot.payload_link, pin.FrameType.BODY), np.array(robot.payload_point_m))]
        x, y = robot.constants.get("rotor_x"), robot.constants.get("rotor_y")
        if isinstance(x, tuple) and isinstance(y, tuple):
            base = next(k for k, frame in enumerate(self._model.frames) if frame.type == pin.FrameType.BODY)
            tips += [(base, np.array([a, b, 0.0])) for a, b in zip(x, y, strict=True)]
        return tips

    def _base(self, q: Array) -> Array:
        """(3,) where the base is, as far as the coordinates say."""
        named = dict(zip(self._names, q.tolist(), strict=True))
        return np.array([named[axis] if axis in self._moves else 0.0 for axis in "xyz"])

    def _points(self, q: Array) -> Array:
        """(k, 3) origins of the body frames in the world, then the tips."""
        named = dict(zip(self._names, q.tolist(), strict=True))
        full = pin.neutral(self._model)
        if self._floats:
            angles = [named.get(angle, 0.0) for angle in _BASE[3:]]
            full[:3] = self._base(q)
            full[3:7] = pin.Quaternion(pin.rpy.rpyToMatrix(*angles)).coeffs()
        for name, value in named.items():
            if not self._model.existJointName(name):
                continue
            joint = self._model.joints[self._model.getJointId(name)]
            at = joint.idx_q
            full[at : at + joint.nq] = value if joint.nq == 1 else (np.cos(value), np.sin(value))
        pin.framesForwardKinematics(self._model, self._data, full)
        tips = [self._data.oMf[frame].act(point) for frame, point in self._tips]
        points = np.array([*(self._data.oMf[k].translation for k in self._bodies), *tips])
        if self._floats and "z" not in self._moves:  # nobody says how high it stands
            points[:, 2] -= points[:, 2].min()
        return points

    def _project(self, points: Array) -> NDArray[np.float64]:
        """(k, 2) pixels of points in the world."""
        seen = (points - self._centre) @ self._view.T
        depth = np.maximum(_FILL * self._size_m - seen[:, 2], 0.1 * self._size_m)
        scale = HEIGHT * _FILL / depth
        return np.stack([0.5 * WIDTH + scale * seen[:, 0], 0.5 * HEIGHT - scale * seen[:, 1]], axis=1)

    def _draw_ground(self, pen: Any) -> None:
        """Lines on the ground, fixed to the world so that a moving base is seen to move."""
        step = self._size_m / 2
        middle = np.round(self._centre[:2] / step) * step
        for k in range(-3, 4):
            for along in (0, 1):
                ends = np.zeros((2, 3))
                ends[:, along] = middle[along] + np.array([-3.0, 3.0]) * step
                ends[:, 1 - along] = middle[1 - along] + k * step
                pen.line([tuple(end) for end in self._project(ends)], fill=_GROUND)
