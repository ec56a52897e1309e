"""Roles: what a robot declares, what names suggest, and what a user overrules."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from core.errors import BadInput
from core.robot_toml import load_robot
from sim.catalogue import robot_file
from telemetry.autoregressive import command_columns
from telemetry.channels import Channel, Role, channels_by_name, declare, load_declaration, robot_channels, role_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("elbow.q", Role.POSITION),
        ("elbow.q_ref", Role.REFERENCE),
        ("elbow.tau_cmd", Role.COMMAND),
        ("elbow.tau_meas", Role.EFFORT),
        ("shoulder.position", Role.POSITION),
        ("shoulder.velocity", Role.VELOCITY),
        ("Motor current [A]", Role.EFFORT),
        ("/imu/angular_velocity.x", Role.IMU),
        ("/effort_controller/commands/data[0]", Role.COMMAND),
        ("vehicle_attitude_setpoint/q[0]", Role.REFERENCE),
        ("u2", Role.COMMAND),
        ("Volume Flow RateRMS", Role.OTHER),
        ("queue", Role.OTHER),
        ("poseidon", Role.OTHER),
    ],
)
def test_names_suggest_roles(name: str, role: Role) -> None:
    assert role_of(name) is role


def test_whatever_the_residuals_take_for_a_command_is_an_input_here() -> None:
    names = ["q_cmd", "command", "x.ref", "setpoint", "desired_q", "target", "input", "u", "q", "current", "tau"]
    inputs = [i for i, channel in enumerate(channels_by_name(names)) if channel.is_input]
    assert tuple(inputs) == command_columns(names)


def test_robot_declares_a_channel_per_telemetry_column_with_units_and_limits() -> None:
    for name in ("iiwa", "cartpole", "quadrotor", "quadruped", "diffdrive"):
        robot = load_robot(robot_file(name))
        channels = robot_channels(robot)
        assert len(channels) == 5 * robot.dof + 2 * len(robot.actuators)
        assert len({channel.name for channel in channels}) == len(channels)
        assert all(channel.unit and channel.role is not Role.OTHER for channel in channels)
        commands = [channel for channel in channels if channel.role is Role.COMMAND]
        assert [c.low for c in commands] == list(robot.limits.effort_low)
        assert [c.high for c in commands] == list(robot.limits.effort_high)
        assert {c.unit for c in commands} <= set(robot.command_unit.split(" or "))
    iiwa = {channel.name: channel for channel in robot_channels(load_robot(robot_file("iiwa")))}
    first = next(iter(iiwa)).removesuffix(".q")
    assert iiwa[f"{first}.qdd_ref"].unit == "rad/s^2"
    assert iiwa[f"{first}.q"].high == math.inf


def test_declaration_overrules_the_name(tmp_path: Path) -> None:
    file = tmp_path / "channels.toml"
    file.write_text(
        '[channels."elbow.q"]\nrole = "other"\n[channels.valve]\nrole = "command"\nunit = "V"\nlow = 0\nhigh = 10\n'
    )
    declared = load_declaration(file)
    channels = declare(channels_by_name(["elbow.q", "valve", "u"]), declared, "log.csv")
    assert channels == (
        Channel(name="elbow.q"),
        Channel(name="valve", role=Role.COMMAND, unit="V", low=0.0, high=10.0),
        Channel(name="u", role=Role.COMMAND),
    )
    with pytest.raises(BadInput, match=r"log\.csv has no channel 'elbow\.q'"):
        declare(channels_by_name(["valve"]), declared, "log.csv")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[channels.a]\nrole = 'motor'\n", "must be one of command"),
        ("[channels.a]\nlow = 2\nhigh = 1\n", "must be below high"),
        ("[channels.a]\nunits = 'V'\n", "units is not known"),
        ("[channel.a]\n", "channels is missing"),
        ("channels = [\n", "cannot be read as TOML"),
    ],
)
def test_bad_declarations_are_refused(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(BadInput, match=match):
        load_declaration(tmp_path / "c.toml")
    with pytest.raises(BadInput, match="a channel declaration"):
        load_declaration(tmp_path / "absent.toml")
