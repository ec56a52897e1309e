"""Train a residual in the twin: what a small network adds to the best law so far, bounded, and silent out of its range.

It learns by reinforcement (PPO, SAC or TQC of stable-baselines3), in robots drawn from the twin's posterior, with less
of the fault, with later commands and other gains among them. What it brings is a law like any other: it races, meets
the same gates, and a person decides. It takes hundreds of rollouts, so it is asked when others leave much.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from controllers.artefact import Artefact
from controllers.controller import Controller
from controllers.params import Value
from core.clock import Clock, SystemClock
from core.errors import BadInput, RobotFault
from patcher.propose.base import Proposal, Situation, values_before, weights_proposal
from patcher.rl.cuts import cut_runs
from patcher.rl.plan import Plan, make_training, plan_for
from patcher.rl.process import can_train, train_apart
from patcher.rl.study import study
from patcher.rl.trainer import Progress, Trained
from patcher.spent import Spent
from sim.evidence import draw_scenarios
from sim.workers.base import Workers

LEAST = 200  # rollouts below which nobody is trained
STUDY_FROM = 2000  # rollouts from which on settings are searched too; chosen
WORTH = 0.97  # score in the check scenarios that a residual has to reach; chosen
_CUTS = 6  # runs in which the residual is cut at random ticks
_KEPT_BACK = 20  # rollouts for the cuts and for what the last segment takes on top
_log = logging.getLogger(__name__)


class Rl:
    """Proposes the best law so far with a trained residual.

    Args:
        plan: of the training; by default one for the budget.
        folder: where trainings leave checkpoints and records, each in a folder named by its hash; None keeps nothing.
        limit_s: wall time of a training; a study has several.
    """

    name = "rl"
    least = LEAST

    def __init__(
        self,
        plan: Plan | None = None,
        folder: Path | None = None,
        limit_s: float = 600.0,
        clock: Clock | None = None,
    ) -> None:
        self.plan, self.folder, self.limit_s = plan, folder, limit_s
        self._clock = clock or SystemClock()
        self.spent = Spent()  # for the last incident
        self.course: tuple[Progress, ...] = ()  # of the last training

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        self.spent, self.course = Spent(), ()
        if situation.budget < LEAST or not can_train():
            return []
        base, before = _base(situation)
        plan = replace(self.plan or plan_for(situation.budget - _KEPT_BACK), seed=situation.seed)
        began_ns = self._clock.monotonic_ns()

        def train(
            chosen: Plan, report: Callable[[Progress], None] | None = None, stop: Callable[[], bool] | None = None
        ) -> Trained:
            training = make_training(situation.twin, base, chosen, situation.seed + 11)
            folder = None if self.folder is None else self.folder / training.sha256[:16]
            return train_apart(training, folder, report=report, stop=stop, limit_s=self.limit_s)

        try:
            if situation.budget >= STUDY_FROM:
                studied = study(plan, train)
                plan, trained = studied.plan, replace(studied.trained, rollouts=studied.rollouts)
            else:
                trained = train(plan)
        except (BadInput, RobotFault) as error:  # too few rollouts, too large a law, or a process that died
            _log.warning("rl: %s", error)
            return []
        self.course = trained.course
        workers.charge(trained.rollouts)
        seconds = (self._clock.monotonic_ns() - began_ns) * 1e-9
        self.spent = Spent(seconds=max(0.0, seconds))
        if trained.law is None or not trained.score < WORTH:
            return []
        if not _survives_cuts(situation, workers, base, trained.law):
            _log.warning("rl: a run with the residual cut leaves the limits; the policy is not proposed")
            return []
        m = len(situation.twin.robot.actuators)
        neutral: dict[str, Value] = {**before, "net_authority": [0.0] * m}
        said = _said(situation, plan, trained)
        found = weights_proposal(situation, self.name, trained.law, neutral, said, trained.rollouts + 2 * _CUTS)
        return [found] if found else []


def _base(situation: Situation) -> tuple[Artefact, dict[str, Value]]:
    """The best law so far, and what its changed parameters were; what a model wrote is left to run confined."""
    for each in situation.tried:
        candidate = each.proposal.candidate
        if each.dropped or each.score >= 1.0 or candidate.kind == "weights" or candidate.proposer == "llm":
            continue
        law = Controller.from_artefact(each.proposal.artefact, situation.twin.robot.ports)
        if law.manifest.weights:
            continue
        return each.proposal.artefact, values_before(candidate, law)
    return situation.incumbent, {}


def _survives_cuts(situation: Situation, workers: Workers, base: Artefact, law: Artefact) -> bool:
    """Whether the law stays inside its limits with the residual cut at random, wherever the law under it does."""
    robot = situation.twin.robot
    scenarios = draw_scenarios(situation.twin, _CUTS, situation.seed + 17)
    alone = workers.judge([(base, scenario) for scenario in scenarios])
    workers.charge(_CUTS)
    runs = cut_runs(robot, law, scenarios, situation.seed)
    return all(run.limit_broken <= own.limit_broken for run, own in zip(runs, alone, strict=True))


def _said(situation: Situation, plan: Plan, trained: Trained) -> str:
    """How it was trained, what bounds it, and how fast it may change."""
    law, robot = trained.law, situation.twin.robot
    assert law is not None
    controller = Controller.from_artefact(law, robot.ports)
    authority = controller.params["net_authority"]
    assert isinstance(authority, list)
    most = ", ".join(f"{value:.3g}" for value in authority)
    steepest = lipschitz(law)
    return (
        f"A residual trained in the twin with {plan.algorithm.upper()} ({' x '.join(map(str, plan.hidden))}, seed "
        f"{plan.seed}, {trained.rollouts} rollouts) adds at most {most} {robot.command_unit} to the command. For a "
        f"change of one standard deviation of its inputs it changes by at most {steepest:.2g} of that, and it fades "
        f"outside of its training. Runs with it cut at random ticks stayed inside the limits."
    )


def lipschitz(law: Artefact) -> float:
    """Upper bound of |change of the answer| / |change of the scaled inputs|: product of the layers' spectral norms."""
    arrays = load(law.files["weights.safetensors"])
    count = sum(1 for name in arrays if name.startswith("net_w"))
    return float(np.prod([np.linalg.norm(arrays[f"net_w{k}"].astype(float), 2) for k in range(1, count + 1)]))
