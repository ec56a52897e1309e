"""A home folder in which much has happened, without a simulation: for the tests of pages, and for pictures of them."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image, ImageDraw

from core.clock import Clock, SystemClock
from core.records import Approval, Candidate, Incident, Outcome, ValidationReport
from core.status import PatchStatus, Verdict
from patcher.bandit import Asked
from remend.service import accounts, exhibit
from remend.service.accounts import Role
from remend.service.pulse import Condition, Doing, Layout, Ratio, Said, Sample
from remend.service.robots import RobotEntry
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.story import Contender, Plots, Story, Strip
from remend.versions import Versions
from sim.filmstrip import Picture
from telemetry.incidents import Severity

PASSWORD = "correct horse battery"  # noqa: S105 of a test
PEOPLE = {"anna": Role.ADMIN, "otto": Role.OPERATOR, "vera": Role.VIEWER}
ROBOT, SILENT, REAL = "arm-1", "arm-2", "lab-3"
JOINTS = tuple(f"joint_{k}" for k in range(1, 8))
S = PatchStatus
_WAY = (S.CHECKED, S.VALIDATING, S.AWAITING_APPROVAL, S.APPROVED, S.STAGED, S.SHADOW, S.CANARY, S.ACTIVE)
_LAW = b"def control(dt, q, q_ref, kp, tau):\n    for i in range(7):\n        tau[i] = kp[i] * (q_ref[i] - q[i])\n"
_MINUTE_NS = 60 * 10**9
_SEEN = ("pat_wait", "pat_active")  # patches that have figures and pictures


def load(name: str) -> ModuleType:
    """A module of tests/remend, which is no package."""
    file = Path(__file__).parents[1] / "remend" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"seeding_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stories = load("stories")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """A service whose robots are there but not looked after; what their caretakers would say, `feed` says."""

    service: Service

    def feed(self, t_s: float) -> None:
        """Telemetry of a second up to `t_s` on the robot's clock."""
        times = [t_s - 1.0 + k / 20 for k in range(1, 21)]
        board = self.service.care(ROBOT).board
        error = tuple(tuple(0.01 * (j + 1) * math.sin(1.3 * t + j) / 7 for j in range(7)) for t in times)
        command = tuple(tuple((20 - 3 * j) * math.cos(1.3 * t + j) for j in range(7)) for t in times)
        low, high = (tuple(end(row[j] for row in error) for j in range(7)) for end in (min, max))
        board.take(Sample(t_s=tuple(times), error=error, command=command, low=low, high=high, variation=0.2))
        board.take(Ratio(t_s=t_s, ratio=0.3 + 0.1 * math.sin(t_s)))

    def close(self) -> None:
        """Let go of the database."""
        self.service.store.close()


def seed(home: Path, clock: Clock | None = None, more: int = 0) -> Seeded:
    """Fill a home folder.

    The patch `pat_wait` waits for a decision, `pat_high` for one of high risk; `pat_STATUS` is in its status.

    Args:
        more: patches that also wait, `pat_1` and so on; their pages have no figures.
    """
    clock = clock or SystemClock()
    entries = tuple(
        RobotEntry(robot_id=name, model="iiwa", link="sim", fault="payload:mass=5", seed=1, at_ns=1)
        for name in (ROBOT, SILENT)
    )
    service = Service(home, ServiceSettings(), entries, clock=clock)
    with service.store.journal("remend") as journal:
        for name, role in PEOPLE.items():
            accounts.add_user(journal, name, role, PASSWORD)
    seeded = Seeded(service=service)
    _patches(service, clock, more)
    _boards(seeded, Versions.open(home, clock))
    return seeded


def _boards(seeded: Seeded, versions: Versions) -> None:
    for name in (ROBOT, SILENT):
        board = seeded.service.care(name).board
        board.take(
            Layout(
                title="KUKA LBR iiwa 7 R800", joints=JOINTS, units=("rad",) * 7, actuators=JOINTS, command_unit="N*m"
            )
        )
        board.take(Doing(what="watching"))
    sha = versions.history(ROBOT)[0].artefact_sha
    board = seeded.service.care(ROBOT).board
    board.take(Condition(stage="committed", share=0.0, active_sha=sha, missed_deadlines=0, notes=()))
    board.take(Said(text="joint_2.torque_residual alarms at 12.36 s (bias)"))
    board.take(Said(text="fitting the twin: payload, fidelity 0.93"))
    for second in range(1, 61):
        seeded.feed(float(second))


def _patches(service: Service, clock: Clock, more: int) -> None:
    versions, now_ns = Versions.open(service.home, clock), clock.wall_ns()
    base = versions.keep(_files(625.0))
    versions.commit(ROBOT, _files(625.0), None, "built-in controller", "remend")
    told = stories.full()
    joints, whats = (4, 6, 1, 7, 5, 3, 2), ("travel", "delay", "travel", "delay", "travel", "delay", "travel")
    channels = [f"joint_{k}.{what}" for k, what in zip(joints, whats, strict=True)]  # each another trouble
    ended = (S.EXPIRED, S.INCONCLUSIVE, S.ROLLED_BACK, S.SUPERSEDED, S.ACTIVE, S.CANARY, S.VALIDATING)
    for k, status in enumerate(ended):
        at_ns = now_ns - (40 - 4 * k) * 60 * _MINUTE_NS
        result = versions.keep(_files(650.0 + k))
        incident = _incident(told, f"inc_{status.value}", ROBOT, base, at_ns, channels[k])
        candidate = _candidate(told, f"pat_{status.value}", incident.id, base, result)
        _bring(service, told, incident, candidate, status, Severity.INFO)
    versions.commit(ROBOT, _files(654.0), base, "Softer wrist\n\npat_active for inc_active", "otto")
    active = versions.history(ROBOT)[0].artefact_sha
    incident = _incident(told, "inc_open", ROBOT, active, now_ns - 20 * _MINUTE_NS, "joint_3.noise")
    service.store.add_occurrence(incident, Severity.UNSAFE)
    incident = _incident(told, "inc_wait", ROBOT, active, now_ns - 12 * _MINUTE_NS, "joint_2.torque_residual")
    candidate = _candidate(told, "pat_wait", incident.id, active, versions.keep(_files(702.4, mass=4.94)))
    _bring(service, told, incident, candidate, S.AWAITING_APPROVAL, Severity.DEGRADED)
    for k in range(1, more + 1):
        incident = _incident(told, f"inc_{k}", ROBOT, active, now_ns - _MINUTE_NS, f"joint_{k}.friction")
        another = _candidate(told, f"pat_{k}", incident.id, active, versions.keep(_files(800.0 + k)))
        _bring(service, told, incident, another, S.AWAITING_APPROVAL, Severity.INFO)
    incident = _incident(told, "inc_high", REAL, active, now_ns - 6 * _MINUTE_NS, "joint_5.torque_residual")
    weights = _candidate(told, "pat_high", incident.id, active, versions.keep(_files(703.0, mass=4.9)))
    weights = replace(
        weights, kind="weights", proposer="rl", changes=(), rationale="A residual policy learnt in the twin."
    )
    _bring(service, told, incident, weights, S.AWAITING_APPROVAL, Severity.DEGRADED)


def _bring(
    service: Service, told: Story, incident: Incident, candidate: Candidate, status: PatchStatus, severity: Severity
) -> None:
    """A patch on its legal way into a status, with what its page shows."""
    store = service.store
    store.add_occurrence(incident, severity)
    assert told.diagnosis is not None
    store.add_diagnosis(replace(told.diagnosis, incident_id=incident.id))
    store.add_candidate(candidate)
    report = _report(candidate, Verdict.INCONCLUSIVE if status is S.INCONCLUSIVE else Verdict.PASS)
    before = S.PROPOSED
    for after in _way_to(status):
        if after in (S.AWAITING_APPROVAL, S.INCONCLUSIVE):
            store.add_report(report)
            if candidate.id in _SEEN:
                exhibit.keep(service.home, candidate.id, _story(told, incident, candidate, report))
        if after is S.APPROVED:
            store.decide(_approval(candidate, report, service.clock.wall_ns()))
        else:
            store.move(candidate.id, before, after, "service", _WHY.get(after, "gates: pass"))
        before = after
    if status in (S.ACTIVE, S.ROLLED_BACK, S.SUPERSEDED):
        store.add_outcome(
            Outcome(
                patch_id=candidate.id,
                deployed=True,
                rolled_back=status is S.ROLLED_BACK,
                reason="the error broke its limit" if status is S.ROLLED_BACK else "",
                stages=("shadow", "canary 10 %", "canary 100 %"),
                duration_s=3.2,
                max_command_step=0.42,
                missed_deadlines=0,
            )
        )


_WHY = {
    S.EXPIRED: "nobody decided within 24 h",
    S.INCONCLUSIVE: "gates: inconclusive",
    S.ROLLED_BACK: "the error broke its limit",
    S.SUPERSEDED: "pat_active took its place",
    S.CHECKED: "inside the law language",
    S.VALIDATING: "sealed scenarios are drawn",
}


def _way_to(status: PatchStatus) -> tuple[PatchStatus, ...]:
    if status is S.EXPIRED:
        return (*_WAY[:3], S.EXPIRED)
    if status is S.INCONCLUSIVE:
        return (*_WAY[:2], S.INCONCLUSIVE)
    if status is S.ROLLED_BACK:
        return (*_WAY[:7], S.ROLLING_BACK, S.ROLLED_BACK)
    if status is S.SUPERSEDED:
        return (*_WAY, S.SUPERSEDED)
    return _WAY[: _WAY.index(status) + 1]


def _files(kp: float, mass: float = 0.0) -> dict[str, bytes]:
    params = f"kp = [{', '.join([str(kp)] * 7)}] # 1/s^2\nmass = {mass} # kg\n"
    return {"law.py": _LAW, "params.toml": params.encode()}


def _incident(told: Story, name: str, robot_id: str, base: str, at_ns: int, channel: str) -> Incident:
    assert told.incident is not None
    event = replace(told.incident.event, channel=channel, ranking=((channel, 1.07), ("joint_6.torque_residual", 0.81)))
    return replace(told.incident, id=name, robot_id=robot_id, controller_sha=base, created_ns=at_ns, event=event)


def _candidate(told: Story, name: str, incident_id: str, base: str, result: str) -> Candidate:
    return replace(told.candidates[0], id=name, incident_id=incident_id, base_sha=base, result_sha=result)


def _report(of: Candidate, verdict: Verdict) -> ValidationReport:
    found: ValidationReport = stories.report(verdict)
    return replace(found, id=f"rep_{of.id}", patch_id=of.id, base_sha=of.base_sha, result_sha=of.result_sha)


def _approval(of: Candidate, report: ValidationReport, now_ns: int) -> Approval:
    return Approval(
        id=f"app_{of.id}",
        patch_id=of.id,
        decision="approve",
        actor="otto",
        reason="agreed with the shift",
        base_sha=of.base_sha,
        result_sha=of.result_sha,
        report_sha=report.sha256,
        at_ns=now_ns,
        expires_ns=now_ns + 60 * _MINUTE_NS,
    )


def _story(told: Story, incident: Incident, candidate: Candidate, report: ValidationReport) -> Story:
    contenders = (
        _contender(candidate.id, candidate.result_sha, "skills", "params", candidate.rationale, 0.21, 0.24),
        _contender("pat_other", "0" * 64, "tune", "params", "Stiffer in joints 2 and 4.", 0.46, 0.58),
    )
    return replace(
        told,
        robot_id=incident.robot_id,
        incident=incident,
        candidates=(candidate,),
        contenders=contenders,
        asked=(
            Asked(proposer="skills", why="a fault with a known remedy", rollouts=0, cost_s=0.1, gain=0.8, brought=()),
        ),
        report=report,
        approval=None,
        outcome=None,
        plots=told.plots if candidate.id == "pat_active" else _until_now(told.plots),
        units=("rad",) * 7,
        strips=(_strip("In the incident", "spring, pick"), _strip("Where the patch gains least", "weave 50")),
    )


def _until_now(plots: Plots | None) -> Plots:
    """The telemetry up to the moment at which a patch waits for a decision."""
    assert plots is not None
    rows = slice(int(np.searchsorted(plots.t_s, stories.SWAP_S)))
    return replace(
        plots,
        t_s=plots.t_s[rows],
        test_ratio=plots.test_ratio[rows],
        error=plots.error[rows],
        reference=plots.reference[rows],
        position=plots.position[rows],
        after=None,
        swap_s=None,
        commit_s=None,
        canary=None,
        fault_s=None,
    )


def _contender(name: str, sha: str, proposer: str, kind: str, rationale: str, score: float, bound: float) -> Contender:
    return Contender(
        patch_id=name,
        result_sha=sha,
        proposer=proposer,
        kind=kind,
        rationale=rationale,
        score=score,
        bound=bound,
        recovery=1.0 - score,
        changes=3,
        dropped=False,
    )


def _strip(title: str, scenario: str) -> Strip:
    return Strip(title=title, scenario=scenario, before=_pictures(0.45), after=_pictures(0.04))


def _pictures(error: float) -> tuple[Picture, ...]:
    """An arm of three links (dark) and where it should be (pale)."""
    found = []
    for k in range(1, 7):
        image = Image.new("P", (320, 240), 0)
        image.putpalette([255, 255, 255, 190, 196, 204, 27, 31, 36, 230, 234, 238])
        pen = ImageDraw.Draw(image)
        pen.line([(20, 214), (300, 214)], fill=3, width=3)
        off = error * math.sin(0.5 * k)
        pen.line(_arm(0.4 * k), fill=1, width=7, joint="curve")
        pen.line(_arm(0.4 * k - off), fill=2, width=7, joint="curve")
        png = io.BytesIO()
        image.save(png, "PNG", optimize=True)
        found.append(Picture(t_s=k / 3, error=abs(off) / 3, lost=False, png=png.getvalue()))
    return tuple(found)


def _arm(angle: float) -> Sequence[tuple[float, float]]:
    points, x, y, turn = [(160.0, 214.0)], 160.0, 214.0, math.pi / 2
    for length, bend in ((80.0, 0.15), (70.0, -0.7), (45.0, -0.5)):
        turn += bend * math.cos(angle)
        x, y = x + length * math.cos(turn), y - length * math.sin(turn)
        points.append((x, y))
    return points
