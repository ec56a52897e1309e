"""No hardware: the PyBullet robot with a hidden fault, the host that drives it, a watch over its topics, and the
service with its dashboard.

ros2 launch remend sim_demo.launch.py robot:=arm2 fault:=friction:joint=1,scale=8
"""

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription


def simulated(context: object) -> list[Node | ExecuteProcess]:
    """The nodes, once the arguments are known."""

    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    config = value("config")
    flags = [word for name in ("robot", "fault", "seed", "learn", "rate") for word in (f"--{name}", value(name))]
    paths = "/remend_host/joint_trajectory"
    serve = ["ros2", "run", "remend", "remend", "serve", "--link", "ros", "--robot", value("robot"), "--simulated"]
    return [
        ExecuteProcess(cmd=[*serve, "--port", value("port")], output="screen"),
        Node(
            package="remend",
            executable="remend",
            name="remend_sim",
            arguments=["ros", "sim", *flags, "--work", paths],
            output="screen",
        ),
        Node(
            package="remend",
            executable="remend",
            name="remend_host",
            arguments=["ros", "host", "--robot", value("robot"), "--simulated", "--sim-time"],
            parameters=[config],
            output="screen",
        ),
        Node(
            package="remend",
            executable="remend",
            name="remend_telemetry",
            arguments=["ros", "telemetry", "--sim-time"],
            parameters=[config],
            output="screen",
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    shipped = PathJoinSubstitution([FindPackageShare("remend"), "launch", "config", "sim_demo.yaml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot", default_value="arm2", description="Catalogue name, or path of a robot.toml."
            ),
            DeclareLaunchArgument("fault", default_value="friction:joint=1,scale=8", description="Hidden fault."),
            DeclareLaunchArgument("seed", default_value="1", description="Of the hidden robot."),
            DeclareLaunchArgument("learn", default_value="90.0", description="The fault sets in after this time [s]."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Multiple of real time."),
            DeclareLaunchArgument("port", default_value="8600", description="Of the dashboard."),
            DeclareLaunchArgument("config", default_value=shipped, description="YAML file with parameters."),
            OpaqueFunction(function=simulated),
        ]
    )
