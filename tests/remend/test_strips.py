"""Pictures of a report are of the runs that it speaks of."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from core.errors import RobotFault
from core.records import ValidationReport
from remend.bench.worth import CASES, Ground, ground, harmless
from remend.report import render_report
from remend.strips import film
from sim.evidence import draw_scenarios
from sim.filmstrip import filmstrip
from sim.gather import run_pairs
from sim.regressions import regression_of
from sim.rollout import rollout
from sim.summary import result
from sim.workers.in_process import InProcess
from tests.remend import stories

SEED = 11


@pytest.fixture(scope="module")
def heavy_arm() -> Ground:
    return ground(CASES[0], 1)


@pytest.fixture
def workers(heavy_arm: Ground) -> InProcess:
    return InProcess(heavy_arm.twin.robot, trusting=True)


def report_on(where: Ground, workers: InProcess, seed: int = SEED) -> ValidationReport:
    pairs = run_pairs(workers, where.incumbent, harmless(where, 0), draw_scenarios(where.twin, 4, seed))
    return replace(stories.report(), scenarios=tuple(map(result, pairs)), seed=SEED)


def test_strips_show_the_incident_and_the_worst_run(heavy_arm: Ground, workers: InProcess, samples: ModuleType) -> None:
    report, incident, law = report_on(heavy_arm, workers), samples.incident("inc_1"), harmless(heavy_arm, 0)
    first, worst = film(workers, heavy_arm.twin, report, incident, heavy_arm.incumbent, law)
    scenario = regression_of(heavy_arm.twin, "inc_1", incident.telemetry_sha).scenario
    robot = heavy_arm.twin.robot
    assert first.title == "In the incident"
    assert first.before == filmstrip(robot, scenario, rollout(robot, heavy_arm.incumbent, scenario).command)
    assert first.after == filmstrip(robot, scenario, rollout(robot, law, scenario).command)

    def growth(k: int) -> float:
        metric = "rms_tracking_error"
        return report.scenarios[k].after[metric] / report.scenarios[k].before[metric]

    assert worst.scenario == report.scenarios[max(range(4), key=growth)].scenario
    assert worst.title == (
        "Where the patch does worst" if max(map(growth, range(4))) >= 1.0 else "Where the patch gains least"
    )


def test_a_scenario_that_is_not_the_reports_own_is_not_shown(
    heavy_arm: Ground, workers: InProcess, samples: ModuleType
) -> None:
    report = report_on(heavy_arm, workers, seed=SEED + 1)
    found = film(
        workers, heavy_arm.twin, report, samples.incident("inc_1"), heavy_arm.incumbent, harmless(heavy_arm, 0)
    )
    assert [strip.title for strip in found] == ["In the incident"]


def test_without_runs_there_are_no_pictures(
    heavy_arm: Ground, workers: InProcess, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, laws = samples.incident("inc_1"), (heavy_arm.incumbent, harmless(heavy_arm, 0))
    held = replace(stories.report(), scenarios=())
    assert film(workers, heavy_arm.twin, held, incident, *laws) == ()

    def lost(_: object) -> None:
        raise RobotFault("its simulation was lost")

    report = report_on(heavy_arm, workers)
    monkeypatch.setattr(workers, "roll", lost)
    assert film(workers, heavy_arm.twin, report, incident, *laws) == ()


def test_a_report_carries_its_pictures(heavy_arm: Ground, workers: InProcess, samples: ModuleType) -> None:
    report = report_on(heavy_arm, workers)
    strips = film(
        workers, heavy_arm.twin, report, samples.incident("inc_1"), heavy_arm.incumbent, harmless(heavy_arm, 0)
    )
    html = render_report(replace(stories.full(), strips=strips))
    assert html.count('<img src="data:image/png;base64,') == 24
    assert html.count('alt="before, after ') == html.count('alt="after, after ') == 12
    assert "In the incident" in html
    assert len(html) < 400_000
    assert "<img" not in render_report(stories.full())
