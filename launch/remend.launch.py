"""A robot: the host that drives it (or, with mode:=params, patches its own controller), a watch over its topics, and
the service that looks after it, with its dashboard.

ros2 launch remend remend.launch.py robot:=/etc/remend/my_arm/robot.toml namespace:=arm
"""

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import EqualsSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription


def served(context: object) -> list[ExecuteProcess]:
    """The service, once the arguments are known: what was not given is no flag."""

    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    if value("service") != "true":
        return []
    given = {f"--{name.replace('_', '-')}": value(name) for name in ("robot", "robot_id", "namespace", "law", "port")}
    flags = [word for flag, text in given.items() if text for word in (flag, text)]
    simulated = ["--simulated"] if value("simulated") == "true" else []
    cmd = ["ros2", "run", "remend", "remend", "serve", "--link", "ros", *flags, *simulated]
    return [ExecuteProcess(cmd=cmd, output="screen", respawn=True, respawn_delay=1.0)]


def generate_launch_description() -> LaunchDescription:
    robot, namespace, mode = (LaunchConfiguration(name) for name in ("robot", "namespace", "mode"))
    config, log_level = LaunchConfiguration("config"), LaunchConfiguration("log_level")
    sim_time = {"use_sim_time": LaunchConfiguration("use_sim_time")}
    shipped = PathJoinSubstitution([FindPackageShare("remend"), "launch", "config", "remend.yaml"])
    logging = ["--ros-args", "--log-level", log_level]
    topics = [
        ("joint_states", LaunchConfiguration("joint_states")),
        ("commands", LaunchConfiguration("commands")),
    ]

    def driver(which: str, *own: str) -> Node:
        flags = [word for name in own for word in (f"--{name.replace('_', '-')}", LaunchConfiguration(name))]
        return Node(
            package="remend",
            executable="remend",
            name=f"remend_{which}",
            namespace=namespace,
            arguments=["ros", which, *flags, *logging],  # what is empty is as if it had not been given
            parameters=[config, {"robot": robot, "simulated": LaunchConfiguration("simulated")}, sim_time],
            remappings=topics,
            respawn=True,  # it comes back with what was committed
            respawn_delay=1.0,
            output="screen",
            condition=IfCondition(EqualsSubstitution(mode, which)),
        )

    return LaunchDescription(
        [
            DeclareLaunchArgument("robot", description="Catalogue name, or path of a robot.toml."),
            DeclareLaunchArgument("robot_id", default_value="", description="Name in signatures; else the robot's."),
            DeclareLaunchArgument("namespace", default_value="", description="Name space of the nodes."),
            DeclareLaunchArgument("mode", default_value="host", choices=["host", "params"], description="Who drives."),
            DeclareLaunchArgument("config", default_value=shipped, description="YAML file with parameters."),
            DeclareLaunchArgument("joint_states", default_value="joint_states", description="Topic of measurements."),
            DeclareLaunchArgument("commands", default_value="commands", description="Topic of commands."),
            DeclareLaunchArgument("telemetry", default_value="true", description="Whether to watch topics."),
            DeclareLaunchArgument("service", default_value="true", description="false where it runs elsewhere."),
            DeclareLaunchArgument("port", default_value="", description="Of the dashboard; by default 8600."),
            DeclareLaunchArgument("law", default_value="", description="With mode:=params: the model's folder."),
            DeclareLaunchArgument("controller", default_value="", description="With mode:=params: the node it models."),
            DeclareLaunchArgument("simulated", default_value="false", description="Nobody can come to harm."),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="Time comes from /clock."),
            DeclareLaunchArgument("log_level", default_value="info", description="Of all nodes."),
            driver("host", "robot_id"),
            driver("params", "robot_id", "law", "controller"),
            Node(
                package="remend",
                executable="remend",
                name="remend_telemetry",
                namespace=namespace,
                arguments=["ros", "telemetry", *logging],
                parameters=[config, sim_time],
                output="screen",
                condition=IfCondition(LaunchConfiguration("telemetry")),
            ),
            OpaqueFunction(function=served),
        ]
    )
