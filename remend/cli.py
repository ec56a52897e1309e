"""The command line. Exit codes: 0 done and as asked, 1 the answer is no, 2 bad input, 3 internal fault."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.errors import BadInput
from core.status import Verdict
from remend import __version__, operator_cli
from remend.ending import said
from remend.policy_cli import policy_app
from remend.ros_cli import ros_app

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A self-patching controller service for robots.",
)
audit_app = typer.Typer(no_args_is_help=True, help="The audit log.")
app.add_typer(audit_app, name="audit")
app.add_typer(ros_app, name="ros")
app.add_typer(policy_app, name="policy")
operator_cli.add_to(app)

RobotName = Annotated[str, typer.Option("--robot", help="Catalogue name, or path of a robot.toml.")]
FaultSpec = Annotated[str, typer.Option("--fault", help="Fault in the catalogue's notation, or none.")]
_MOST_NOTES = 20  # of a recording of many channels that are all missing something
Foxglove = Annotated[
    int | None,
    typer.Option(
        "--foxglove", min=1, max=65535, help="Port of a live view for Foxglove on this machine, such as 8765."
    ),
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="What evidence must show: a policy file; by default the shipped one.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulated robot, its noise, work and onset.")]


@app.command()
def demo(
    robot: RobotName = "iiwa",
    fault: FaultSpec = "payload",
    seed: Seed = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON to this file.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report, the incident and the picture.")] = Path(
        "out"
    ),
    foxglove: Foxglove = None,
    policy: PolicyFile = None,
) -> None:
    """The tour: a healthy robot, a fault, detection, twin, patch, evidence, approval, swap, recovery."""
    from remend.demo import tour  # noqa: PLC0415 the simulation is heavy to import and an extra

    if json_file is not None:
        require_place(str(json_file))
    code = tour(robot, fault, seed, approve=yes, json_file=json_file, out=out, foxglove=foxglove, policy=policy)
    raise typer.Exit(code)


@app.command()
def serve(
    sim: Annotated[bool, typer.Option("--sim", help="Bring a simulated robot along.")] = False,
    link: Annotated[str | None, typer.Option("--link", help="Reach a robot over ROS 2: ros.")] = None,
    robot: RobotName = "iiwa",
    robot_id: Annotated[str | None, typer.Option("--robot-id", help="Id that the robot's host was given.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", help="Of the robot's ROS 2 nodes, such as /arm.")] = "",
    simulated: Annotated[bool, typer.Option("--simulated", help="With --link: the robot is a simulated one.")] = False,
    law: Annotated[
        Path | None, typer.Option("--law", help="With --link: the model of the controller that the robot keeps.")
    ] = None,
    fault: FaultSpec = "payload:onset=20",
    seed: Seed = 1,
    config: Annotated[Path | None, typer.Option("--config", help="Settings; by default remend.toml at home.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen at; by default this machine's.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = None,
) -> None:
    """The service: looks after robots, and asks an operator on its pages."""
    from remend.serving import ros_robot  # noqa: PLC0415
    from remend.serving import serve as serve_robots  # noqa: PLC0415
    from remend.simulation import simulated_robot  # noqa: PLC0415

    if link not in (None, "ros") or (link is not None and sim) or (link is None and (robot_id or law)):
        raise BadInput(
            "--link ros reaches one robot, and takes --robot-id and --law; --sim brings a simulated one; give either"
        )
    robots = (simulated_robot(robot, fault, seed),) if sim else ()
    if link is not None:
        robots = (ros_robot(robot, robot_id, namespace, seed, simulated=simulated, law=law),)
    serve_robots(robots, config, host, port)


@app.command()
def heal(
    robot: RobotName = "iiwa",
    fault: FaultSpec = "payload",
    seed: Seed = 1,
    budget: Annotated[int, typer.Option("--budget", min=0, help="Search rollouts that may be spent.")] = 300,
    proposer: Annotated[
        str, typer.Option("--proposer", help="auto, memory, skills, tune, evolve, llm or rl.")
    ] = "auto",
    json_file: Annotated[
        str, typer.Option("--json", help="Write the result to this file; - is standard output.")
    ] = "-",
    foxglove: Foxglove = None,
    policy: PolicyFile = None,
) -> None:
    """One incident on a simulated robot, headless and faster than real time."""
    from remend.demo import heal_headless  # noqa: PLC0415

    require_place(json_file)
    healing = heal_headless(robot, fault, seed, budget, proposer, foxglove, policy)
    write_json(json_file, healing.to_json())
    raise typer.Exit(0 if healing.as_asked else 1)


@app.command()
def detect(
    file: Annotated[Path, typer.Argument(help="CSV, MCAP, rosbag2 or PX4 ULog recording.")],
    out: Annotated[Path, typer.Option("--out", help="CSV with columns t, score, alarm; one row per input row.")],
    head: Annotated[str | None, typer.Option("--head", help="Healthy start: rows (400) or seconds (20s).")] = None,
    rate_fa: Annotated[float, typer.Option("--rate-fa", help="Admissible false alarms per hour.")] = 0.1,
    events: Annotated[Path | None, typer.Option("--events", help="Write the events as JSON to this file.")] = None,
    channels: Annotated[
        Path | None, typer.Option("--channels", help="TOML file with roles, units and limits of channels.")
    ] = None,
) -> None:
    """Run the streaming detector over a recording."""
    from telemetry.detect import detect_file  # noqa: PLC0415

    summary = detect_file(file, head, rate_fa, out, events, channels)
    notes = [*summary.notes, *(finding.detail for finding in summary.health)]
    for note in notes[:_MOST_NOTES]:
        typer.echo(f"note: {note}", err=True)
    if len(notes) > _MOST_NOTES:
        typer.echo(f"note: and {len(notes) - _MOST_NOTES} more of this kind", err=True)
    typer.echo(f"{summary.rows} rows, {len(summary.events)} events, scores in {out}")


@app.command()
def check(
    law_dir: Annotated[Path, typer.Argument(help="Folder with law.py, params.toml and manifest.toml.")],
    robot: Annotated[
        str | None, typer.Option("--robot", help="Robot that it must fit: catalogue name, or path of a robot.toml.")
    ] = None,
) -> None:
    """Check a control law: language, indices, bounds, cost."""
    from controllers.check import check_folder  # noqa: PLC0415
    from sim.catalogue import find_robot  # noqa: PLC0415

    report = check_folder(law_dir, None if robot is None else find_robot(robot).ports)
    typer.echo(f"{report.name}: {report.summary}")
    typer.echo(f"  signals   {', '.join(report.signals)}")
    for row in report.params:
        low, high = min(row.low), max(row.high)
        typer.echo(f"  {row.name} [{row.unit}] = {row.value}, {low:g} to {high:g}")
    typer.echo(
        f"  cost      {report.cost} operations, {report.call_us:.1f} us a call, {100 * report.load:.2g} % of the period"
    )
    typer.echo(f"  sha256    {report.sha256}")


@app.command()
def validate(
    law_dir: Annotated[Path, typer.Argument(help="Folder with law.py, params.toml and manifest.toml.")],
    robot: RobotName,
    fault: Annotated[str, typer.Option("--fault", help="Fault that the robot has, or none.")] = "none",
    seed: Seed = 1,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write the result to this file; - is standard output.")
    ] = None,
    policy: PolicyFile = None,
) -> None:
    """Full evidence for a controller against the one that a robot has."""
    from remend.console import Console  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415
    from remend.settings import load_settings  # noqa: PLC0415
    from remend.validation import validate_folder  # noqa: PLC0415

    if json_file is not None:
        require_place(json_file)
    console = Console(file=sys.stderr if json_file == "-" else None)
    settings = load_settings(home_path(os.environ)).workers
    found = validate_folder(law_dir, robot, fault, seed, console, policy, settings)
    if json_file is not None:
        write_json(json_file, found.to_json())
    raise typer.Exit(0 if found.report.verdict is Verdict.PASS else 1)


@app.command("import")
def import_policy(
    file: Annotated[Path, typer.Argument(metavar="POLICY", help="Zip that model.save() of stable-baselines3 wrote.")],
    robot: RobotName,
    out: Annotated[Path, typer.Option("--out", help="Folder for the controller version: new, or empty.")],
    residual: Annotated[
        float | None,
        typer.Option("--residual", help="Share of half the command range that it may add to the robot's own law."),
    ] = None,
    normalise: Annotated[
        Path | None, typer.Option("--normalise", help="Its VecNormalize pickle, or an .npz with mean and var.")
    ] = None,
    levels: Annotated[
        str | None, typer.Option("--levels", help="What each choice of a DQN commands, such as -1,0,1.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write the result to this file; - is standard output.")
    ] = None,
) -> None:
    """Make a controller version of a policy that was trained with stable-baselines3."""
    from remend.import_policy import import_policy as bring_in  # noqa: PLC0415

    if json_file is not None:
        require_place(json_file)
    found = bring_in(file, robot, out, residual=residual, normalise=normalise, levels=levels)
    if json_file is not None:
        write_json(json_file, found.to_json())
    typer.echo("\n".join(found.lines()), err=json_file == "-")


@app.command()
def robots() -> None:
    """The robots that can be simulated: shipped ones, and those of installed packages."""
    from core.robot_toml import load_robot  # noqa: PLC0415
    from sim.catalogue import robot_files  # noqa: PLC0415

    for name, path in robot_files().items():
        robot = load_robot(path)
        typer.echo(
            f"{name}: {robot.title}; {robot.dof} joints at {robot.control_rate_hz} Hz, controller {robot.controller}"
        )


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder for the robot: new, or empty.")],
    urdf: Annotated[Path, typer.Option("--urdf", help="URDF of an arm with 1 to 8 joints on a fixed base.")],
    name: Annotated[str | None, typer.Option("--name", help="Short name of the robot; by default the URDF's.")] = None,
    control_rate: Annotated[
        int, typer.Option("--control-rate", min=10, max=2000, help="Rate of the control loop [Hz].")
    ] = 500,
    tip: Annotated[
        str | None, typer.Option("--tip", help="Link that ends the arm; by default the end of the longest chain.")
    ] = None,
) -> None:
    """Set up an own arm from its URDF: robot.toml, control laws, and what to check."""
    from remend.own_robot.folder import set_up  # noqa: PLC0415

    own = set_up(folder, urdf, name=name, control_rate_hz=control_rate, tip=tip)
    typer.echo("\n".join(own.lines()))


@app.command()
def faults(
    robot: Annotated[str, typer.Option(help="Only what this robot can have: a catalogue name or a path.")] = "",
) -> None:
    """The faults that can be injected, with their notation."""
    from sim.catalogue import find_robot  # noqa: PLC0415
    from sim.faults.catalogue import CATALOGUE, faults_of  # noqa: PLC0415

    chosen = find_robot(robot) if robot else None
    for kind in (CATALOGUE if chosen is None else faults_of(chosen)).values():
        where = [] if kind.target == "robot" else [f"{kind.key}=J"]
        values = ",".join([*where, *(f"{p.name}={p.default:.3g}" for p in kind.parameters if not p.spread)])
        typer.echo(f"{kind.name}:{values}    {kind.meaning}")
        for p in kind.parameters:
            unit = p.unit if chosen is None else kind.unit_of(p, chosen)
            apart = f"; unless given, {p.spread[0]:.3g} to {p.spread[1]:.3g} by {kind.key}" if p.spread else ""
            typer.echo(f"    {p.name} [{unit}]: {p.meaning}, {p.low:.3g} to {p.high:.3g}{apart}")
    typer.echo(
        "Join with +; each takes onset=S, ramp=S, lasts=S, period=S with duty=0..1, and severity=0..1. "
        "Without joint= (rotor=, wheel=) a fault sits in all of them."
    )


@app.command()
def bench(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="sim, twin, detect, workers, evidence, heal, rl, swap, service, dashboard; without it all.",
        ),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write the figures to this file; - is standard output.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repetitions: about a minute each.")] = False,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.1, help="That each long run of `service` may take.")
    ] = None,
) -> None:
    """Measure what the product claims, each figure against its peer in the same run."""
    from remend.bench import run  # noqa: PLC0415

    if json_file is not None:
        require_place(json_file)
    rows = []
    for figure in run.figures(name, quick, minutes):
        rows.append(figure)
        typer.echo(f"  {' | '.join(cell for cell in run.spoken(figure) if cell)}", err=True)
    run.show(rows)
    if json_file is not None:
        write_json(json_file, [row.to_json() for row in rows])
    raise typer.Exit(0 if all(row.met for row in rows) else 1)


@app.command()
def show(record: Annotated[str, typer.Argument(metavar="ID", help="Id of an incident or a patch.")]) -> None:
    """Everything known of an incident or a patch, as JSON."""
    from remend.database import is_kept  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415
    from remend.store import Store  # noqa: PLC0415

    home = home_path(os.environ)
    if not is_kept(home):
        raise BadInput(f"{home}: nothing is stored here yet; run `remend heal` first, or set REMEND_HOME")
    with Store.open(home) as store:
        write_json("-", store.show(record))


@audit_app.command("verify")
def audit_verify(
    head: Annotated[
        list[Path] | None, typer.Option("--head", help="service.head of a robot's folder; may be given again.")
    ] = None,
) -> None:
    """Check the audit log: every row, every record it speaks of, the signed head, and the heads that robots keep."""
    from remend.audit import verify_home  # noqa: PLC0415
    from remend.database import is_kept  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415

    home = home_path(os.environ)
    if not is_kept(home) and not (home / "audit.head").exists():
        raise BadInput(f"{home}: nothing is stored here yet; run `remend heal` first, or set REMEND_HOME")
    for file in head or ():
        if not file.is_file():
            raise BadInput(f"{file}: there is no such file; give the service.head of a robot's folder")
    verdict = verify_home(home, heads={str(file): file.read_bytes() for file in head or ()})
    if not verdict.ok:
        typer.echo(f"audit log broken at row {verdict.first_bad_seq}: {verdict.why}")
        raise typer.Exit(1)
    typer.echo(f"audit log intact: {verdict.rows} rows, head {verdict.head[:16]}")


@audit_app.command("export")
def audit_export(out: Annotated[Path, typer.Argument(help="File to write: one row a line, as JSON.")]) -> None:
    """Write the audit log to a file, oldest row first."""
    from remend.audit import export  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415

    require_place(str(out))
    typer.echo(f"{out}: {export(home_path(os.environ), out)} rows")


@app.command()
def kill(
    robot: Annotated[str | None, typer.Argument(metavar="ROBOT", help="Id of the robot.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every robot of this home.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the kill.")] = "remend kill",
) -> None:
    """Run the built-in baseline from the next tick on, latched. Needs no service and no key."""
    from remend.home import home_path  # noqa: PLC0415
    from remend.kill import find_robot_folder, kill_robot, robot_folders  # noqa: PLC0415

    home = home_path(os.environ)
    if (robot is None) is not every:
        raise BadInput("say which robot to kill, or --all")
    for one in robot_folders(home) if robot is None else [find_robot_folder(home, robot)]:
        typer.echo(f"{one.robot_id}: killed ({kill_robot(one, reason).reason}); remend rearm {one.robot_id} re-arms it")


@app.command()
def rearm(robot: Annotated[str, typer.Argument(metavar="ROBOT", help="Id of the robot.")]) -> None:
    """Let a killed robot take patches again, with the operator's key. It stays on its baseline."""
    from remend.home import home_path  # noqa: PLC0415
    from remend.kill import find_robot_folder, rearm_robot  # noqa: PLC0415

    home = home_path(os.environ)
    one = find_robot_folder(home, robot)
    rearm_robot(one, home)
    typer.echo(f"{one.robot_id}: re-arming signed; its host takes it within a second, or when it starts")


@app.command()
def doctor() -> None:
    """Check this environment and say what to mend."""
    from remend.doctor import examine  # noqa: PLC0415

    findings = examine()
    for finding in findings:
        hint = f"; {finding.hint}" if finding.hint else ""
        typer.echo(f"{finding.status:<5} {finding.name}: {finding.what}{hint}")
    raise typer.Exit(1 if any(finding.status == "fail" for finding in findings) else 0)


def require_place(file: str) -> None:
    """Refuse a path that cannot become a file before the work begins, not when its result is to be written."""
    path = Path(file)
    if file != "-" and (path.is_dir() or not path.parent.is_dir()):
        raise BadInput(f"{file}: cannot be written (not a file in a folder that exists); give another path")


def write_json(file: str, value: object) -> None:
    """Write `value` to a file, or to standard output for `-`."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file}: cannot be written ({error.strerror}); give another path") from None


def _version(value: bool) -> None:
    if value:
        typer.echo(f"remend {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Entry point: one clear sentence for what went wrong, and the exit code that scripts rely on."""
    try:
        app()
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(said(error))
