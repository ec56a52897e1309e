"""docs/ros.md does what it says: its script, and one that somebody wrote who had read nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from controllers.library import find_law
from sim.catalogue import find_robot
from tests.ros.graph import PATIENCE_S, Graph, listening, wait_for

pytestmark = [pytest.mark.ros, pytest.mark.e2e, pytest.mark.xdist_group("ros")]

PAGE = Path(__file__).parents[2] / "docs" / "ros.md"


def scripts() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)


def test_the_script_of_the_page_and_one_written_from_it_work(graph: Graph) -> None:
    (script,) = [each for each in scripts() if 'Node("go")' in each]
    (graph.folder / "go.py").write_text(script)
    graph.sim("arm2")
    graph.host("arm2")
    user = graph.start("new_user", str(Path(__file__).parent / "new_user.py"))
    assert user.wait(timeout=3 * PATIENCE_S) == 0, graph.said("new_user")
    robot = find_robot("arm2")
    lines = ["reference hold", "arrived", f"runs {find_law(robot, robot.controller).sha256}"]
    assert graph.said("new_user").splitlines() == [*lines, "freeze True", "rearm True", "rollback True"]

    joints: dict[str, float] = {}
    moved: list[bool] = []

    def hear(state: JointState) -> None:
        joints.update(zip(state.name, state.position, strict=True))
        moved.append(abs(joints["shoulder"] - 0.8) > 0.1)

    away = script.replace("[0.8, 0.6]", "[0.5, 0.9]").replace("Duration(sec=2)", "Duration(sec=1)")
    (graph.folder / "away.py").write_text(away)
    with listening((JointState, "/joint_states", hear, qos_profile_sensor_data)):
        assert graph.start("away", str(graph.folder / "away.py")).wait(timeout=PATIENCE_S) == 0, graph.said("away")
        wait_for(lambda: any(moved), "the arm to move away")
        assert graph.start("go", str(graph.folder / "go.py")).wait(timeout=PATIENCE_S) == 0, graph.said("go")
        wait_for(lambda: abs(joints["shoulder"] - 0.8) < 0.01 and abs(joints["elbow"] - 0.6) < 0.01, "the arm")
