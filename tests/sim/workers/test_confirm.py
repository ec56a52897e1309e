"""No claim about a controller is believed that three processes do not agree on to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import artefact_from_files, with_params
from controllers.library import find_law
from core.frames import Frame
from sim.catalogue import find_robot, shipped_robots
from sim.replay import replay
from sim.rollout import rollout
from sim.trial import draw_trial
from sim.workers.answer import Malformed, Rolled
from sim.workers.base import Workers
from sim.workers.confirm import Claim, confirm
from sim.workers.in_process import InProcess
from sim.workers.pool import Pool
from sim.workers.replays import ReplayJob, read_replays
from sim.workers.reruns import RerunJob, read_reruns
from sim.workers.settings import WorkerSettings

ARM = find_robot("arm2")
LAW = find_law(ARM, ARM.controller)
SOFT = with_params(LAW, {"kp": [400.0, 1000.0]})
TRIALS = [draw_trial(ARM, seed=k, robot_seed=k % 2, duration_s=0.4) for k in range(10)]


@pytest.fixture(scope="module", params=["pool", "in process"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    with Pool(ARM, WorkerSettings(count=2)) if request.param == "pool" else InProcess(ARM, trusting=True) as found:
        yield found


@pytest.fixture(scope="module")
def claims() -> list[Claim]:
    rolled = InProcess(ARM, trusting=True).roll([(LAW, trial) for trial in TRIALS])
    return list(zip(TRIALS, rolled, strict=True))


def test_what_is_true_is_confirmed(workers: Workers, claims: list[Claim]) -> None:
    assert confirm(workers, LAW, claims) == ()


@pytest.mark.parametrize("name", sorted(set(shipped_robots()) - {"arm2"}))
def test_rollouts_of_every_robot_can_be_confirmed(name: str) -> None:
    robot = find_robot(name)
    workers, law = InProcess(robot, trusting=True), find_law(robot, robot.controller)
    trials = [draw_trial(robot, task=task, seed=3, robot_seed=1, duration_s=0.5) for task in robot.tasks.kinds]
    assert confirm(workers, law, list(zip(trials, workers.roll([(law, t) for t in trials]), strict=True))) == ()


def test_a_better_figure_than_the_commands_earn_is_found(workers: Workers, claims: list[Claim]) -> None:
    scenario, honest = claims[3]
    better = {**honest.judgement.metrics, "rms_effort": np.nextafter(honest.judgement.metrics["rms_effort"], 0.0)}
    forged = replace(honest, judgement=replace(honest.judgement, metrics=better))
    (found,) = confirm(workers, LAW, [*claims[:3], (scenario, forged), *claims[4:]])
    assert found.scenario == scenario
    assert "rms_effort" in found.what


@pytest.mark.parametrize(
    ("field", "value"),
    [("limit_broken", True), ("clipped_share", 0.5), ("safety_share", 0.25), ("peak_variation_nm", 0.0)],
)
def test_no_part_of_a_judgement_can_be_another(
    workers: Workers, claims: list[Claim], field: str, value: float | bool
) -> None:
    scenario, honest = claims[0]
    forged = replace(honest, judgement=replace(honest.judgement, **{field: value}))  # type: ignore[arg-type]
    (found,) = confirm(workers, LAW, [(scenario, forged)])
    assert field in found.what


def test_commands_of_another_law_are_found_although_their_figures_are_right(
    workers: Workers, claims: list[Claim]
) -> None:
    """As of a process that knows the scenario and plans for it."""
    found = confirm(workers, SOFT, claims)
    assert [forgery.scenario for forgery in found] == TRIALS
    assert all("the law commands something else at tick" in forgery.what for forgery in found)


def test_one_command_that_is_off_by_a_bit_is_found(workers: Workers, claims: list[Claim]) -> None:
    scenario, honest = claims[1]
    command = honest.command.copy()
    command[50, 1] = np.nextafter(command[50, 1], np.inf)
    trace = replay(ARM, scenario, command).judgement
    forged = Rolled(judgement=replace(trace, clipped_share=honest.judgement.clipped_share), command=command)
    (found,) = confirm(workers, LAW, [(scenario, forged)])
    assert found.what == "the law commands something else at tick 50"


def test_a_record_that_is_cut_off_cannot_be_repeated(workers: Workers, claims: list[Claim]) -> None:
    scenario, honest = claims[2]
    lost = replace(honest, command=honest.command[:-5])
    if isinstance(workers, InProcess):
        with pytest.raises(ValueError, match="commands for a rollout of"):
            confirm(workers, LAW, [(scenario, lost)])
        return
    (found,) = confirm(workers, LAW, [(scenario, lost)])
    assert "cannot be repeated" in found.what


def test_a_law_that_fails_is_confirmed_with_what_the_safety_law_did(workers: Workers) -> None:
    """It gives no number from the fifth tick on, and the envelope replaces it."""
    source = LAW.files["law.py"].decode()
    broken = artefact_from_files("broken", {**LAW.files, "law.py": (source + BREAKS).encode()})
    trace = rollout(ARM, broken, TRIALS[0])
    assert trace.safety_share > 0.5
    rolled = InProcess(ARM, trusting=True).roll([(broken, TRIALS[0])])
    assert confirm(workers, broken, [(TRIALS[0], rolled[0])]) == ()


BREAKS = "    for i in range(2):\n        tau[i] = sqrt(0.0 - 1.0)\n"


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=60)
def test_bytes_that_are_no_answer_are_refused(data: bytes, replays: bool) -> None:
    command = np.zeros((3, 2))
    frame = Frame(0, 0, [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    if replays:
        with pytest.raises(Malformed):
            read_replays(data, ReplayJob(robot=ARM, scenarios=(TRIALS[0],), commands=(command,)))
        return
    references = tuple(TRIALS[0].task(ARM).references()[:3])
    with pytest.raises(Malformed):
        read_reruns(data, RerunJob(robot=ARM, artefact=LAW, seen=(((frame,) * 3, references),)))


def test_who_asks_the_law_again_is_told_neither_scenario_nor_commands() -> None:
    """What it does not know it cannot plan for."""
    assert set(RerunJob.__dataclass_fields__) == {"robot", "artefact", "seen"}
