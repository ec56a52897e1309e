"""`remend ros`: the ROS 2 nodes. What follows `--ros-args` goes to ROS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from core.errors import BadInput

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
    from core.ros_node import run  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415
    from sim.catalogue import robot_file  # noqa: PLC0415

    given = {
        "robot": robot,
        "robot_id": robot_id,
        "trust": None if trust is None else str(trust),
        "folder": None if folder is None else str(folder),
        "simulated": simulated,
        "use_sim_time": sim_time,
    }
    overrides = {name: value for name, value in given.items() if value is not None}

    def make() -> HostNode:
        node = HostNode(robot_file, overrides, home_path(os.environ))
        if node.get_parameter("autostart").value:
            node.start()
        return node

    run(make, ros_arguments(context))


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
