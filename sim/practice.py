"""Practice: a law with one free state drives a robot of the twin, and is paid for what that gains over the law alone.

Action: (m,) in [-1, 1], written into the law's state `target` for `hold` ticks. Observation: (d,), the law's state
`seen` after them. All lines between the two are the law's own, in the control loop that runs on the robot; so a trained
policy meets nothing new when the law runs by itself.

Reward of a tick, the law without the residual (`base`) having run the same scenario before:

    (e0^2 - e^2) / max(mean(e0^2), floor) - price (|du| - |du0|) / mean |du0|

where e is the true tracking error in the robot of the twin and u the command, and an action is paid the mean over its
ticks. A run that does nothing has the reward 0, and each action of one without any error 1. A robot that is lost, or a
command that the envelope replaced, ends the run and pays for it.

A policy that practises sees robots of the twin only; the robot that has the fault is nowhere in here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from controllers.artefact import Artefact
from core.frames import Reference
from core.metrics import Array
from core.robot import Robot
from sim.faults.course import FaultCourse
from sim.kinds import open_plant
from sim.plant import Plant
from sim.rollout import make_runtime
from sim.scenario import Scenario

CHATTER_PRICE = 0.25  # of a relative growth of the command's variation, as in the score of a search
_LOST = 20.0  # paid at once by who loses the robot; an action without any error is paid 1
_NEVER = 1e12  # ticks: the law's own network never answers in practice
_TINY = 1e-12
_WORST = -3.0  # reward of an action; a run that goes wrong teaches no more by going wrong further


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the law without its residual made of a scenario."""

    square: Array  # (N,) squared tracking error of each tick, mean over the tracked coordinates
    change: Array  # (N,) change of the command in each tick, summed over actuators
    reference: tuple[Reference, ...]
    start: Array  # (n,) position at rest


class Practice(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One environment over a few scenarios, each with a world of its own.

    Args:
        robot: model of the robot.
        law: artefact with the states `seen`, `target` and `wait`.
        scenarios: to draw episodes from.
        hold: ticks of one action.
        states: what the law calls the three.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 gymnasium's own type

    def __init__(
        self, robot: Robot, law: Artefact, scenarios: Sequence[Scenario], hold: int, states: Mapping[str, str]
    ) -> None:
        self.robot, self.law, self.scenarios, self.hold, self._states = robot, law, tuple(scenarios), hold, states
        m = len(robot.actuators)
        self._tracked, self._scale = list(robot.tracked), np.array(robot.tracking_scale)
        self._lost = np.array(robot.lost_error)[self._tracked]
        self._lower, self._upper = np.array(robot.limits.lower), np.array(robot.limits.upper)
        self._plants: dict[int, Plant] = {}
        self._before: dict[int, Before] = {}
        self.weights = np.ones(len(self.scenarios))  # how often each scenario is drawn
        self.floor = _TINY  # of mean(e0^2): where nothing is lost, a little more error is no catastrophe
        self.ticks = 0  # simulated so far
        self.visited: list[NDArray[np.float32]] = []  # what was seen, for whoever empties it
        self.scored: list[tuple[int, float]] = []  # scenario and mean reward of each finished episode
        self._runtime = make_runtime(robot, law)
        width = len(self._runtime.a.controller.states[states["seen"]])
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (m,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-10.0, 10.0, (width,), np.float32)

    def before(self, which: int) -> Before:
        """The law with its target at zero in a scenario; run once."""
        if which not in self._before:
            task = self.scenarios[which].task(self.robot)
            references = tuple(task.references())
            self._begin(which, references, task.q[0])
            squares, changes = [], []
            for _ in references:
                square, change, over = self._advance()
                squares.append(square)
                changes.append(change)
                if over:
                    break
            self._before[which] = Before(
                square=np.array(squares), change=np.array(changes), reference=references, start=task.q[0]
            )
        return self._before[which]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A new episode, in scenario `options["which"]` or one that is drawn."""
        super().reset(seed=seed)
        drawn = int(self.np_random.choice(len(self.scenarios), p=self.weights / self.weights.sum()))
        self.which = drawn if options is None else int(options["which"])
        before = self.before(self.which)
        ticks = len(before.square)
        self._gain = 1.0 / max(float(before.square.mean()), self.floor) / self.hold
        self._price = CHATTER_PRICE / max(float(before.change.mean()), _TINY) / self.hold
        self._begin(self.which, before.reference[:ticks], before.start)
        self._total = 0.0
        self._advance()
        return self.seen(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """`hold` ticks, fewer at the end of the task."""
        self._target[:] = np.clip(np.asarray(action, dtype=float), -1.0, 1.0).tolist()
        before, reward, over = self._before[self.which], 0.0, False
        for _ in range(min(self.hold, len(self._references) - self._tick)):
            at = self._tick
            square, change, over = self._advance()
            reward += self._gain * (before.square[at] - square) - self._price * (change - before.change[at])
            if over:
                break
        reward = max(reward, _WORST) - (_LOST if over else 0.0)
        ended = self._tick >= len(self._references)
        self._total += reward
        self.visited.append(self.seen())
        if over or ended:
            self.scored.append((self.which, self._total * self.hold / len(before.square)))
        return self.visited[-1], reward, over, ended and not over, {"total": self._total}

    def seen(self) -> NDArray[np.float32]:
        """(d,) what the policy sees now."""
        return np.nan_to_num(np.array(self._seen, np.float32), nan=0.0, posinf=10.0, neginf=-10.0)

    def close(self) -> None:
        """Release all worlds."""
        for plant in self._plants.values():
            plant.close()
        self._plants.clear()

    def _begin(self, which: int, references: Sequence[Reference], start: Array) -> None:
        scenario = self.scenarios[which]
        plant = self._plants.get(which)
        if plant is None:
            plant = self._plants[which] = open_plant(self.robot, scenario.physics, FaultCourse(), seed=0)
        plant.restart(FaultCourse.constant(scenario.effect), scenario.noise_seed)
        plant.reset(start)
        self._plant, self._references, self._tick = plant, references, 0
        self._runtime = make_runtime(self.robot, self.law)
        states = self._runtime.a.controller.states
        self._seen, self._target = states[self._states["seen"]], states[self._states["target"]]
        states[self._states["wait"]][0] = _NEVER
        self._last: Array | None = None

    def _advance(self) -> tuple[float, float, bool]:
        """One tick: squared error, change of the command, and whether the run is lost."""
        plant, reference = self._plant, self._references[self._tick]
        frame = plant.measure()
        q = plant.true_state()[0]
        error = (np.array(reference.q_ref) - q)[self._tracked]
        command = self._runtime.tick(frame, reference, frame.stamp_ns)
        self._tick += 1
        self.ticks += 1
        tau = np.array(command.tau)
        change = 0.0 if self._last is None else float(np.abs(tau - self._last).sum())
        self._last = tau
        scaled = error / self._scale
        square = float(scaled @ scaled) / len(scaled)
        over = command.source == "safety" or not bool((np.abs(error) < self._lost).all())
        over = over or bool((q < self._lower).any() or (q > self._upper).any())
        try:
            plant.apply(command.tau)
        except FloatingPointError:
            return square, change, True
        return square, change, over
