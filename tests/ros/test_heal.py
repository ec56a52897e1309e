"""Robot, host and service as processes of their own over DDS: a fault, its diagnosis, an approval, a swap."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from controllers.library import find_law
from core.clock import SystemClock
from core.records import ValidationReport
from core.status import PatchStatus
from patcher.llm.settings import LlmSettings
from patcher.propose.base import Proposal
from patcher.search import choose_proposers
from remend.console import Console
from remend.healing import Healing
from remend.keys import KeyRing, simulated_seal_key
from remend.links.ros_link import RosLink
from remend.pipeline import Pipeline
from remend.store import Store
from remend.versions import Versions
from sim.catalogue import find_robot
from sim.policy import Policy
from sim.policy_toml import SHIPPED, load_policy
from sim.twin.twin import Twin
from sim.workers.opening import open_workers
from sim.workers.settings import WorkerSettings
from tests.remend.healing_harness import approve
from tests.ros.graph import PATIENCE_S, Graph

pytestmark = [pytest.mark.ros, pytest.mark.e2e, pytest.mark.xdist_group("ros")]

LEARN_S = 30.0
STAGES = ("canary 10%", "canary 30%", "canary 100%")
ROBOT, FAULT = "cartpole", "actuator_loss:gain=0.6"


def small_policy(home: Path) -> Policy:
    """A third of the runs that the shipped policy asks for: what evidence is worth is not tested here."""
    text = SHIPPED.read_text()
    for before, after in (
        ("scenarios = 59 ", "scenarios = 16 "),
        ("bound = 0.05 ", "bound = 0.2 "),
        ("worth_finding = 0.10 ", "worth_finding = 0.4 "),
        ("scenarios = 6 ", "scenarios = 2 "),
        ("scenarios = 4 ", "scenarios = 2 "),
    ):
        assert before in text
        text = text.replace(before, after)
    file = home / "policy.toml"
    file.write_text(text)
    return load_policy(file)


@contextmanager
def service(home: Path, link: RosLink) -> Iterator[Patient]:
    """The side of the service, with everything but a dashboard."""
    robot, clock = find_robot(ROBOT), SystemClock()
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(home, clock))
        workers = stack.enter_context(open_workers(robot, WorkerSettings()))
        yield Patient(
            robot=robot,
            link=link,
            incumbent=find_law(robot, robot.controller),
            workers=workers,
            store=store,
            versions=Versions.open(home, clock),
            keys=KeyRing.load(home),
            seal_key=simulated_seal_key(1),
            policy=small_policy(home),
            clock=clock,
            console=Console(file=io.StringIO()),
            proposers=choose_proposers("skills", LlmSettings()),
            decide=approve,
            budget=100,
            seed=1,
        )


class Patient(Pipeline):
    """Stops the simulated robot while the service proves a patch: in lockstep its time then stands still."""

    robot_process: subprocess.Popen[bytes]

    def prove(self, proposal: Proposal, twin: Twin, healing: Healing) -> ValidationReport:
        os.kill(self.robot_process.pid, signal.SIGSTOP)
        try:
            return super().prove(proposal, twin, healing)
        finally:
            os.kill(self.robot_process.pid, signal.SIGCONT)

    def _film(self, proposal: Proposal, twin: Twin, healing: Healing) -> None:
        """No pictures."""


def test_a_fault_is_found_explained_and_patched_on_the_running_node_and_the_patch_goes_again(graph: Graph) -> None:
    begins = ("--learn", str(LEARN_S + 3.0), "--work", "/remend_host/joint_trajectory")
    sim = graph.sim(ROBOT, "--fault", FAULT, *begins)
    graph.host(ROBOT, "--robot-id", "cart-7")
    robot = find_robot(ROBOT)
    healing = Healing(robot=ROBOT, fault=FAULT, seed=1, command_unit=robot.command_unit)
    with (
        RosLink(robot, robot_id="cart-7", simulated=True, silence_s=PATIENCE_S, connect_s=PATIENCE_S) as link,
        service(graph.home, link) as pipeline,
    ):
        pipeline.robot_process = sim
        pipeline.learn(LEARN_S)
        event = pipeline.wait_for_event(60.0)
        assert event is not None, "the fault was not found"
        pipeline.heal(event, healing)

        assert healing.diagnosis is not None
        assert healing.diagnosis.causes[0].cause == "actuator_loss"
        assert healing.swap is not None
        assert healing.swap.outcome.stages == ("shadow", *STAGES, "commit")
        assert healing.patch is not None
        assert pipeline.store.patch(healing.patch.id).status is PatchStatus.ACTIVE
        status = link.status()
        assert (status.active_sha, status.rollback_reason) == (healing.patch.result_sha, None)
        assert link.lost_rows == 0

        link.roll_back("the operator says so")
        next(iter(link.read(0.1)))
        status = link.status()
        assert status.active_sha == healing.patch.base_sha
        assert status.rollback_reason == "the operator says so"
