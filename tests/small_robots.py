"""Small robots of other shapes than an arm, written to a folder: a cartpole, a quadrotor, a two-wheeler."""

from __future__ import annotations

from pathlib import Path

_INERTIAL = (
    '<inertial><origin xyz="0 0 {z}"/><mass value="{mass}"/>'
    '<inertia ixx="{i}" iyy="{i}" izz="{i}" ixy="0" ixz="0" iyz="0"/></inertial>'
)


def _link(name: str, mass: float = 0.0, i: float = 0.0, z: float = 0.0) -> str:
    inertial = _INERTIAL.format(mass=mass, i=i, z=z) if mass else ""
    return f'<link name="{name}">{inertial}</link>'


CARTPOLE_URDF = f"""<robot name="cartpole">
{_link("rail")}{_link("wagon", 1.0, 0.01)}{_link("rod", 0.2, 0.004, z=0.3)}
<joint name="cart" type="prismatic"><parent link="rail"/><child link="wagon"/><axis xyz="1 0 0"/>
<limit lower="-2" upper="2" velocity="5" effort="20"/><dynamics damping="0.1"/></joint>
<joint name="pole" type="revolute"><parent link="wagon"/><child link="rod"/><axis xyz="0 1 0"/>
<limit lower="-3" upper="3" velocity="20" effort="0"/><dynamics damping="0.002"/></joint>
</robot>
"""
CARTPOLE = """
name = "cartpole"
title = "Cart with a pole"
urdf = "robot.urdf"
joints = ["cart", "pole"]
actuators = ["cart"]
control_rate_hz = 100
physics_rate_hz = 400
controller = "own"
safety_controller = "own"
home = [0.0, 0.1]
lost_error = [1.5, 0.8]
[payload]
link = "rod"
point_m = [0.0, 0.0, 0.6]
[drive]
rotor_inertia = [0.05, 0.0]
command_delay_s = 0.002
command_rate = [500.0]
[sensors]
position_noise = [1e-4, 2e-4]
velocity_noise = 1e-3
effort_noise = 0.05
[tasks]
kinds = ["balance"]
low = [-1.0, 0.0]
high = [1.0, 0.5]
speed_fraction = 0.5
effort_fraction = 0.5
[envelope]
power_w = 60.0
speed_fraction = 1.0
braking_fraction = 0.5
reject_factor = 3.0
stale_after_s = 0.03
[canary]
stages = [0.5, 1.0]
hold_s = [0.1, 1.0]
fade_s = 0.1
shadow_s = 0.1
"""

QUADROTOR_URDF = f"""<robot name="quadrotor">{_link("frame", 0.8, 0.005)}</robot>"""
QUADROTOR = """
name = "quadrotor"
title = "Four rotors"
kind = "quadrotor"
mode = "thrust"
urdf = "robot.urdf"
joints = ["x", "y", "z", "roll", "pitch", "yaw"]
units = ["m", "m", "m", "rad", "rad", "rad"]
tracked = ["x", "y", "z", "yaw"]
actuators = ["front", "left", "back", "right"]
control_rate_hz = 100
controller = "own"
safety_controller = "own"
home = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
[constants]
arm_m = 0.2
thrust_coefficient = [1e-5, 1e-5, 1e-5, 1.1e-5]
[limits]
low = [-5.0, -5.0, 0.0, -1.2, -1.2, -1e9]
high = [5.0, 5.0, 4.0, 1.2, 1.2, 1e9]
speed = [4.0, 4.0, 3.0, 10.0, 10.0, 5.0]
effort_low = [0.0, 0.0, 0.0, 0.0]
effort_high = [6.0, 6.0, 6.0, 6.0]
[drive]
command_delay_s = 0.01
command_rate = [200.0, 200.0, 200.0, 200.0]
[sensors]
position_noise = [0.01, 0.01, 0.01, 0.002, 0.002, 0.002]
velocity_noise = 0.02
effort_noise = 0.05
[tasks]
kinds = ["hover"]
low = [-2.0, -2.0, 0.5, 0.0, 0.0, -1.0]
high = [2.0, 2.0, 2.5, 0.0, 0.0, 1.0]
speed_fraction = 0.5
effort_fraction = 0.8
[envelope]
speed_fraction = 1.0
reject_factor = 2.0
stale_after_s = 0.05
[canary]
stages = [1.0]
hold_s = [1.0]
fade_s = 0.1
shadow_s = 0.1
"""

ROVER_URDF = f"""<robot name="rover">{_link("chassis", 10.0, 0.2)}{_link("left_wheel", 0.5, 0.002)}
{_link("right_wheel", 0.5, 0.002)}
<joint name="left" type="continuous"><parent link="chassis"/><child link="left_wheel"/><axis xyz="0 1 0"/></joint>
<joint name="right" type="continuous"><parent link="chassis"/><child link="right_wheel"/><axis xyz="0 1 0"/></joint>
</robot>
"""
ROVER = """
name = "rover"
title = "Two driven wheels"
kind = "diffdrive"
urdf = "robot.urdf"
joints = ["x", "y", "yaw", "left", "right"]
units = ["m", "m", "rad", "rad", "rad"]
tracked = ["x", "y"]
actuators = ["right", "left"]
control_rate_hz = 100
controller = "own"
safety_controller = "own"
home = [0.0, 0.0, 0.0, 0.0, 0.0]
[limits]
low = [-10.0, -10.0, -1e9, -1e9, -1e9]
high = [10.0, 10.0, 1e9, 1e9, 1e9]
speed = [1.5, 1.5, 3.0, 20.0, 20.0]
damping = [0.0, 0.0, 0.0, 0.01, 0.01]
effort_low = [-2.0, -3.0]
effort_high = [2.0, 3.0]
[drive]
command_delay_s = 0.01
command_rate = [100.0, 100.0]
[sensors]
position_noise = 0.001
velocity_noise = 0.01
effort_noise = [0.02, 0.03]
[tasks]
kinds = ["circle"]
low = [-3.0, -3.0, 0.0, 0.0, 0.0]
high = [3.0, 3.0, 0.0, 0.0, 0.0]
speed_fraction = 0.5
effort_fraction = 0.5
[envelope]
power_w = 50.0
speed_fraction = 1.0
braking_fraction = 0.5
reject_factor = 2.0
stale_after_s = 0.05
[canary]
stages = [1.0]
hold_s = [1.0]
fade_s = 0.1
shadow_s = 0.1
"""

_TEXTS = {
    "cartpole": (CARTPOLE, CARTPOLE_URDF),
    "quadrotor": (QUADROTOR, QUADROTOR_URDF),
    "rover": (ROVER, ROVER_URDF),
}


def write(name: str, folder: Path) -> Path:
    """The robot.toml of one of them in `folder`, with its URDF beside it."""
    toml, urdf = _TEXTS[name]
    (folder / "robot.urdf").write_text(urdf, encoding="utf-8")
    file = folder / "robot.toml"
    file.write_text(toml, encoding="utf-8")
    return file
