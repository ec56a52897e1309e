"""A recording: plays a bag with its clock and watches its topics, as if the robot were there.

ros2 launch remend replay.launch.py bag:=recordings/monday rate:=5
"""

from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

DRAIN_S = 3.0  # for the last rows to be judged


def generate_launch_description() -> LaunchDescription:
    bag, rate = LaunchConfiguration("bag"), LaunchConfiguration("rate")
    shipped = PathJoinSubstitution([FindPackageShare("remend"), "launch", "config", "replay.yaml"])
    play = ExecuteProcess(cmd=["ros2", "bag", "play", bag, "--clock", "100", "--rate", rate], output="screen")
    watch = Node(
        package="remend",
        executable="remend",
        name="remend_telemetry",
        arguments=["ros", "telemetry", "--sim-time"],
        parameters=[LaunchConfiguration("config")],
        output="screen",
    )
    end = TimerAction(period=DRAIN_S, actions=[EmitEvent(event=Shutdown(reason="the bag is over"))])
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Folder of a rosbag2 recording."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Multiple of real time."),
            DeclareLaunchArgument("config", default_value=shipped, description="YAML file with parameters."),
            watch,
            play,
            RegisterEventHandler(OnProcessExit(target_action=play, on_exit=[end])),
        ]
    )
