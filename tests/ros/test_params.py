"""`remend ros params` beside a PD node that knows nothing of Remend: its gains are the old ones or the new ones."""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from std_msgs.msg import String

from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.canary import CanaryLimits
from controllers.foreign import Mirror, between, reproduce
from controllers.ros_foreign import ForeignNode
from controllers.runtime import Stage
from core.errors import BadInput, Refused
from core.frames import Frame, Reference
from core.ros_node import LATCHED
from remend.links.ros_link import RosLink
from sim.catalogue import find_robot
from tests.ros.graph import PATIENCE_S, Graph, listening, wait_for
from tests.ros.pd_model import BEFORE, FILES, LAW, MANIFEST, model, write_model
from tests.ros.signing import signed

pytestmark = [pytest.mark.ros, pytest.mark.xdist_group("ros")]

ROBOT = find_robot("arm2")
AFTER = {**BEFORE, "gains.shoulder.p": 1100.0}
WIDE = CanaryLimits(offset=(0.0, 0.0), ramp_error=(9.0, 9.0), settled_error=(9.0, 9.0), settle_s=0.1, variation_nm=1e4)


class Bench:
    """A simulated arm, its PD node, and the host beside it."""

    def __init__(self, graph: Graph, node: ForeignNode) -> None:
        self.graph, self.node = graph, node
        self.status: dict[str, Any] = {}
        self.law = write_model(graph.folder / "pd")
        self.sim = graph.sim("arm2")
        self.start()

    def start(self) -> None:
        flags = ("--robot", "arm2", "--law", str(self.law), "--controller", "/pid", "--record", "1")
        self.host = self.graph.remend("params", "params", *flags, "--robot-id", "arm-9", "--sim-time", "--simulated")

    @property
    def gains(self) -> dict[str, float | list[float]]:
        return dict(self.node.read(tuple(BEFORE)))

    def hear(self, message: String) -> None:
        self.status = json.loads(message.data)

    def to_canary(self, link: RosLink, patch: Artefact) -> None:
        """Until the first share of the step is in the controller."""
        base_sha = link.status().active_sha
        approved = signed(self.graph.home, patch, WIDE, base_sha, robot_id="arm-9")

        def staged() -> bool:
            try:
                link.stage(approved, patch.files, 0)
            except Refused as error:  # the former values have still to be read back
                assert "middle of a swap" in str(error)  # noqa: PT017
                return False
            return True

        wait_for(staged, "the patch to be taken")
        link.begin_shadow(WIDE)
        link.begin_canary()
        wait_for(lambda: self.gains != BEFORE, "the first step")


@contextmanager
def bench(graph: Graph) -> Iterator[Bench]:
    graph.start("pid", str(Path(__file__).parent / "pid_robot.py"))
    rclpy.init(args=[])
    node = Node("reader")
    foreign = ForeignNode(node, "/pid")
    made = Bench(graph, foreign)
    try:
        with listening((String, "/remend_params/status", made.hear, LATCHED)):
            yield made
    finally:
        foreign.close()
        node.destroy_node()
        rclpy.try_shutdown()


def link_to() -> RosLink:
    return RosLink(
        ROBOT,
        robot_id="arm-9",
        host="remend_params",
        simulated=True,
        silence_s=PATIENCE_S,
        connect_s=PATIENCE_S,
    )


@pytest.mark.e2e
def test_gains_are_stepped_committed_and_put_back(graph: Graph) -> None:
    with bench(graph) as arm, link_to() as link:
        wait_for(lambda: arm.status.get("objection", "") is None, "the model to be compared")
        assert "law misses the recorded commands by" in arm.status["model"]
        assert len(arm.status["missing_protections"]) == 5
        assert tomllib.loads(link.model(model()).files["params.toml"].decode())["kp"] == [900.0, 120.0]
        with pytest.raises(BadInput, match="by another law"):
            link.model(model(LAW.replace("range(2)", "range(1)")))
        patch = with_params(model(), {"kp": [1100.0, 120.0]})

        arm.to_canary(link, patch)
        wait_for(lambda: list(link.read(0.2)) and link.status().stage is Stage.COMMITTED, "the commit")
        assert arm.gains == AFTER
        status = link.status()
        assert status.active_sha == patch.sha256
        assert status.stages_run == ("shadow", "canary 10%", "canary 30%", "canary 100%", "commit")
        link.roll_back("the operator says so")
        wait_for(lambda: arm.gains == BEFORE, "the former gains")

        patch = with_params(model(), {"kp": [1200.0, 120.0]})
        arm.sim.send_signal(signal.SIGSTOP)  # no stage passes while its time stands still
        arm.to_canary(link, patch)
        graph.stop(arm.host, signal.SIGKILL)
        assert arm.gains != BEFORE
        arm.start()
        wait_for(lambda: arm.gains == BEFORE, "the gains from the disk")
        assert "started over" in str(link.status().rollback_reason)
        arm.sim.send_signal(signal.SIGCONT)

        wait_for(lambda: arm.status.get("objection", "") is None, "the model to be compared again")
        arm.sim.send_signal(signal.SIGSTOP)
        arm.to_canary(link, patch)
        graph.stop(arm.host, signal.SIGTERM)
        assert arm.gains == BEFORE, "put back before it ended"


def recording(kp: float = 900.0) -> list[tuple[Frame, Reference]]:
    """What the PD node would have done, with a command that answers each measurement."""
    rows: list[tuple[Frame, Reference]] = []
    tau = [0.0, 0.0]
    for k in range(400):
        q, q_ref = [0.1 * (k % 7), 0.05 * (k % 5)], [0.3, 0.2]
        rows.append((Frame(k, k, q, [0.0, 0.0], tau, tau), Reference(q_ref, [0.0, 0.0], [0.0, 0.0])))
        tau = [kp * (q_ref[0] - q[0]), 120.0 * (q_ref[1] - q[1])]
    return rows


def test_a_model_has_to_reproduce_what_was_commanded() -> None:
    fit = reproduce(ROBOT, model(), recording())
    assert fit.is_good
    assert max(fit.error) < 1e-12
    wrong = reproduce(ROBOT, model(), recording(kp=1000.0))
    assert not wrong.is_good
    assert "10 % at actuator 1" in wrong.sentence()


def test_only_what_is_mirrored_can_be_patched() -> None:
    mirror, law = Mirror(ROBOT, model()), model()
    assert mirror.of(law) == BEFORE
    assert mirror.law_with(AFTER).sha256 == with_params(law, {"kp": [1100.0, 120.0]}).sha256
    mirror.check_patch(mirror.law_with(BEFORE), mirror.law_with(AFTER))
    with pytest.raises(BadInput, match="takes new parameters only"):
        mirror.check_patch(law, model(LAW.replace("kp[i] *", "2.0 * kp[i] *")))
    with pytest.raises(BadInput, match="no such number"):
        mirror.law_with({"gains.shoulder.p": 1.0})
    bare = artefact_from_files("pd", {**FILES, "manifest.toml": MANIFEST.replace("ros_parameter", "#").encode()})
    with pytest.raises(BadInput, match="no parameter has ros_parameter"):
        Mirror(ROBOT, bare)


def test_a_step_ends_exactly_at_the_new_values() -> None:
    assert between(BEFORE, AFTER, 0.1)["gains.shoulder.p"] == pytest.approx(920.0)
    assert between(BEFORE, AFTER, 1.0) == AFTER
    assert between({"a": [1.0, 2.0]}, {"a": [3.0, 2.0]}, 0.5) == {"a": [2.0, 2.0]}
