"""The service looks after a robot over DDS: it is on the board with its telemetry, and again after it was gone."""

from __future__ import annotations

import re
import signal

import pytest

from remend.service.client import Client
from remend.web.resources import RobotShown
from tests.ros.graph import PATIENCE_S, Graph, wait_for
from tests.ros.served import token

pytestmark = [pytest.mark.ros, pytest.mark.e2e, pytest.mark.xdist_group("ros")]
ROBOT = "cartpole"


def test_a_robot_is_on_the_board_with_its_telemetry_and_again_after_it_was_gone(graph: Graph) -> None:
    graph.remend("sim", "sim", "--robot", ROBOT, "--work", "/remend_host/joint_trajectory")
    host = graph.host(ROBOT, "--robot-id", "cart-7")
    secret = token(graph.home)
    arguments = ("--link", "ros", "--robot", ROBOT, "--robot-id", "cart-7", "--simulated", "--port", "0")
    service = graph.start("serve", "-m", "remend", "serve", *arguments)
    found = wait_for(lambda: re.search(r"serves 1 robot at (\S+)", graph.said("serve")), "the service", 2 * PATIENCE_S)

    with Client(found.group(1), secret) as client:

        def alive() -> RobotShown | None:
            (robot,) = client.robots()
            heard = robot.silent_s is not None and robot.silent_s < 5.0
            return robot if heard and robot.doing and robot.doing.startswith("learning cart-7") else None

        robot = wait_for(alive, "telemetry", 3 * PATIENCE_S)
        assert (robot.robot_id, robot.simulated, robot.title is not None) == ("cart-7", True, True)

        graph.stop(host, signal.SIGKILL)
        wait_for(lambda: not alive(), "silence", 2 * PATIENCE_S)
        graph.host(ROBOT, "--robot-id", "cart-7")
        wait_for(alive, "telemetry of the robot that came back", 3 * PATIENCE_S)

    assert graph.stop(service) == 0
