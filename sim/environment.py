"""A robot as a gymnasium environment: track a task, with or without a fault, on the nominal robot or a hidden one.

Action: (m,) in [-1, 1], float32, linear over the command range of each actuator. With `residual=r` it is added to the
command of the robot's nominal law, where 1 stands for the share r of half that range.

Observation: (5 n + 2 m,) float32, what the robot can say and what it is asked to do, never the truth:

    n  q        measured position [rad or m]        n  qd_ref   [rad/s or m/s]
    n  qd       measured velocity [rad/s or m/s]    n  qdd_ref  [rad/s^2 or m/s^2]
    m  effort   measured [N*m or N]                 m  the last action, 0 at the start
    n  q_ref    reference of this tick [rad or m]

Reward of a tick, from the true state after it: -(error_weight * e + effort_price * u), where e is the root mean square
over the tracked coordinates of error / `lost_error` (1 = lost, and never more) and u the mean over the drives of
(effort / limit)^2. A robot that is lost pays 1 for e and for u in every tick that it did not live to see: giving up
never pays.

Start: at rest, somewhere in the task space. Terminated: a tracked coordinate is further off its reference than
`lost_error`, or the simulation has diverged. Truncated: the task is over.

Version history: v0, the first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray

from controllers.library import find_law
from controllers.runtime import Runtime
from core.errors import BadInput
from core.frames import Reference
from core.rigid_body import Array
from core.robot import Robot
from sim.catalogue import find_robot
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.plant import Plant
from sim.rollout import make_runtime
from sim.sketch import Sketch
from sim.tally import Tally
from sim.tasks.catalogue import draw_task, require_task

Observation = NDArray[np.float32]
Action = NDArray[np.float32]

_OPTIONS = ("fault", "task")


class RobotEnvironment(gymnasium.Env[Observation, Action]):
    """One simulated robot; the module's docstring has the spaces and the reward.

    `info` holds the metrics of the episode so far (`sim.tally`), `lost`, `task`, `action` (what became of the command:
    `raw`, `limited`, `delayed`, `applied`, (m,) each) and `fault` (`label` of what is in force now, and `severity`).
    Metrics and fault are the truth, so that a learner can be scored; a controller must not read them.

    Args:
        robot: name in the catalogue, or path of a robot.toml.
        task: one of the robot's kinds of task, or of an installed package; None draws one of the robot's per episode.
        fault: in the notation of `sim.faults.notation`; without `onset=` it is in force from the start.
        physics: "nominal", as the data sheet says, or "hidden", a robot off the production line.
        robot_seed: which of the hidden robots.
        duration_s: length of a task [s].
        control_rate_hz: rate of the actions; the robot's own by default.
        physics_rate_hz: rate of the nominal simulation, a whole multiple of the control rate.
        residual: share of the command range that the action may add to the nominal law; None: no law, the action alone.
        error_weight: of the tracking error in the reward.
        effort_price: of the drives' effort in the reward.
        render_mode: None, or "rgb_array" for a stick figure.

    Raises:
        BadInput: an argument is not right.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 500}  # noqa: RUF012 gymnasium's own type

    def __init__(
        self,
        robot: str | os.PathLike[str],
        *,
        task: str | None = None,
        fault: str = "none",
        physics: str = "nominal",
        robot_seed: int = 0,
        duration_s: float = 4.0,
        control_rate_hz: int | None = None,
        physics_rate_hz: int | None = None,
        residual: float | None = None,
        error_weight: float = 1.0,
        effort_price: float = 0.01,
        render_mode: str | None = None,
    ) -> None:
        self.robot = _at_rates(find_robot(robot), control_rate_hz, physics_rate_hz)
        if physics not in ("nominal", "hidden"):
            raise BadInput(f"physics must be nominal or hidden, not '{physics}'")
        if residual is not None and not 0.0 < residual <= 1.0:
            raise BadInput(f"residual must be a share of the command range above 0 and up to 1, not {residual}")
        if not duration_s * self.robot.control_rate_hz >= 2:
            raise BadInput(f"duration_s must be at least two control periods, not {duration_s}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise BadInput(f"render_mode must be None or rgb_array, not '{render_mode}'")
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": self.robot.control_rate_hz}
        self._task, self._fault, self._duration_s, self._residual = task, fault, duration_s, residual
        self._error_weight, self._effort_price = error_weight, effort_price
        n, m, limits = self.robot.dof, len(self.robot.actuators), self.robot.limits
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (m,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (5 * n + 2 * m,), np.float32)
        self._middle = 0.5 * (np.array(limits.effort_low) + limits.effort_high)
        self._half = 0.5 * (np.array(limits.effort_high) - limits.effort_low)
        self._effort_limit, self._tracked = np.array(limits.effort), list(self.robot.tracked)
        self._lost_error = np.array(self.robot.lost_error)[self._tracked]
        self._law = None if residual is None else find_law(self.robot, self.robot.controller)
        parse_faults(fault, self.robot)  # complain here, not in the first episode
        if task is not None:
            require_task(self.robot, task)
        made_of = nominal_physics(self.robot) if physics == "nominal" else hidden_physics(self.robot, robot_seed)
        self._plant: Plant | None = open_plant(self.robot, made_of, FaultCourse(), seed=0)
        self._sketch = Sketch(self.robot) if render_mode else None
        self._references: list[Reference] = []

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A new episode; the same bits for the same seed. `options` may name another `fault` or `task` for it.

        Raises:
            BadInput: an option is not known, or not right.
        """
        super().reset(seed=seed)
        options = options or {}
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise BadInput(f"reset: there is no option '{unknown[0]}'; use {' or '.join(_OPTIONS)}")
        robot, plant, rng = self.robot, self._open_plant(), self.np_random
        self._course = FaultCourse(faults=parse_faults(options.get("fault") or self._fault, robot))
        kind = options.get("task") or self._task or str(rng.choice(robot.tasks.kinds))
        require_task(robot, kind)
        task = draw_task(robot, kind, rng.uniform(robot.tasks.low, robot.tasks.high), self._duration_s, rng)
        plant.restart(self._course, seed=int(rng.integers(2**31)))
        plant.reset(task.q[0])
        self._asked, self._references, self._tick = task, task.references(), 0
        self._runtime: Runtime | None = None if self._law is None else make_runtime(robot, self._law)
        self._tally = Tally(robot)
        self._last = np.zeros(len(robot.actuators))
        self._frame, self._stages = plant.measure(), plant.stages
        self._note_state()
        return self._observe(), self._info()

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One control period under `action` (m,)."""
        if self._tick + 1 >= len(self._references):
            raise RuntimeError("the episode is over; call reset")
        plant = self._open_plant()
        asked = np.asarray(action, dtype=float)
        if asked.shape != self._last.shape or not np.isfinite(asked).all():
            raise BadInput(
                f"{self.robot.name}: an action is {len(self._last)} finite numbers from -1 to 1, not "
                f"{np.array2string(asked, precision=3, threshold=8)}; check what the policy returns"
            )
        self._last = np.clip(asked, -1.0, 1.0)
        error, effort, lost = 1.0, 1.0, True  # of a robot that has come apart
        try:
            plant.apply(self._command())
        except FloatingPointError:
            self._tick += 1
        else:
            self._tick += 1
            self._frame, self._stages = plant.measure(), plant.stages
            applied = np.array(self._stages.applied)
            self._tally.add_command(np.array(self._stages.limited), applied)
            load = applied / self._effort_limit
            effort = float(load @ load) / len(load)
            error, lost = self._note_state()
        left = len(self._references) - 1 - self._tick
        reward = -(self._error_weight * error + self._effort_price * effort)
        if lost:
            reward -= (self._error_weight + self._effort_price) * left
            self._references = self._references[: self._tick + 1]  # nothing comes after
        return self._observe(), reward, lost, not lost and left == 0, self._info(lost)

    def render(self) -> NDArray[np.uint8] | None:
        """(H, W, 3) picture of the robot as it is, and pale as it should be; None without a render mode."""
        if self._sketch is None:
            return None
        q, _ = self._open_plant().true_state()
        return self._sketch.draw(q, self._asked.q[self._tick])

    def close(self) -> None:
        """Release the simulated world. May be called twice."""
        if self._plant is not None:
            self._plant.close()
            self._plant = None

    def _open_plant(self) -> Plant:
        if self._plant is None:
            raise RuntimeError("the environment is closed; make a new one")
        return self._plant

    def _command(self) -> list[float]:
        """(m,) what is sent to the robot in this tick."""
        if self._runtime is None or self._residual is None:
            return cast(list[float], (self._middle + self._half * self._last).tolist())
        frame, reference = self._frame, self._references[self._tick]
        law = self._runtime.tick(frame, reference, frame.stamp_ns).tau
        return cast(list[float], (np.array(law) + self._residual * self._half * self._last).tolist())

    def _note_state(self) -> tuple[float, bool]:
        """Enter the true state of this tick into the tally; the reward's error, and whether the robot is lost."""
        q, v = self._open_plant().true_state()
        error = (self._asked.q[self._tick] - q)[self._tracked]
        self._tally.add_state(q, v, error)
        share: Array = np.abs(error) / self._lost_error
        return min(math.sqrt(float(share @ share) / len(share)), 1.0), not bool((share < 1.0).all())

    def _observe(self) -> Observation:
        frame, reference = self._frame, self._references[self._tick]
        said = [*frame.q, *frame.qd, *frame.tau_meas]
        return np.array([*said, *reference.q_ref, *reference.qd_ref, *reference.qdd_ref, *self._last], np.float32)

    def _info(self, lost: bool = False) -> dict[str, Any]:
        stages, t_s = self._stages, self._tick * self.robot.dt_s
        severities = {f.spec: f.severity_at(t_s - self._course.begins_s(f)) for f in self._course.faults}
        in_force = [spec for spec, severity in severities.items() if severity > 0]
        return {
            **self._tally.metrics(),
            "lost": lost,
            "task": self._asked.kind,
            "fault": {"label": "+".join(in_force) or "none", "severity": max(severities.values(), default=0.0)},
            "action": {
                "raw": np.array(stages.raw),
                "limited": np.array(stages.limited),
                "delayed": np.array(stages.delayed),
                "applied": np.array(stages.applied),
            },
        }


def _at_rates(robot: Robot, control_rate_hz: int | None, physics_rate_hz: int | None) -> Robot:
    """`robot` with other clocks; a control rate alone keeps the physics rate where it divides it."""
    control = control_rate_hz or robot.control_rate_hz
    physics = physics_rate_hz or (robot.physics_rate_hz if robot.physics_rate_hz % control == 0 else 0)
    if control < 1 or physics < control or physics % control:
        raise BadInput(f"physics_rate_hz must be a whole multiple of the control rate, {control} Hz; give one that is")
    return replace(robot, control_rate_hz=control, physics_rate_hz=physics)
