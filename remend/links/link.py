"""What the service needs from a robot, whatever is behind it: hardware, a ROS 2 graph or a simulation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from controllers.canary import CanaryLimits
from controllers.host_status import HostStatus
from core.block import Block


class RobotLink(Protocol):
    """One robot."""

    robot_id: str
    simulated: bool  # only a simulated robot accepts a simulated operator

    @property
    def lost_rows(self) -> int:
        """Rows of telemetry that were lost since the link began, because nobody read them in time."""
        ...

    @property
    def behind_s(self) -> float:
        """How much telemetry has arrived that nobody has read yet [s]."""
        ...

    def read(self, seconds: float) -> Iterator[Block]:
        """Telemetry of the next `seconds` on the robot's clock, in order, as it arrives.

        Raises:
            RobotFault: the robot or its host is gone.
        """
        ...

    def drain(self) -> list[Block]:
        """Telemetry that has arrived and was not read yet; nothing in lockstep."""
        ...

    def stage(self, signed: bytes, files: Mapping[str, bytes], now_ns: int) -> None:
        """Hand over a signed patch.

        Raises:
            SignatureInvalid: the robot does not accept it.
            Refused: the robot is busy with another one.
        """
        ...

    def begin_shadow(self, limits: CanaryLimits) -> None:
        """Compute the staged patch without effect."""
        ...

    def begin_canary(self) -> None:
        """Let the patch take authority, stage by stage."""
        ...

    def roll_back(self, reason: str) -> None:
        """Return to the controller before."""
        ...

    def kill(self, reason: str) -> None:
        """Built-in baseline from the next tick on, latched: no patch until an operator's key re-arms on the robot."""
        ...

    def hold(self, reason: str) -> None:
        """Come to a stop where the robot is, and stay there over restarts; a patch on trial is taken back first.

        Raises:
            Refused: the robot keeps a controller of its own, which Remend cannot hold.
        """
        ...

    def resume(self) -> None:
        """Let a held robot go on."""
        ...

    def keep_head(self, head: bytes) -> None:
        """Have the robot keep a signed head of the audit log; its status says whether it did.

        Raises:
            Refused: not now, or it goes back behind the one that the robot has.
        """
        ...

    def status(self) -> HostStatus:
        """What runs on the robot now."""
        ...

    def close(self) -> None:
        """Let go of the robot; it keeps its committed controller."""
        ...
