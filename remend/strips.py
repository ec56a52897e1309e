"""Filmstrips of a report: both controllers in the incident, and where the patch does worst.

Nothing is decided here. The runs are those of the evidence, once more, and pictures are drawn from their commands by a
process that meets no controller.
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.artefact import Artefact
from core.errors import RemendError
from core.records import Incident, ValidationReport
from remend.story import Strip
from remend.views import growth
from sim.evidence import draw_scenarios
from sim.filmstrip import filmstrip
from sim.regressions import regression_of
from sim.scenario import Scenario
from sim.twin.twin import Twin
from sim.workers.base import Workers

_METRIC = "rms_tracking_error"


def film(
    workers: Workers, twin: Twin, report: ValidationReport, incident: Incident, before: Artefact, after: Artefact
) -> tuple[Strip, ...]:
    """Strips of the incident and of the worst sealed scenario; none where nothing was run, or can be run again."""
    chosen = list(_chosen(twin, report, incident))
    try:
        rolled = iter(workers.roll([(law, scenario) for _, scenario in chosen for law in (before, after)]))
    except RemendError:  # pictures are not worth a healing
        return ()
    return tuple(
        Strip(
            title=title,
            scenario=scenario.name.removeprefix("past incident, "),
            before=filmstrip(twin.robot, scenario, next(rolled).command),
            after=filmstrip(twin.robot, scenario, next(rolled).command),
        )
        for title, scenario in chosen
    )


def _chosen(twin: Twin, report: ValidationReport, incident: Incident) -> Iterator[tuple[str, Scenario]]:
    if not report.scenarios:
        return
    yield "In the incident", regression_of(twin, incident.id, incident.telemetry_sha).scenario
    ranked = sorted(range(len(report.scenarios)), key=lambda k: -growth(report.scenarios[k], _METRIC))
    worst = report.scenarios[ranked[0]]
    drawn = draw_scenarios(twin, ranked[0] + 1, report.seed)[-1]
    if drawn.sha256 == worst.scenario_sha:
        gains = growth(worst, _METRIC) < 1.0
        yield "Where the patch gains least" if gains else "Where the patch does worst", drawn
