"""`remend ros`: the ROS 2 nodes. What follows `--ros-args` goes to ROS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import BadInput

if TYPE_CHECKING:
    from controllers.ros_host import HostNode

ros_app = typer.Typer(no_args_is_help=True, help="The ROS 2 nodes.")
_LOOSE = {"allow_extra_args": True, "ignore_unknown_options": True}

RobotName = Annotated[str, typer.Option("--robot", help="Catalogue name, or path of a robot.toml.")]


def ros_arguments(context: typer.Context) -> list[str]:
    """What a command line has for ROS: everything from `--ros-args` on.

    Raises:
        BadInput: there is something else that no flag explains.
    """
    extra = list(context.args)
    if extra and extra[0] != "--ros-args":
        raise BadInput(f"{extra[0]}: there is no such flag; what is meant for ROS comes after --ros-args")
    return extra


@ros_app.command("sim", context_settings=_LOOSE)
def sim_node(
    context: typer.Context,
    robot: RobotName,
    fault: Annotated[str, typer.Option("--fault", help="Fault in the catalogue's notation, or none.")] = "none",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the hidden robot, its noise and its work.")] = 1,
    learn: Annotated[float, typer.Option("--learn", min=0.0, help="Faults set in after this time [s].")] = 90.0,
    rate: Annotated[float, typer.Option("--rate", help="Multiple of real time; 0 with --lockstep: no limit.")] = 1.0,
    lockstep: Annotated[bool, typer.Option("--lockstep", help="Time stands still until a state is answered.")] = False,
    command_topic: Annotated[str, typer.Option("--command-topic", help="Topic of the commands.")] = "commands",
    work: Annotated[
        str | None, typer.Option("--work", help="Publish the robot's tasks as paths on this topic.")
    ] = None,
) -> None:
    """The PyBullet robot as a node: /clock, /joint_states, /odom, /imu, robot_description; takes commands."""
    from sim.catalogue import robot_file  # noqa: PLC0415
    from sim.ros_robot import SimulatedRobot, simulate  # noqa: PLC0415

    wanted = SimulatedRobot(
        robot_toml=robot_file(robot),
        fault=fault,
        seed=seed,
        learn_s=learn,
        rate=rate,
        lockstep=lockstep,
        command_topic=command_topic,
        work_topic=work,
    )
    simulate(wanted, ros_arguments(context))


@ros_app.command("host", context_settings=_LOOSE)
def host_node(
    context: typer.Context,
    robot: Annotated[str | None, typer.Option("--robot", help="Catalogue name, or path of a robot.toml.")] = None,
    robot_id: Annotated[str | None, typer.Option("--robot-id", help="Name of this robot in signatures.")] = None,
    trust: Annotated[Path | None, typer.Option("--trust", help="Public keys that may sign patches.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Where commits and the latch are kept.")] = None,
    simulated: Annotated[
        bool | None, typer.Option("--simulated", help="Nobody can come to harm: simulated operators may approve.")
    ] = None,
    sim_time: Annotated[bool | None, typer.Option("--sim-time", help="Time comes from /clock.")] = None,
) -> None:
    """The lifecycle node that drives a robot: /joint_states in, the law, commands out."""
    from controllers.ros_host import HostNode  # noqa: PLC0415

    given = {
        "robot": robot,
        "robot_id": robot_id,
        "trust": None if trust is None else str(trust),
        "folder": None if folder is None else str(folder),
        "simulated": simulated,
        "use_sim_time": sim_time,
    }
    _run_host(HostNode, given, ros_arguments(context))


def _run_host(kind: type[HostNode], given: dict[str, Any], arguments: list[str]) -> None:
    from core.ros_node import run  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415
    from sim.catalogue import robot_file  # noqa: PLC0415

    overrides = {name: value for name, value in given.items() if value not in (None, "")}

    def make() -> HostNode:
        node = kind(robot_file, overrides, home_path(os.environ))
        if node.get_parameter("autostart").value:
            node.start()
        return node

    run(make, arguments)


@ros_app.command("params", context_settings=_LOOSE)
def params_node(
    context: typer.Context,
    robot: Annotated[str | None, typer.Option("--robot", help="Catalogue name, or path of a robot.toml.")] = None,
    law: Annotated[str | None, typer.Option("--law", help="Folder of the law that models the controller.")] = None,
    controller: Annotated[
        str | None, typer.Option("--controller", help="Node whose parameters are patched, such as /pid.")
    ] = None,
    record: Annotated[
        float | None, typer.Option("--record", help="Recording that the law has to reproduce first [s].")
    ] = None,
    robot_id: Annotated[str | None, typer.Option("--robot-id", help="Name of this robot in signatures.")] = None,
    trust: Annotated[Path | None, typer.Option("--trust", help="Public keys that may sign patches.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Where commits and former values are kept.")] = None,
    simulated: Annotated[
        bool | None, typer.Option("--simulated", help="Nobody can come to harm: simulated operators may approve.")
    ] = None,
    sim_time: Annotated[bool | None, typer.Option("--sim-time", help="Time comes from /clock.")] = None,
) -> None:
    """For a robot that keeps its own controller: patches are steps of that one's parameters."""
    from controllers.ros_params import ParamsNode  # noqa: PLC0415

    given = {
        "robot": robot,
        "law": law,
        "controller": controller,
        "record_s": record,
        "robot_id": robot_id,
        "trust": None if trust is None else str(trust),
        "folder": None if folder is None else str(folder),
        "simulated": simulated,
        "use_sim_time": sim_time,
    }
    _run_host(ParamsNode, given, ros_arguments(context))


@ros_app.command("telemetry", context_settings=_LOOSE)
def telemetry_node(
    context: typer.Context,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="NAME:TYPE[:QOS[:DEADLINE_S]]; may be given again.")
    ] = None,
    head: Annotated[float | None, typer.Option("--head", help="How long the start counts as healthy [s].")] = None,
    rate_fa: Annotated[float | None, typer.Option("--rate-fa", help="Admissible false alarms per hour.")] = None,
    channels: Annotated[
        Path | None, typer.Option("--channels", help="TOML file with roles, units and limits of channels.")
    ] = None,
    sim_time: Annotated[bool | None, typer.Option("--sim-time", help="Time comes from /clock.")] = None,
) -> None:
    """Watch topics: health, test ratio and events of what they say."""
    from core.ros_node import run  # noqa: PLC0415
    from telemetry.ros_telemetry import TelemetryNode, parse_topic  # noqa: PLC0415

    given = {
        "head_s": head,
        "false_alarms_per_hour": rate_fa,
        "channels": None if channels is None else str(channels),
        "use_sim_time": sim_time,
    }
    overrides = {name: value for name, value in given.items() if value is not None}
    topics = tuple(map(parse_topic, topic or ()))
    run(lambda: TelemetryNode(topics, overrides), ros_arguments(context))


@ros_app.command("trust")
def trust_file(
    out: Annotated[Path, typer.Option("--out", help="File for the public keys; copy it to the robot.")],
) -> None:
    """Write the public keys that a robot of this installation should trust."""
    from core.durable import write_atomically  # noqa: PLC0415
    from remend.home import home_folder  # noqa: PLC0415
    from remend.keys import KeyRing  # noqa: PLC0415

    keys = KeyRing.open(home_folder(os.environ))
    try:
        write_atomically(out, keys.trust().to_json())
    except OSError as error:
        raise BadInput(f"{out}: cannot be written ({error.strerror}); give another path") from None
    typer.echo(f"{out}: operator {keys.operator_id}, service {keys.service_id}")
