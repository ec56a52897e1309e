"""The link over DDS: signatures, stages, and what becomes of a swap when a side is lost or starts over."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from std_msgs.msg import String

from controllers.artefact import Artefact, with_params
from controllers.canary import CanaryLimits
from controllers.controller import Controller
from controllers.library import find_law
from controllers.runtime import Stage
from core.errors import Refused, SignatureInvalid
from core.robot import Robot
from core.ros_node import LATCHED
from remend.links.ros_link import RosLink
from sim.catalogue import find_robot
from tests.ros.graph import PATIENCE_S, Graph, listening, wait_for
from tests.ros.signing import signed

pytestmark = [pytest.mark.ros, pytest.mark.e2e, pytest.mark.xdist_group("ros")]

ROBOT = "cartpole"
WIDE = CanaryLimits(offset=(0.0, 0.0), ramp_error=(9.0, 9.0), settled_error=(9.0, 9.0), settle_s=0.1, variation_nm=1e3)
NARROW = replace(WIDE, ramp_error=(1e-9, 1e-9))
WORK = ("--work", "/remend_host/joint_trajectory")


@pytest.fixture
def robot() -> Robot:
    return find_robot(ROBOT)


def host(graph: Graph) -> subprocess.Popen[bytes]:
    return graph.host(ROBOT, "--robot-id", "cart-7", "--ros-args", "-p", "lease_s:=1.0")


def link_to(robot: Robot, connect_s: float = PATIENCE_S) -> RosLink:
    return RosLink(robot, robot_id="cart-7", simulated=True, silence_s=PATIENCE_S, connect_s=connect_s)


def changed(robot: Robot, factor: float) -> Artefact:
    """The robot's own law with one gain moved a little."""
    law = find_law(robot, robot.controller)
    kp = Controller.from_artefact(law, robot.ports).params["cart_kp"]
    assert isinstance(kp, float)
    return with_params(law, {"cart_kp": factor * kp})


def to_canary(link: RosLink, home: Path, artefact: Artefact, limits: CanaryLimits) -> None:
    """Stage, a moment of shadow, and the first share."""
    link.stage(signed(home, artefact, limits, link.status().active_sha), artefact.files, 0)
    link.begin_shadow(limits)
    list(link.read(0.1))
    link.begin_canary()


def ended(link: RosLink) -> Stage | None:
    """Reads on until no swap is under way."""
    list(link.read(0.2))
    stage = link.status().stage
    return stage if stage is Stage.COMMITTED else None


@contextmanager
def standing_still(sim: subprocess.Popen[bytes]) -> Iterator[None]:
    """The robot's time stands still: no stage of a canary passes meanwhile."""
    sim.send_signal(signal.SIGSTOP)
    yield
    sim.send_signal(signal.SIGCONT)


def test_a_patch_is_verified_watched_committed_and_killed(graph: Graph, robot: Robot) -> None:
    graph.sim(ROBOT, *WORK)
    host(graph)
    better = changed(robot, 1.1)
    with link_to(robot) as link:
        base_sha = link.status().active_sha
        stolen = signed(graph.home, better, WIDE, base_sha, robot_id="cart-8")
        with pytest.raises(SignatureInvalid, match="for robot cart-8"):
            link.stage(stolen, better.files, 0)
        with pytest.raises(Refused, match="no staged patch"):
            link.begin_shadow(WIDE)
        with pytest.raises(Refused, match="held by another service"), link_to(robot, connect_s=0.0):
            pass

        to_canary(link, graph.home, better, NARROW)
        wait_for(lambda: ended(link), "the canary's end")
        status = link.status()
        assert status.active_sha == base_sha
        assert "tracking error" in str(status.rollback_reason)

        to_canary(link, graph.home, better, WIDE)
        wait_for(lambda: ended(link), "the commit")
        status = link.status()
        assert (status.active_sha, status.rollback_reason) == (better.sha256, None)
        assert status.stages_run == ("shadow", "canary 10%", "canary 30%", "canary 100%", "commit")

        link.kill("a test")
        wait_for(lambda: (list(link.read(0.1)), link.status().active_sha == base_sha)[1], "the kill")
        assert "a test" in str(link.status().killed)
        with pytest.raises(Refused, match="killed"):
            link.stage(signed(graph.home, better, WIDE, base_sha), better.files, 0)


def test_a_lost_service_and_a_lost_host_leave_what_was_committed(graph: Graph, robot: Robot) -> None:
    sim, first = graph.sim(ROBOT, *WORK), host(graph)
    better = changed(robot, 1.1)
    with link_to(robot) as link:
        base_sha = link.status().active_sha
        to_canary(link, graph.home, better, WIDE)
        with standing_still(sim):
            link.close()
            with link_to(robot) as second:  # gets the lease when that of the first has run out
                wait_for(lambda: second.status().rollback_reason, "the end of the lease")
                assert "lease has run out" in str(second.status().rollback_reason)

    with link_to(robot) as link:
        to_canary(link, graph.home, better, WIDE)
        clock_s = link.drain()[-1].t_s[-1] if link.lost_rows else next(iter(link.read(0.2))).t_s[-1]
        with standing_still(sim):
            graph.stop(first, signal.SIGKILL)
            host(graph)
            status = link.status()
        assert status.active_sha == base_sha
        assert "started over" in str(status.rollback_reason)
        times = np.concatenate([block.t_s for block in link.read(1.0)])
        assert times[0] > clock_s
        assert (np.diff(times) > 0.0).all()

        pid = int(re.findall(r"control process (\d+) runs", graph.said("host"))[-1])
        to_canary(link, graph.home, better, WIDE)
        with standing_still(sim):
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: "started over" in str(link.status().rollback_reason), "another control process")
        list(link.read(0.5))
        assert link.status().active_sha == base_sha


def test_a_service_that_is_killed_or_cut_off_in_a_canary_leaves_what_was_committed(graph: Graph, robot: Robot) -> None:
    sim = graph.sim(ROBOT, *WORK)
    host(graph)
    statuses: list[dict[str, Any]] = []
    script, base_sha = str(Path(__file__).parent / "patch_holder.py"), find_law(robot, robot.controller).sha256

    def back() -> bool:
        said = statuses[-1]["host"]
        return said["stage"] == "committed" and said["rollback_reason"] is not None

    with listening((String, "/remend_host/status", lambda m: statuses.append(json.loads(m.data)), LATCHED)):
        for cut_off in (False, True):
            name = f"holder-{cut_off}"
            holder = graph.start(name, script, str(graph.home))
            wait_for(lambda n=name: "canary" in graph.said(n), "the canary")
            wait_for(lambda: statuses and statuses[-1]["host"]["stage"] == "canary", "the canary on the robot")
            with standing_still(sim):
                holder.send_signal(signal.SIGSTOP if cut_off else signal.SIGKILL)
                wait_for(back, "the end of the lease")
            assert "lease has run out" in statuses[-1]["host"]["rollback_reason"]
            assert statuses[-1]["host"]["active_sha"] == base_sha
            if cut_off:  # heard again, it is told so, and nothing that it had asked for comes back
                holder.send_signal(signal.SIGCONT)
                wait_for(lambda n=name: "lease has run out" in graph.said(n), "the news")
                assert statuses[-1]["host"]["active_sha"] == base_sha


def test_the_control_process_has_no_middleware(graph: Graph) -> None:
    graph.sim(ROBOT, *WORK)
    node = host(graph)
    pid = wait_for(lambda: re.findall(r"control process (\d+) runs", graph.said("host")), "the control process")[0]
    assert int(pid) != node.pid
    ours, nodes = (Path(f"/proc/{each}/maps").read_text() for each in (pid, node.pid))
    for library in ("librcl", "_rclpy", "fastdds", "librmw"):
        assert library in nodes
        assert library not in ours
