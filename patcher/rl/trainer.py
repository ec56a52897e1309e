"""Trains a residual in the twin: from zero, in segments that each leave a checkpoint, to the best policy of them all.

A segment starts from fresh episodes and random numbers of its own, so a training that was killed and resumed has the
bits of one that was not. After each segment the law itself, as it would be proposed, meets the check scenarios; the
best one is kept, and a policy whose numbers are no longer finite ends the training with what was best before.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from controllers.artefact import Artefact
from core.clock import Clock, SystemClock
from core.durable import write_atomically
from core.errors import BadInput
from core.metrics import Array
from patcher.rl.curriculum import weights_at
from patcher.rl.plan import ENVIRONMENTS, Training
from patcher.rl.residual import STATES, TINY, WIDE, Ranges, Residual, first_layers, residual_law, unscaled
from patcher.score import LOST, score
from sim.judge import Judgement, judge, judge_trace
from sim.practice import Practice
from sim.rollout import rollout

Layers = Sequence[tuple[Array, Array]]
Report = Callable[["Progress"], None]
CHECKPOINT, RECORD, ABOUT = "checkpoint.pt", "progress.jsonl", "about.json"
_LOOKS = 6  # rollouts that tell how large the inputs are
_ROOM = 0.5  # standard deviations beyond what was seen that still count as trained
_RARE = 0.001  # share of what was seen on each side that is left out of the range
_LEAST_SPREAD = 1e-3  # of an input in its own unit; one that never changes is left as soon as it does
_LAST_RATE = 0.1  # of the rate of learning, towards which it falls: late steps that are large undo what was learnt
_FLOOR = 0.2  # of the squared error under the whole fault: where less is lost, errors count by this; chosen
_NEEDED = 0.99  # quantile of it
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.3  # of half the command range that a policy may have as its authority; chosen
_REVERSING = 0.1  # of the typical speed of a reference: below it, its sign is about to change; chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a training stands after a segment."""

    segment: int  # from 1
    segments: int
    rollouts: int  # simulated so far, checks included
    reward: float  # mean of the episodes of this segment; 0 is the law without the residual
    score: float  # of the policy in the check scenarios, 1 is the law without it, lower is better
    best: float
    severity: float  # largest that was practised
    wall_s: float  # since this process began
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of a training."""

    law: Artefact | None  # None: nothing was better than the law under it
    score: float
    rollouts: int
    course: tuple[Progress, ...]
    finished: bool  # False: it was stopped


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What a training has found so far; plain numbers, so that it can be kept as text."""

    segment: int = 0
    spent: float = 0.0  # rollouts of practice
    best: float = 1.0
    layers: list[list[Any]] | None = None  # of the best policy
    low: list[float] | None = None  # of the scaled inputs that practice has visited
    high: list[float] | None = None
    course: list[dict[str, Any]] = field(default_factory=list)

    def visit(self, rows: Array) -> None:
        """More inputs, (N, d)."""
        low, high = np.quantile(rows, [_RARE, 1.0 - _RARE], axis=0)
        self.low = low.tolist() if self.low is None else np.minimum(self.low, low).tolist()
        self.high = high.tolist() if self.high is None else np.maximum(self.high, high).tolist()

    def ranges(self, ranges: Ranges) -> Ranges:
        """The ranges with what was visited, and some room around it."""
        return replace(ranges, low=np.array(self.low) - _ROOM, high=np.array(self.high) + _ROOM)


class Trainer:
    """One training.

    Args:
        training: what to train.
        folder: for checkpoints and the record; None keeps nothing.
        report: told after each segment; the same goes to `progress.jsonl` line by line.
        stop: asked before each segment whether to end.
        tensorboard: folder for TensorBoard's files.
    """

    def __init__(
        self,
        training: Training,
        folder: Path | None = None,
        *,
        report: Report | None = None,
        stop: Callable[[], bool] | None = None,
        tensorboard: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.training, self.folder = training, folder
        self._report, self._stop = report or (lambda _: None), stop or (lambda: False)
        self._tensorboard, self._clock = tensorboard, clock or SystemClock()
        self._began_ns = self._clock.monotonic_ns()
        robot, plan = training.robot, training.plan
        self.hold = max(1, round(plan.hold_s * robot.control_rate_hz))
        self.pace = 1.0 - float(np.exp(-robot.dt_s / plan.pace_s)) if plan.pace_s > 0 else 1.0
        self.authority: Array = 0.5 * (np.array(robot.limits.effort_high) - robot.limits.effort_low)
        self._before: list[Judgement] = []
        self._base = 0.0  # rollouts of the law under the policy

    def run(self) -> Trained:
        """Train, or go on where an earlier process was killed.

        Raises:
            BadInput: too few rollouts, or the folder holds another training.
        """
        from patcher.rl.learner import Learner  # noqa: PLC0415 needs the extra `rl`

        training, plan = self.training, self.training.plan
        self._open_record()
        ranges = self._look()
        self._before = self._measure_authority()
        law = self._law(first_layers(training.robot, plan.hidden, np.random.default_rng(plan.seed)), ranges)
        pool, groups = (
            training.pool,
            [range(k, len(training.pool.scenarios), ENVIRONMENTS) for k in range(ENVIRONMENTS)],
        )
        envs = [Practice(training.robot, law, [pool.scenarios[i] for i in own], self.hold, STATES) for own in groups]
        learner = Learner(plan, envs, self._logger())
        try:
            runs = [[env.before(k).square for k in range(len(env.scenarios))] for env in envs]
            self._base += sum(len(square) for own in runs for square in own) / training.run_ticks
            whole = [
                float(square.mean())
                for own, squares in zip(groups, runs, strict=True)
                for i, square in zip(own, squares, strict=True)
                if pool.severities[i] == 1.0
            ]
            for env in envs:
                env.floor = _FLOOR * float(np.median(whole))
            playlists = [
                ([pool.severities[i] for i in own], [float(square.mean()) for square in squares])
                for own, squares in zip(groups, runs, strict=True)
            ]
            return self._practise(learner, envs, playlists, ranges)
        finally:
            learner.close()

    def _practise(
        self, learner: Any, envs: list[Practice], playlists: list[tuple[list[float], list[float]]], ranges: Ranges
    ) -> Trained:
        plan, standing = self.training.plan, self._resumed(learner)
        actions = self._actions()
        finished = True
        for segment in range(standing.segment + 1, plan.checks + 1):
            if self._stop():
                finished = False
                break
            severity = 0.0
            for env, (severities, losses) in zip(envs, playlists, strict=True):
                env.weights, largest = weights_at(plan, severities, losses, (segment - 1) / plan.checks)
                severity = max(severity, largest)
                env.scored.clear()
                env.visited.clear()
                env.ticks = 0
            rate = plan.learning_rate * (1.0 - (1.0 - _LAST_RATE) * (segment - 1) / plan.checks)
            learner.learn(actions, plan.seed + 1000 * segment, rate)
            standing.segment = segment
            standing.spent += sum(env.ticks for env in envs) / self.training.run_ticks
            value, note = self._weigh(learner, envs, standing, ranges)
            rewards = [reward for env in envs for _, reward in env.scored]
            progress = Progress(
                segment=segment,
                segments=plan.checks,
                rollouts=self._rollouts(standing),
                reward=float(np.mean(rewards)) if rewards else 0.0,
                score=value,
                best=standing.best,
                severity=severity,
                wall_s=round((self._clock.monotonic_ns() - self._began_ns) * 1e-9, 1),
                note=note,
            )
            standing.course.append(asdict(progress))
            if not note:
                self._save(learner.state(json.dumps(asdict(standing))))
            self._note(progress)
            if note:
                break
        law = None
        if standing.layers is not None:
            layers = [(np.array(weight), np.array(bias)) for weight, bias in standing.layers]
            law = self._law(layers, standing.ranges(ranges))
        return Trained(
            law=law,
            score=standing.best,
            rollouts=self._rollouts(standing),
            course=tuple(Progress(**line) for line in standing.course),
            finished=finished,
        )

    def _weigh(self, learner: Any, envs: list[Practice], standing: _Standing, ranges: Ranges) -> tuple[float, str]:
        """Score of the present policy as the law that would be proposed; the best one is kept."""
        if not learner.is_finite():
            return LOST, "its weights are no longer finite; what was best before counts"
        layers = learner.layers()
        standing.visit(np.array([row for env in envs for row in env.visited]))
        law = self._law(layers, standing.ranges(ranges))
        robot, checks = self.training.robot, self.training.checks
        value = float(np.mean([score(judge(robot, law, s), b) for s, b in zip(checks, self._before, strict=True)]))
        if value < standing.best:
            standing.best = value
            standing.layers = [[weight.tolist(), bias.tolist()] for weight, bias in layers]
        return value, ""

    def _actions(self) -> int:
        """Actions of a segment that the rollouts allow."""
        plan = self.training.plan
        left = plan.rollouts - self._base - plan.checks * len(self.training.checks)
        actions = int(left * self.training.run_ticks / self.hold / plan.checks)
        if actions < 2 * ENVIRONMENTS:
            least = round(self._base + plan.checks * (len(self.training.checks) + 2))
            raise BadInput(f"{plan.rollouts} rollouts are too few to train with; give at least {least}")
        return actions

    def _rollouts(self, standing: _Standing) -> int:
        """Simulated so far, checks included."""
        return round(self._base + standing.spent + standing.segment * len(self.training.checks))

    def _law(self, layers: Layers, ranges: Ranges) -> Artefact:
        plan = self.training.plan
        size = " x ".join(map(str, plan.hidden))
        residual = Residual(
            layers=layers,
            ranges=ranges,
            authority=self.authority,
            hold=self.hold,
            pace=self.pace,
            squash=plan.algorithm != "ppo",
            trained=f"{plan.algorithm.upper()}, {size}, trained in the twin with seed {plan.seed}",
        )
        return residual_law(self.training.base, self.training.robot, residual)

    def _look(self) -> Ranges:
        """How large the inputs are while the law runs without a residual."""
        training = self.training
        robot, n, m = training.robot, training.robot.dof, len(training.robot.actuators)
        law = self._law(first_layers(robot, training.plan.hidden, np.random.default_rng(0)), unscaled(robot))
        faulty = [s for s, share in zip(training.pool.scenarios, training.pool.severities, strict=True) if share == 1.0]
        env = Practice(robot, law, faulty[:_LOOKS], self.hold, STATES)
        rows: list[Any] = []
        for which in range(len(env.scenarios)):
            env.reset(seed=which, options={"which": which})
            over = False
            while not over:
                seen, _, lost, ended, _ = env.step(np.zeros(m, np.float32))
                rows.append(seen)
                over = lost or ended
        self._base += env.ticks / training.run_ticks
        env.close()
        raw = np.array(rows, float) / TINY
        mean, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), _LEAST_SPREAD)
        step = np.zeros(n)
        for i in range(n):
            speed = float(np.sqrt(np.mean(raw[:, 7 * i + 4] ** 2)))
            step[i] = 1.0 / (_REVERSING * speed) if speed > 0 else 0.0
            mean[7 * i + 6], spread[7 * i + 6] = 0.0, 1.0
        mean[7 * n + m :], spread[7 * n + m :] = 0.0, 1.0  # its own last answer
        wide = np.full(len(mean), WIDE)
        return Ranges(mean=mean, scale=1.0 / spread, low=-wide, high=wide, step=step)

    def _measure_authority(self) -> list[Judgement]:
        """Authority from what the fault makes the law command on top; the judgements of the law in the checks."""
        training, robot, half = self.training, self.training.robot, self.authority
        before, added = [], []
        for faulty, healthy in zip(training.checks, training.healthy, strict=True):
            runs = [rollout(robot, training.base, scenario) for scenario in (faulty, healthy)]
            ticks = min(len(run.command) for run in runs)
            added.append(np.abs(runs[0].command[:ticks] - runs[1].command[:ticks]))
            before.append(judge_trace(robot, runs[0]))
        self._base += 2 * len(training.checks)
        needed = np.quantile(np.concatenate(added), _NEEDED, axis=0)
        self.authority = np.clip(training.plan.authority * needed, _LEAST_SHARE * half, _MOST_SHARE * half)
        return before

    # what stays on disk

    def _open_record(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        about, file = self._about(), self.folder / ABOUT
        if file.exists() and json.loads(file.read_text()).get("training") != about["training"]:
            raise BadInput(f"{self.folder}: holds another training; give it a folder of its own")
        write_atomically(file, json.dumps(about, indent=2).encode())

    def _about(self) -> dict[str, Any]:
        training = self.training
        names = ("stable_baselines3", "sb3_contrib", "torch", "gymnasium", "numpy", "pybullet")
        return {
            "training": training.sha256,
            "robot": training.robot.name,
            "base": training.base.sha256,
            "plan": asdict(training.plan),
            "versions": {name: version(name) for name in names},
            "machine": platform.machine(),
        }

    def _resumed(self, learner: Any) -> _Standing:
        if self.folder is None or not (self.folder / CHECKPOINT).exists():
            return _Standing()
        standing = _Standing(**json.loads(learner.restore((self.folder / CHECKPOINT).read_bytes())))
        lines = [json.dumps(line) for line in standing.course]  # a line that was begun and not finished is dropped
        write_atomically(self.folder / RECORD, "".join(f"{line}\n" for line in lines).encode())
        return standing

    def _save(self, data: bytes) -> None:
        if self.folder is not None:
            write_atomically(self.folder / CHECKPOINT, data)

    def _note(self, progress: Progress) -> None:
        if self.folder is not None:
            with (self.folder / RECORD).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(progress)) + "\n")
        self._report(progress)

    def _logger(self) -> Any:
        """Stable-Baselines3's own default would leave a folder behind for each training."""
        from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat  # noqa: PLC0415

        formats = [] if self._tensorboard is None else [TensorBoardOutputFormat(str(self._tensorboard))]
        return Logger(folder=None, output_formats=list(formats))
