"""What a robot is asked, and what it answers, whichever way a request comes.

One set of records for every link, the bridge, the control loop and the ROS hosts: what one of them understands, and
what it passes on, is the same request. What only one line needs stands beside that line.
"""

from __future__ import annotations

from dataclasses import dataclass

from controllers.canary import CanaryLimits
from core.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePatch:
    """A signed patch and its files."""

    signed: bytes
    files: dict[str, bytes]
    now_ns: int | None = None  # UTC, by which its expiry is judged; None: the robot's own clock

    def judged_at_ns(self) -> int:
        """UTC [ns] by which its expiry is judged."""
        return SystemClock().wall_ns() if self.now_ns is None else self.now_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginShadow:
    """Compute the staged patch without effect."""

    limits: CanaryLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginCanary:
    """Let the patch take its share of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Return to the controller before."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The built-in controller from the next tick on, until an operator's key re-arms on the robot."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Come to a stop and stay there, over restarts, until `Resume`; a patch on trial is taken back first."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on with what the robot is asked to follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepHead:
    """Keep a signed head of the service's audit log. The status says which one is kept."""

    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStatus:
    """Answered with a `HostStatus`, or with what contains one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End; the robot keeps its committed controller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Telemetry, as the bytes of a `core.block.Block`."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A request was carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request was refused; `signature` marks one that did not verify, `bad` one that makes no sense."""

    why: str
    signature: bool = False
    bad: bool = False


Order = BeginShadow | BeginCanary | RollBack | Kill | Hold | Resume | KeepHead  # what `Host.obey` carries out
