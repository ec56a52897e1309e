"""`demo` and `heal`: the same simulated healing, once for a person at a terminal and once for a script."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from core.errors import BadInput
from core.records import Candidate, Diagnosis, ValidationReport
from patcher.propose.base import Proposal
from remend.console import Console
from remend.decision import Decide, Decision
from remend.healing import Healing
from remend.simulation import Request, Run, run
from sim.policy_toml import SHIPPED
from telemetry.incident_files import LAYOUT, RECORDING, TABLE, write_incident


class _StageLines(Console):
    """Stages only: a script reads the JSON."""

    def show_diagnosis(self, diagnosis: Diagnosis) -> None:
        pass

    def show_patch(self, candidate: Candidate, report: ValidationReport) -> None:
        pass


def heal_headless(
    robot: str,
    fault: str,
    seed: int,
    budget: int,
    proposer: str,
    foxglove: int | None = None,
    policy: Path | None = None,
) -> Healing:
    """One healing in lockstep; progress goes to standard error."""
    request = Request(
        robot=robot,
        fault=fault,
        seed=seed,
        budget=budget,
        proposer=proposer,
        real_time=False,
        foxglove=foxglove,
        policy=policy or SHIPPED,
    )
    return run(request, _simulated_operator, _StageLines(file=sys.stderr)).healing


def _simulated_operator(proposal: Proposal, diagnosis: Diagnosis, report: ValidationReport) -> Decision:
    """Approves whatever passed its gates; only a simulated robot accepts this name."""
    return Decision(approve=True, actor="simulated-operator", reason="simulated robot, all gates passed")


def tour(
    robot: str,
    fault: str,
    seed: int,
    *,
    approve: bool,
    json_file: Path | None,
    out: Path,
    foxglove: int | None = None,
    policy: Path | None = None,
) -> int:
    """The demo. Returns the exit code."""
    from remend.cli import write_json  # noqa: PLC0415 the command line imports this module

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{out}: cannot be created ({error.strerror}); give another folder with --out") from None
    console = Console()
    request = Request(
        robot=robot,
        fault=fault,
        seed=seed,
        budget=300,
        proposer="auto",
        real_time=True,
        foxglove=foxglove,
        policy=policy or SHIPPED,
    )
    finished = run(request, _decider(console, approve=approve), console)
    files = _write_files(finished, out)
    console.show_result(finished.story, files)
    if json_file is not None:
        write_json(str(json_file), finished.healing.to_json())
    return 0 if finished.healing.as_asked else 1


def _decider(console: Console, *, approve: bool) -> Decide:
    """Asks at the terminal; without one, or with --yes, says that it approves because this is a demo."""

    def decide(proposal: Proposal, diagnosis: Diagnosis, report: ValidationReport) -> Decision:
        if approve or not sys.stdin.isatty():
            why = "--yes was given" if approve else "there is no terminal to ask at"
            console.line(f"This is a demo and {why}: approving on your behalf.")
            return Decision(approve=True, actor="demo", reason=f"demo, {why}")
        answer = typer.prompt("Approve this patch for the simulated robot? Type approve or reject")
        while answer.strip().lower() not in ("approve", "reject"):
            answer = typer.prompt("Type approve or reject")
        approved = answer.strip().lower() == "approve"
        reason = "" if approved else typer.prompt("Reason", default="not convinced")
        return Decision(approve=approved, actor="operator", reason=reason or "approved at the terminal")

    return decide


def _write_files(finished: Run, out: Path) -> list[tuple[str, str]]:
    """report.html, the files of the incident and the picture; what each is and where."""
    from remend.picture import write_picture  # noqa: PLC0415 matplotlib takes a second that heal need not wait for
    from remend.report import write_report  # noqa: PLC0415

    story = finished.story
    write_report(story, out / "report.html")
    files = [("report", str(out / "report.html"))]
    event = finished.healing.event
    write_incident(
        out,
        finished.robot,
        finished.tape.rows(),
        finished.test_ratio,
        (event,) if event else (),
        {"robot": story.robot_id, "fault": story.fault or "", "seed": str(story.seed)},
    )
    files.append(("telemetry", str(out / RECORDING)))
    files.append(("layout", str(out / LAYOUT)))
    files.append(("table", str(out / TABLE)))
    if story.outcome is not None:
        write_picture(story, out / "heal.png")
        files.append(("picture", str(out / "heal.png")))
    return files
