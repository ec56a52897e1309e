"""Every past incident is met by every later candidate, and no result of it is computed twice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controllers.artefact import Artefact, with_params
from core.robot_toml import load_robot
from core.status import Verdict
from sim.catalogue import robot_file
from sim.judge import Judgement
from sim.regressions import Regression, regression_of, run_regressions, world_sha
from sim.scenario import Scenario
from sim.validate import validate
from sim.workers.forgery import Forgery
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, IIWA, FakeWorkers, judged

TWIN = made_up.twin()
REMEDY = with_params(COMPUTED_TORQUE, {"mass": 5.0})
PAST = [
    regression_of(made_up.twin(made_up.cause(name, value)), f"inc_{k}", f"{k + 5:064x}")
    for k, (name, value) in enumerate([("payload", 3.0), ("sensor_bias", 0.02), ("actuator_loss", 0.3)])
]


class Remembering:
    """A memory in a dictionary."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Judgement]] = {}

    def recall(self, artefact_sha: str) -> Mapping[str, Judgement]:
        return self.known.get(artefact_sha, {})

    def keep(self, artefact_sha: str, judged: Mapping[str, Judgement]) -> None:
        self.known.setdefault(artefact_sha, {}).update(judged)


def ask(workers: FakeWorkers, past: list[Regression] | None = None, memory: Any = None, law: Artefact = REMEDY) -> Any:
    fake: Any = workers
    return run_regressions(fake, COMPUTED_TORQUE, law, PAST if past is None else past, memory)


def report(formula: made_up.Formula, past: list[Regression] | None = PAST, memory: Any = None) -> Any:
    fake: Any = FakeWorkers(formula)
    return validate(fake, TWIN, incumbent=COMPUTED_TORQUE, candidate=REMEDY, fidelity=0.9, past=past, memory=memory)


def gate(found: Any) -> Any:
    (answer,) = (each for each in found.gates if each.name == "regressions")
    return answer


def test_an_incident_is_the_mean_of_its_twin_at_a_task_that_telemetry_decides() -> None:
    past = PAST[0]
    assert (past.incident_id, past.robot, past.cause) == ("inc_0", "iiwa", "payload")
    assert past.scenario.effect.payload_kg == 3.0
    assert np.array_equal(past.scenario.physics.inertials, TWIN.physics().inertials)
    again = regression_of(made_up.twin(made_up.cause("payload", 3.0)), "inc_0", f"{5:064x}")
    assert past.scenario.sha256 == again.scenario.sha256
    shas = [f"{digit}" * 64 for digit in "123456789abcdef"]
    others = [regression_of(TWIN, "inc_0", sha).scenario for sha in shas]
    assert {scenario.task_kind for scenario in others} == set(IIWA.tasks.kinds)
    assert len({(scenario.task_seed, scenario.noise_seed) for scenario in others}) == len(shas)


def test_both_laws_meet_every_past_incident() -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    pairs = ask(workers)
    assert [pair.scenario for pair in pairs] == [past.scenario for past in PAST]
    for pair in pairs:
        assert pair.before == made_up.load_cancelled(COMPUTED_TORQUE, pair.scenario)
        assert pair.after == made_up.load_cancelled(REMEDY, pair.scenario)
    assert workers.rollouts == 6


def test_no_result_of_the_incumbent_is_computed_twice() -> None:
    memory, workers = Remembering(), FakeWorkers(made_up.load_cancelled)
    first = ask(workers, memory=memory)
    assert [(pair.before, pair.after) for pair in ask(workers, memory=memory)] == [
        (pair.before, pair.after) for pair in first
    ]
    assert workers.rollouts == 6 + 3
    more = [*PAST, regression_of(TWIN, "inc_9", "9" * 64)]
    ask(workers, more, memory)
    assert workers.rollouts == 9 + 1 + 4


def test_a_candidate_that_was_confirmed_is_known_when_it_is_the_incumbent() -> None:
    memory = Remembering()
    report(made_up.load_cancelled, memory=memory)
    assert memory.known[REMEDY.sha256] == {
        past.scenario.sha256: made_up.load_cancelled(REMEDY, past.scenario) for past in PAST
    }


def test_nothing_is_kept_of_a_candidate_that_lied_or_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Remembering()
    report(lambda artefact, scenario: judged(0.02), memory=memory)
    assert memory.known == {}
    monkeypatch.setattr(
        "sim.validate.confirm", lambda workers, candidate, claims: [Forgery(scenario=claims[0][0], what="a lie")]
    )
    found = report(made_up.load_cancelled, memory=memory)
    assert found.verdict is Verdict.FAIL
    assert set(memory.known) == {COMPUTED_TORQUE.sha256}


def test_a_result_that_is_no_number_is_not_kept() -> None:
    memory = Remembering()
    ask(FakeWorkers(lambda artefact, scenario: judged(math.nan)), memory=memory)
    assert memory.known == {}


def test_the_incumbent_against_itself_is_equal() -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    pairs = ask(workers, law=COMPUTED_TORQUE)
    assert all(pair.before == pair.after for pair in pairs)


def test_past_incidents_are_part_of_the_report() -> None:
    found = report(made_up.load_cancelled)
    assert found.verdict is Verdict.PASS
    assert "3 past incidents" in gate(found).why
    assert [each.scenario_sha for each in found.regressions] == [past.scenario.sha256 for past in PAST]
    assert found.rollouts == 186 + 6
    assert "0 past incidents" in gate(report(made_up.load_cancelled, [])).why
    assert not [each for each in report(made_up.load_cancelled, None).gates if each.name == "regressions"]


def test_a_limit_broken_in_a_past_incident_arms_the_trigger() -> None:
    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        past = scenario.name.startswith("past incident")
        return judged(0.01 if artefact is REMEDY else 0.02, broken=past and artefact is REMEDY)

    found = report(formula)
    assert found.verdict is Verdict.PASS
    assert found.needs_revert_trigger
    assert "breaks limits that the incumbent keeps in 3 of 3 past incidents" in gate(found).why
    calm = report(lambda artefact, scenario: judged(0.01 if artefact is REMEDY else 0.02))
    assert not calm.needs_revert_trigger


def test_past_incidents_that_a_lost_candidate_never_met_are_open() -> None:
    found = report(lambda artefact, scenario: judged(0.02))
    assert found.verdict is Verdict.FAIL
    assert gate(found).verdict is Verdict.INCONCLUSIVE


def test_incidents_of_a_robot_of_other_parts_are_left_out_and_said_so() -> None:
    other = PAST[0].scenario
    fewer = replace(other, physics=replace(other.physics, inertials=other.physics.inertials[:60]))
    found = report(made_up.load_cancelled, [PAST[1], replace(PAST[0], scenario=fewer)])
    assert "1 past incident (1 of a robot of other parts left out)" in gate(found).why
    assert len(found.regressions) == 1


def test_results_belong_to_one_world(tmp_path: Any) -> None:
    here = world_sha(IIWA)
    assert here == world_sha(IIWA)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("robot.toml", "iiwa.urdf"):
        (moved / name).write_bytes((robot_file("iiwa").parent / name).read_bytes())
    assert world_sha(load_robot(moved / "robot.toml")) == here
    assert world_sha(replace(IIWA, control_rate_hz=250)) != here
    text = (moved / "iiwa.urdf").read_text()
    (moved / "iiwa.urdf").write_text(text + "\n")
    assert world_sha(load_robot(moved / "robot.toml")) != here


def test_the_program_is_part_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    from sim import regressions as module  # noqa: PLC0415

    here = world_sha(IIWA)
    monkeypatch.setattr(module, "_program_sha", lambda: "another")
    assert world_sha(IIWA) != here
