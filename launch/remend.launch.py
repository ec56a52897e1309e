"""A robot: the host that drives it (or, with mode:=params, patches its own controller), and a watch over its topics.

ros2 launch remend remend.launch.py robot:=/etc/remend/my_arm/robot.toml namespace:=arm
"""

from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import EqualsSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription


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

    def driver(which: str) -> Node:
        return Node(
            package="remend",
            executable="remend",
            name=f"remend_{which}",
            namespace=namespace,
            arguments=["ros", which, *logging],
            parameters=[config, {"robot": robot}, sim_time],
            remappings=topics,
            respawn=True,  # it comes back with what was committed
            respawn_delay=1.0,
            output="screen",
            condition=IfCondition(EqualsSubstitution(mode, which)),
        )

    return LaunchDescription(
        [
            DeclareLaunchArgument("robot", description="Catalogue name, or path of a robot.toml."),
            DeclareLaunchArgument("namespace", default_value="", description="Name space of the nodes."),
            DeclareLaunchArgument("mode", default_value="host", choices=["host", "params"], description="Who drives."),
            DeclareLaunchArgument("config", default_value=shipped, description="YAML file with parameters."),
            DeclareLaunchArgument("joint_states", default_value="joint_states", description="Topic of measurements."),
            DeclareLaunchArgument("commands", default_value="commands", description="Topic of commands."),
            DeclareLaunchArgument("telemetry", default_value="true", description="Whether to watch topics."),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="Time comes from /clock."),
            DeclareLaunchArgument("log_level", default_value="info", description="Of all nodes."),
            driver("host"),
            driver("params"),
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
        ]
    )
