"""Workers as validation and search see them: the same bits wherever they run, and jobs that know what they are."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.library import find_law
from core.errors import BadInput, LawError
from sim.catalogue import find_robot, shipped_robots
from sim.trial import draw_trial
from sim.workers import keeper, pool
from sim.workers.base import Answer, together
from sim.workers.dispatch import Usage
from sim.workers.in_process import InProcess
from sim.workers.job import MOST_SCENARIOS, Job
from sim.workers.opening import open_workers
from sim.workers.outcome import Lost, Reason
from sim.workers.pool import Pool
from sim.workers.self_test import ATTACKS
from sim.workers.settings import WorkerSettings
from tests.sim.workers.conftest import Cage

ARM = find_robot("arm2")
LAW = find_law(ARM, ARM.controller)
TRIALS = [draw_trial(ARM, seed=k, robot_seed=k % 2, duration_s=0.4) for k in range(6)]


def new_law(text: str | None = None) -> Artefact:
    """The same law with a comment more, or with another text."""
    source = LAW.files["law.py"] + b"# new\n" if text is None else text.encode()
    return artefact_from_files("mine", {**LAW.files, "law.py": source})


def softer() -> Artefact:
    return with_params(LAW, {"kp": [0.9 * gain for gain in nominal_gains()]})


def nominal_gains() -> list[float]:
    from controllers.controller import Controller  # noqa: PLC0415

    gains = Controller.from_artefact(LAW, ARM.ports).params["kp"]
    assert isinstance(gains, list)
    return gains


@pytest.fixture(scope="module")
def arm_pool() -> Iterator[Pool]:
    with Pool(ARM, WorkerSettings(count=2)) as found:
        yield found


def same(one: Answer, other: Answer) -> bool:
    assert not isinstance(one, Lost), one
    assert not isinstance(other, Lost), other
    pairs = list(zip(one, other, strict=True))
    return all(a.judgement == b.judgement and np.array_equal(a.command, b.command) for a, b in pairs)


# the same bits


@pytest.mark.parametrize("name", sorted(shipped_robots()))
def test_a_confined_worker_gives_the_bits_of_this_process_for_every_task_of_a_robot(name: str) -> None:
    robot = find_robot(name)
    scenarios = tuple(
        draw_trial(robot, task=task, seed=k, duration_s=robot.tasks.run_s) for k, task in enumerate(robot.tasks.kinds)
    )
    job = Job(robot=robot, artefact=find_law(robot, robot.controller), scenarios=scenarios)
    with Pool(robot, WorkerSettings(count=1)) as workers:
        (confined,) = workers.run([job])
    (plain,) = InProcess(robot).run([job])
    assert same(confined, plain)


def test_judgements_do_not_depend_on_order_grouping_or_place(arm_pool: Pool) -> None:
    pairs = [(law, trial) for trial in TRIALS for law in (LAW, softer())]
    plain = InProcess(ARM)
    expected = plain.judge(pairs)
    assert arm_pool.judge(pairs) == expected
    assert arm_pool.judge(pairs[::-1]) == expected[::-1]
    assert [arm_pool.judge([pair])[0] for pair in pairs[:3]] == expected[:3]
    assert plain.rollouts == len(pairs)
    assert arm_pool.judge([]) == []


def test_answers_come_in_order_whoever_is_done_first(cage: Cage) -> None:
    counts = [3_000_000, 10, 1_000_000, 10]
    sources = [f"said = {k}\nfor _ in range({count}):\n    pass" for k, count in enumerate(counts)]
    assert cage.run(*sources, count=2) == [b"0", b"1", b"2", b"3"]


def test_the_cost_of_every_worker_is_told() -> None:
    with Pool(ARM, WorkerSettings(count=2)) as workers:
        assert workers.usage == Usage(zygote_s=0.0, workers_s=(0.0, 0.0))
        workers.judge([(LAW, trial) for trial in TRIALS])
        assert workers.usage.zygote_s > 0.0
        assert all(cpu_s > 0.0 for cpu_s in workers.usage.workers_s)


# jobs

LAWS = [LAW, new_law(), new_law("def control(q):\n    pass\n")]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=60), st.integers(1, 8))
def test_groups_are_a_partition_into_jobs_of_one_controller(asked: list[tuple[int, int]], count: int) -> None:
    pairs = [(LAWS[law], TRIALS[trial]) for law, trial in asked]
    groups = together(pairs, count)
    assert sorted(k for group in groups for k in group) == list(range(len(pairs)))
    for group in groups:
        assert 1 <= len(group) <= MOST_SCENARIOS
        assert len({pairs[k][0].sha256 for k in group}) == 1
        assert group == sorted(group)


def test_a_job_is_named_by_what_decides_its_result(tmp_path: Path) -> None:
    job = Job(robot=ARM, artefact=LAW, scenarios=tuple(TRIALS[:2]))
    urdf = tmp_path / "arm.urdf"
    urdf.write_bytes(ARM.urdf.read_bytes())
    equal = [
        replace(job, artefact=artefact_from_files("another name", LAW.files)),
        replace(job, robot=replace(ARM, urdf=urdf)),
    ]
    assert {job.sha256} == {each.sha256 for each in equal}
    other = tmp_path / "other.urdf"
    other.write_bytes(ARM.urdf.read_bytes() + b"<!-- other -->")
    different = [
        replace(job, artefact=new_law()),
        replace(job, scenarios=tuple(TRIALS[:3])),
        replace(job, scenarios=(TRIALS[1], TRIALS[0])),
        replace(job, scenarios=(TRIALS[0], replace(TRIALS[1], noise_seed=7))),
        replace(job, robot=replace(ARM, control_rate_hz=250)),
        replace(job, robot=replace(ARM, urdf=other)),
    ]
    assert len({job.sha256, *(each.sha256 for each in different)}) == 1 + len(different)


@pytest.mark.parametrize("count", [0, MOST_SCENARIOS + 1])
def test_a_job_has_some_scenarios_and_not_too_many(count: int) -> None:
    with pytest.raises(ValueError, match="scenarios"):
        Job(robot=ARM, artefact=LAW, scenarios=tuple(TRIALS[:1]) * count)


# what is wrong with a job


def test_a_law_that_is_none_costs_only_its_own_job(arm_pool: Pool) -> None:
    broken = new_law("def control(q):\n    import os\n")
    jobs = [Job(robot=ARM, artefact=each, scenarios=(TRIALS[0],)) for each in (LAW, broken, LAW)]
    before, lost, after = arm_pool.run(jobs)
    assert isinstance(lost, Lost)
    assert lost.reason is Reason.CRASH
    assert "law.py" in lost.what
    assert same(before, after)
    with pytest.raises(LawError, match=r"law\.py"):
        arm_pool.judge([(LAW, TRIALS[0]), (broken, TRIALS[0])])


def test_a_scenario_that_cannot_be_had_is_bad_input(arm_pool: Pool) -> None:
    with pytest.raises(BadInput, match="no such task"):
        arm_pool.judge([(LAW, replace(TRIALS[0], task_kind="no such task"))])


class _Liar:
    def warm_up(self, data: bytes) -> None: ...

    def prepare(self, request: bytes) -> bytes:
        return request

    def perform(self, prepared: bytes) -> bytes:
        return b"lie"


LIAR = _Liar()


def test_an_answer_that_is_none_is_a_lost_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.jobs_, "NAME", "tests.sim.workers.test_pool:LIAR")
    with Pool(ARM) as workers:
        (lost,) = workers.run([Job(robot=ARM, artefact=LAW, scenarios=(TRIALS[0],))])
    assert lost == Lost(reason=Reason.ANSWER, what="it ends 5 bytes too early")


# what workers are on this machine


def test_the_self_test_makes_five_attacks_and_all_are_stopped_here(arm_pool: Pool) -> None:
    assert len(ATTACKS) == 5
    assert arm_pool.layers().breached == ()


def test_other_systems_run_known_laws_in_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_workers(ARM), Pool)
    monkeypatch.setattr(sys, "platform", "darwin")
    with open_workers(ARM) as elsewhere:
        assert isinstance(elsewhere, InProcess)
        assert elsewhere.layers().active == ()
        elsewhere.warm_up()


def test_nothing_secret_is_in_the_environment_of_a_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "x")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    environ = keeper._environment(["a", "b"])
    assert "SOME_API_KEY" not in environ
    assert environ["OPENBLAS_CORETYPE"] == "Haswell"
    assert environ["OPENBLAS_NUM_THREADS"] == "1"
    assert environ["PYTHONPATH"] == os.pathsep.join(["a", "b"])


def test_only_what_the_service_wrote_is_unpickled() -> None:
    """In the zygote, before it forks: a request, the data of a warm-up, and the set-up; in a station, a job."""
    where = set()
    for path in Path(pool.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and "pickle.load" in ast.unparse(node):
                where.add(node.name)
    assert where == {"main", "warm_up", "prepare", "run"}
