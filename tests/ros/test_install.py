"""Launch files, their config, and what a ROS 2 workspace, systemd, Docker and SROS 2 read: do they fit the nodes?

`launch` is not installed with the wheels, so that launch files run here against a fake that records what they ask for.
"""

from __future__ import annotations

import configparser
import re
import runpy
import shlex
import sys
import tomllib
import types
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import rclpy
import typer
import yaml
from rclpy.context import Context
from rclpy.node import Node

from controllers.ros_host import SETTINGS as HOST
from controllers.ros_params import ParamsNode
from remend import __version__
from remend.cli import app
from telemetry.ros_live import Topic
from telemetry.ros_telemetry import SETTINGS as TELEMETRY
from tests.ros.graph import Graph

ROOT = Path(__file__).parent.parent.parent
LAUNCH = sorted((ROOT / "launch").glob("*.launch.py"))
CONFIG = sorted((ROOT / "launch" / "config").glob("*.yaml"))
DECLARED = {
    "remend_host": {setting.name for setting in HOST},
    "remend_params": {setting.name for setting in ParamsNode.settings},
    "remend_telemetry": {setting.name for setting in TELEMETRY},
}


class Asked:
    """Anything that a launch file makes: its class and what it was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def perform(self, context: dict[str, str]) -> str:
        return context[self.args[0]]


def fake(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Asked]]:
    """Modules of launch and launch_ros whose classes record; by name of the class."""
    made: dict[str, list[Asked]] = {}

    def recorder(name: str) -> type[Asked]:
        def init(self: Asked, *args: Any, **kwargs: Any) -> None:
            Asked.__init__(self, *args, **kwargs)
            made.setdefault(name, []).append(self)

        return type(name, (Asked,), {"__init__": init})

    actions = "DeclareLaunchArgument EmitEvent ExecuteProcess OpaqueFunction RegisterEventHandler TimerAction"
    names = {
        "launch": ["LaunchDescription"],
        "launch.actions": actions.split(),
        "launch.conditions": ["IfCondition"],
        "launch.event_handlers": ["OnProcessExit"],
        "launch.events": ["Shutdown"],
        "launch.substitutions": ["EqualsSubstitution", "LaunchConfiguration", "PathJoinSubstitution"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.substitutions": ["FindPackageShare"],
    }
    for module, classes in names.items():
        made_module = types.ModuleType(module)
        for name in classes:
            setattr(made_module, name, recorder(name))
        monkeypatch.setitem(sys.modules, module, made_module)
    return made


def flags_of(*words: str) -> set[str]:
    """Flags of `remend WORDS`."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    return {flag for parameter in command.params for flag in parameter.opts}


@pytest.mark.parametrize("file", LAUNCH, ids=lambda file: file.name)
def test_a_launch_file_starts_nodes_that_exist_with_flags_that_they_have(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fake(monkeypatch)
    runpy.run_path(str(file))["generate_launch_description"]()
    arguments = {a.args[0]: a.kwargs for a in made["DeclareLaunchArgument"]}
    assert all(kwargs.get("description") for kwargs in arguments.values())
    values = {name: str(kwargs.get("default_value", "x")) for name, kwargs in arguments.items()}
    for late in made.get("OpaqueFunction", []):
        late.kwargs["function"](values)
    used = {a.args[0] for a in made.get("LaunchConfiguration", [])}
    assert used == set(arguments)
    assert made["Node"]
    for node in made["Node"]:
        assert (node.kwargs["package"], node.kwargs["executable"]) == ("remend", "remend")
        ros, command, *rest = node.kwargs["arguments"]
        assert ros == "ros"
        assert node.kwargs["name"] == f"remend_{command}"
        words = [word for word in rest if isinstance(word, str)]
        ours = words[: words.index("--ros-args")] if "--ros-args" in words else words
        assert {word for word in ours if word.startswith("--")} <= flags_of("ros", command)
        assert set(node.kwargs) <= {
            *("package", "executable", "name", "namespace", "arguments", "parameters", "remappings"),
            *("respawn", "respawn_delay", "output", "condition"),
        }
    services = [p.kwargs["cmd"] for p in made.get("ExecuteProcess", []) if "serve" in p.kwargs["cmd"]]
    assert len(services) == (file.name != "replay.launch.py")
    for cmd in services:
        assert cmd[:7] == ["ros2", "run", "remend", "remend", "serve", "--link", "ros"]
        assert {word for word in cmd if word.startswith("--")} <= flags_of("serve")
        assert all(cmd[1:])
    for shared in made.get("PathJoinSubstitution", []):
        _, *parts = shared.args[0]
        assert (ROOT / Path(*parts)).is_file()


@pytest.mark.parametrize("namespace", ["", "/arm"])
@pytest.mark.parametrize("file", CONFIG, ids=lambda file: file.name)
def test_every_parameter_of_a_config_reaches_a_node_that_declares_it(file: Path, namespace: str, graph: Graph) -> None:
    assert graph.domain
    for name in (key.rpartition("/")[2] for key in yaml.safe_load(file.read_text())):
        context = Context()
        rclpy.init(context=context, args=[])
        node = Node(
            name,
            namespace=namespace,
            context=context,
            cli_args=["--ros-args", "--params-file", str(file)],
            automatically_declare_parameters_from_overrides=True,
        )
        found = {key: value.value for key, value in node.get_parameters_by_prefix("").items()} | {
            key: node.get_parameter(key).value for key in node._parameters
        }
        node.destroy_node()
        rclpy.shutdown(context=context)
        given = {key for key in found if key not in ("use_sim_time", "start_type_description_service")}
        topics = found.get("topics", [])
        of_topics = {key for key in given if key.partition(".")[0] in topics and "." in key}
        assert given - of_topics <= DECLARED[name]
        assert given, "the file says nothing to this node"
        for topic in topics:
            Topic(
                name=found[f"{topic}.topic"],
                type=found[f"{topic}.type"],
                qos=found[f"{topic}.qos"],
                deadline_s=found.get(f"{topic}.deadline_s", 0.0),
            )


def test_a_workspace_finds_the_package() -> None:
    root = ET.parse(ROOT / "package.xml").getroot()  # noqa: S314 our own file
    assert root.findtext("name") == "remend"
    assert root.findtext("version") == __version__
    assert root.findtext("export/build_type") == "ament_python"
    assert (ROOT / "resource" / "remend").read_bytes() == b""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["install"]["install_scripts"] == config["develop"]["script_dir"] == "$base/lib/remend"
    needed = {depend.text for depend in root.findall("exec_depend")}
    imports = re.compile(r"^\s*(?:from|import) (rclpy|\w+_msgs|builtin_interfaces|rcl_interfaces|std_srvs)\b", re.M)
    for package in ("core", "controllers", "telemetry", "sim", "remend"):
        for module in (ROOT / package).rglob("ros_*.py"):
            assert set(imports.findall(module.read_text())) <= needed, module


def test_unit_and_image_start_what_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "remend" in project["scripts"]
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "launch" / "system" / "remend-host.service")
    shell, flag, line = shlex.split(unit["Service"]["ExecStart"])
    assert (shell, flag) == ("/bin/bash", "-c")
    words = shlex.split(line.partition("exec ")[2])
    assert words[:3] == ["/opt/remend/bin/remend", "ros", "host"]
    assert unit["Service"]["Restart"] == "always"
    docker = (ROOT / "launch" / "system" / "Dockerfile").read_text()
    steps = re.findall(r"^([A-Z]+) (.*(?:\\\n.*)*)", docker, re.M)
    assert {step for step, _ in steps} <= {
        *("ARG", "FROM", "RUN", "COPY", "USER", "ENV", "VOLUME", "ENTRYPOINT", "CMD"),
    }
    last = dict(steps)
    assert yaml.safe_load(last["ENTRYPOINT"]) == ["/ros_entrypoint.sh", "/opt/remend/bin/remend", "ros"]
    assert yaml.safe_load(last["CMD"]) == ["host"]
    assert last["USER"] != "root"
    assert last["FROM"].startswith("ros:")


def test_the_policy_names_every_topic_and_service_of_the_nodes() -> None:
    root = ET.parse(ROOT / "launch" / "security" / "remend.policy.xml").getroot()  # noqa: S314 our own file
    said = {item.text or "" for kind in ("topic", "service") for item in root.iter(kind)}
    allowed = {text.replace("/remend_host/", "~/").lstrip("/") for text in said}
    sources = [
        *(ROOT / "controllers").glob("ros_*.py"),
        *(ROOT / "telemetry").glob("ros_*.py"),
        ROOT / "sim/ros_robot.py",
    ]
    text = "\n".join(source.read_text() for source in sources)
    opened = set(re.findall(r'create_(?:lifecycle_)?(?:publisher|subscription|service)\(\s*\w+, "/?([^"]+)"', text))
    opened |= set(re.findall(r'take\(\w+, "/?([^"]+)"', text))
    assert {"~/link/request", "commands", "~/kill", "~/score", "clock"} <= opened
    assert opened <= allowed
    enclaves = [enclave.get("path") for enclave in root.iter("enclave")]
    assert enclaves == [f"/remend/{name}" for name in ("host", "params", "telemetry", "sim", "service")]
    assert all(path and path in (ROOT / "docs" / "ros.md").read_text() for path in enclaves[:1])
