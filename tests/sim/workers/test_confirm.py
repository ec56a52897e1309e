"""No run is believed whose law, asked again in other company, does not say the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import artefact_from_files, with_params
from controllers.library import find_law
from sim.catalogue import find_robot
from sim.trial import draw_trial
from sim.workers.answer import Malformed
from sim.workers.base import MOST_TOGETHER, Workers
from sim.workers.confirm import Run, confirm
from sim.workers.in_process import InProcess
from sim.workers.lockstep import most_driven, read_driven
from sim.workers.outcome import Lost, Reason
from sim.workers.pool import Pool
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
def runs() -> list[Run]:
    rolled = InProcess(ARM, trusting=True).roll([(LAW, trial) for trial in TRIALS], lockstep=LAW)
    return list(zip(TRIALS, rolled, strict=True))


def with_said(run: Run, said: object) -> Run:
    scenario, rolled = run
    assert rolled.exchange is not None
    return scenario, replace(rolled, exchange=replace(rolled.exchange, said=said))


def said(run: Run) -> np.ndarray:
    assert run[1].exchange is not None
    return run[1].exchange.said.copy()


def test_what_is_true_is_confirmed(workers: Workers, runs: list[Run]) -> None:
    assert confirm(workers, LAW, runs) == ()
    assert confirm(workers, LAW, []) == ()


def test_commands_of_another_law_are_found(workers: Workers, runs: list[Run]) -> None:
    """As of a process that answers for a law, and is another."""
    found = confirm(workers, SOFT, runs)
    assert {forgery.scenario.name for forgery in found} == {trial.name for trial in TRIALS}
    assert all("the law commands something else at tick" in forgery.what for forgery in found)


def test_one_command_that_is_off_by_a_bit_is_found(workers: Workers, runs: list[Run]) -> None:
    other = said(runs[1])
    other[50, 1] = np.nextafter(other[50, 1], np.inf)
    (found,) = confirm(workers, LAW, [runs[0], with_said(runs[1], other), *runs[2:]])
    assert found.scenario is TRIALS[1]
    assert found.what == "the law commands something else at tick 50"


def test_a_command_that_is_no_number_is_found(workers: Workers, runs: list[Run]) -> None:
    other = said(runs[2])
    other[7, 0] = np.nan
    (found,) = confirm(workers, LAW, [with_said(runs[2], other)])
    assert found.what.endswith("at tick 7")


def test_answers_to_another_run_and_late_answers_are_found(workers: Workers, runs: list[Run]) -> None:
    late = np.roll(said(runs[3]), 1, axis=0)
    found = confirm(workers, LAW, [with_said(runs[3], late), with_said(runs[4], said(runs[5])), runs[6]])
    assert [forgery.scenario for forgery in found] == [TRIALS[3], TRIALS[4]]


def test_a_run_without_its_exchange_is_not_believed(workers: Workers, runs: list[Run]) -> None:
    scenario, rolled = runs[0]
    (found,) = confirm(workers, LAW, [(scenario, replace(rolled, exchange=None))])
    assert found.what == "its exchange was not kept"


def test_a_law_that_gives_no_number_is_confirmed(workers: Workers) -> None:
    """Equal bits are equal, also of what is no number."""
    source = LAW.files["law.py"].decode() + "    for i in range(2):\n        tau[i] = sqrt(0.0 - 1.0)\n"
    broken = artefact_from_files("broken", {**LAW.files, "law.py": source.encode()})
    rolled = InProcess(ARM, trusting=True).roll([(broken, TRIALS[0])], lockstep=broken)
    assert rolled[0].judgement.safety_share > 0.5
    assert confirm(workers, broken, [(TRIALS[0], rolled[0])]) == ()


def test_a_law_that_cannot_be_asked_again_confirms_nothing(runs: list[Run]) -> None:
    class Dying(InProcess):
        def rerun(self, jobs: object) -> list[Lost]:  # type: ignore[override]
            return [Lost(reason=Reason.FORBIDDEN, what="killed")] * len(runs[:3])

    found = confirm(Dying(ARM, trusting=True), LAW, runs[:3])
    assert [forgery.what for forgery in found] == ["the law cannot be asked again (forbidden: killed)"] * 3


@given(st.integers(0, 200))
@settings(max_examples=50)
def test_no_two_runs_that_took_turns_are_asked_about_together(count: int) -> None:
    class Recorder(InProcess):
        def rerun(self, jobs: list[RerunJob]) -> list[tuple[np.ndarray, ...]]:  # type: ignore[override]
            for job in jobs:
                places = [int(shown[0, 0]) for shown in job.shown]
                assert all(abs(a - b) >= MOST_TOGETHER for a in places for b in places if a != b)
                met.extend(places)
            return [tuple(np.zeros((1, 2)) for _ in job.shown) for job in jobs]

    met: list[int] = []
    confirm(Recorder(ARM, trusting=True), LAW, [numbered(k) for k in range(count)])
    assert sorted(met) == list(range(count))


def numbered(k: int) -> Run:
    from sim.judge import Judgement  # noqa: PLC0415
    from sim.lockstep import Exchange  # noqa: PLC0415
    from sim.workers.answer import Rolled  # noqa: PLC0415

    nothing = Judgement(
        metrics={}, peak_error=(), peak_variation_nm=0.0, diverged=False, safety_share=0.0, clipped_share=0.0,
        limit_broken=False,
    )  # fmt: skip
    exchange = Exchange(shown=np.full((1, 12), float(k)), said=np.zeros((1, 2)))
    return TRIALS[0], Rolled(judgement=nothing, command=np.zeros((1, 2)), exchange=exchange)


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_bytes_that_are_no_answer_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_driven(data, ARM, [3])
    with pytest.raises(Malformed):
        read_reruns(data + b"x", RerunJob(robot=ARM, artefact=LAW, shown=(np.zeros((len(data), 12)),)))


def test_an_answer_is_never_longer_than_it_may_be() -> None:
    assert most_driven(ARM, [3]) - most_driven(ARM, [2]) == 8 * (2 + 12 + 2)


def test_who_asks_the_law_again_is_told_neither_scenario_nor_commands() -> None:
    """What it does not know it cannot plan for."""
    assert set(RerunJob.__dataclass_fields__) == {"robot", "artefact", "shown"}
