"""What validation and search need of workers, wherever they run: the same jobs give the same bits."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from controllers.artefact import Artefact
from controllers.controller import Controller
from controllers.library import find_law
from core.errors import BadInput, Refused, RobotFault
from core.metrics import Array
from core.robot import Robot
from sim.judge import Judgement
from sim.scenario import Scenario
from sim.workers.answer import Rolled
from sim.workers.forgery import Forged, Forgery
from sim.workers.job import Job
from sim.workers.layers import Layers
from sim.workers.outcome import Lost, Reason
from sim.workers.progress import Progress
from sim.workers.reruns import RerunJob

Pair = tuple[Artefact, Scenario]
Answer = tuple[Rolled, ...] | Lost
MOST_TOGETHER = 8  # scenarios of a job: a lost job loses no more, and its worlds are warm
_AGAIN = (Reason.KILLED, Reason.MACHINE, Reason.EXCHANGE)  # a law may be late because the machine is busy


class Workers(Protocol):
    """Runs controllers in scenarios. Use as a context manager.

    `run` gives everything and lets a caller live with a lost job; `judge` is for callers that need every judgement.
    """

    robot: Robot
    rollouts: int  # asked for so far; the only door to simulation keeps the count
    progress: Progress  # done so far, and whether it is still wanted

    @property
    @abstractmethod
    def count(self) -> int:
        """How many jobs run at a time."""

    @abstractmethod
    def warm_up(self) -> None:
        """Start what takes a while, without waiting for it."""

    @abstractmethod
    def layers(self) -> Layers:
        """What stands between a controller and this machine."""

    @abstractmethod
    def close(self) -> None:
        """End all processes."""

    @abstractmethod
    def _run(self, jobs: Sequence[Job]) -> list[Answer]:
        """The answer to each job, in their order."""

    @abstractmethod
    def rerun(self, jobs: Sequence[RerunJob]) -> list[tuple[Array, ...] | Lost]:
        """What a law says to what it was shown in some rollouts, in processes that are told nothing else."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, jobs: Sequence[Job]) -> list[Answer]:
        """The rollouts of each job, or why there are none, in the order of `jobs`.

        Raises:
            Refused: a job's law is new, and this machine lacks the layers to run a new law behind.
            RobotFault: no worker starts at all.
            Cancelled: nobody wants them any more.
        """
        self.progress.check()
        for job in jobs:
            self._require_walls(job.artefact)
        self.rollouts += sum(len(job.scenarios) for job in jobs)
        return self._run(jobs)

    def charge(self, rollouts: int) -> None:
        """Count rollouts that somebody else has simulated, in the twin and for the same budget."""
        self.rollouts += rollouts
        self.progress.add(rollouts)
        self.progress.check()

    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """Judge every (controller, scenario) pair, as `roll` does."""
        return [rolled.judgement for rolled in self.roll(pairs)]

    def roll(self, pairs: Sequence[Pair], lockstep: Artefact | None = None) -> list[Rolled]:
        """Roll out every (controller, scenario) pair. A job that is lost by no doing of its own is asked once more.

        Args:
            lockstep: the controller whose runs decide something. Its law gets a process apart from plant and score, so
                that what is told of these runs is no claim.

        Raises:
            BadInput: a controller is no law, or a scenario cannot be had.
            Forged: the process of `lockstep` did not keep to the exchange.
            Refused: a law is new, and this machine lacks the layers to run a new law behind.
            RobotFault: a job was lost; what is missing in evidence cannot be made up for.
        """
        groups = together(pairs, self.count)
        apart = lockstep.sha256 if lockstep is not None else ""
        jobs = [self._job(pairs[group[0]][0], [pairs[k][1] for k in group], apart) for group in groups]
        answers = self.run(jobs)
        again = [k for k, answer in enumerate(answers) if isinstance(answer, Lost) and answer.reason in _AGAIN]
        for k, answer in zip(again, self._run([jobs[k] for k in again]), strict=True):
            answers[k] = answer
        found: dict[int, Rolled] = {}
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, Lost):
                raise self._complaint(*pairs[group[0]], answer)
            found |= dict(zip(group, answer, strict=True))
        return [found[k] for k in range(len(pairs))]

    def _job(self, artefact: Artefact, scenarios: Sequence[Scenario], apart: str) -> Job:
        lockstep = bool(apart) and artefact.sha256 == apart
        return Job(robot=self.robot, artefact=artefact, scenarios=tuple(scenarios), lockstep=lockstep)

    def _require_walls(self, artefact: Artefact) -> None:
        """Refuse a new law where a door of this machine is open."""
        doors = self.layers().open_doors
        if not doors:
            return
        own = (find_law(self.robot, name) for name in (self.robot.controller, self.robot.safety_controller))
        if not any(_same_program(artefact, law) for law in own):
            raise Refused(
                f"{artefact.name} is a new law, and on this machine nothing would keep its process from these: "
                f"{', '.join(doors)}; 'remend doctor' says what is missing"
            )

    def _complaint(self, artefact: Artefact, scenario: Scenario, lost: Lost) -> Exception:
        """What to raise for a lost job; what a worker says is not believed where it can be found out."""
        if lost.reason is Reason.INPUT:
            return BadInput(lost.what)
        try:
            Controller.from_artefact(artefact, self.robot.ports)
        except BadInput as error:
            return error
        if lost.reason is Reason.EXCHANGE:
            return Forged(Forgery(scenario=scenario, what=f"its law did not keep to the exchange: {lost.what}"))
        return RobotFault(
            f"{artefact.name}: its simulation was lost ({lost.reason}: {lost.what}); evidence has a hole, start again"
        )


def _same_program(one: Artefact, other: Artefact) -> bool:
    """Whether two controllers differ in their parameters at most."""
    return all(one.files.get(name) == other.files.get(name) for name in {*one.files, *other.files} - {"params.toml"})


def together(pairs: Sequence[Pair], count: int) -> list[list[int]]:
    """Indices of `pairs` in groups that make one job each: one controller, and scenarios that follow each other.

    Controllers that alternate over the same scenarios get jobs that follow each other, so that a zygote has the worlds.
    """
    most = max(1, min(MOST_TOGETHER, math.ceil(len(pairs) / (2 * count))))
    groups: list[list[int]] = []
    open_: dict[str, list[int]] = {}
    names: dict[int, str] = {}  # by identity: a hash of weights takes time
    for k, (artefact, _) in enumerate(pairs):
        name = names.setdefault(id(artefact), artefact.sha256)
        group = open_.get(name)
        if group is None or len(group) == most:
            group = open_[name] = []
            groups.append(group)
        group.append(k)
    return groups
