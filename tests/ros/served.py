"""`remend serve` in a process of its own for a robot on a graph, and an operator who talks to it over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.ids import new_id
from core.status import PatchStatus
from remend.service import accounts
from remend.service.accounts import Role
from remend.service.client import Client
from remend.store import Store
from remend.web.resources import PatchWhole, RobotShown
from sim.policy_toml import SHIPPED
from tests.ros.graph import PATIENCE_S, Graph, wait_for

_WORK = (PatchStatus.PROPOSED, PatchStatus.CHECKED, PatchStatus.VALIDATING)


def token(home: Path) -> str:
    with Store.open(home) as store, store.journal("test") as journal:
        user = accounts.add_user(journal, "otto", Role.OPERATOR, "correct horse battery")
        return accounts.issue(
            journal, user, kind="token", role=Role.OPERATOR, label="test", hours=1.0, clock=SystemClock()
        )


def settings(home: Path, learn_s: float) -> None:
    """A short head, and a third of the evidence of the shipped policy: what evidence is worth is not tested here."""
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
    policy = home / "evidence.toml"
    policy.write_text(text)
    lines = ("[service]", "port = 0", f"learn_s = {learn_s}", "search_rollouts = 60", f"evidence = '{policy}'")
    (home / "remend.toml").write_text("\n".join(lines))


class Served:
    """One robot's service."""

    def __init__(self, graph: Graph, robot_id: str, client: Client) -> None:
        self.graph, self.robot_id, self.client = graph, robot_id, client

    def robot(self) -> RobotShown:
        (robot,) = self.client.robots()
        return robot

    def wait_for(self, met: Callable[[], Any], what: str) -> Any:
        return wait_for(met, f"{what}; {self.graph.said('serve')}", 6 * PATIENCE_S)

    def learns(self) -> bool:
        return (self.robot().doing or "").startswith("learning")

    def approve(self) -> PatchWhole:
        """The first patch that waits for a decision, once it is approved."""
        found = self.wait_for(lambda: [each for each in self.client.patches() if each.status not in _WORK], "a patch")
        waiting = next((each for each in found if each.status is PatchStatus.AWAITING_APPROVAL), None)
        assert waiting is not None, [(each.id, each.status, each.why) for each in found]
        patch = self.client.patch(waiting.id)
        self.client.decide("approve", patch, "agreed with the shift")
        return patch

    def wait_for_status(self, patch: PatchWhole, status: str) -> None:
        self.wait_for(lambda: self.client.patch(patch.summary.id).summary.status.value == status, status)

    def roll_back(self) -> None:
        order = self.client.roll_back(self.robot_id, "odd noise", new_id("key"))
        shown = self.wait_for(lambda: (found := self.client.order(order.order.id)).result and found, "the order")
        assert shown.result.done, shown.result.what


@contextmanager
def serving(graph: Graph, robot_id: str, *arguments: str) -> Iterator[Served]:
    """Start it, and wait until it answers."""
    secret = token(graph.home)
    flags = ("--link", "ros", "--robot-id", robot_id, "--simulated", "--port", "0", *arguments)
    process = graph.start("serve", "-m", "remend", "serve", *flags)
    found = wait_for(
        lambda: re.search(r"serves 1 robot at (\S+)", graph.said("serve")) or process.poll() is not None,
        "the service",
        3 * PATIENCE_S,
    )
    assert found is not True, graph.said("serve")
    with Client(found.group(1), secret) as client:
        yield Served(graph, robot_id, client)
    assert graph.stop(process) == 0
