"""What a node and the control process of an inline robot say to each other.

Two pipes: the line carries measurements and commands as bytes, the other one requests and answers as records.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from controllers.canary import CanaryLimits
from controllers.host import HostStatus
from controllers.setpoint import Path as Way
from controllers.setpoint import Speed

HEAD = struct.Struct("<qq")  # stamp of the measurement [ns, clock of the messages], its age on arrival [ns]
STILLBORN = -1  # number of the one message of a process that cannot start
SOURCES = ("a", "b", "mix", "safety")


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineSetup:
    """Everything a control process needs to start."""

    robot_toml: Path
    robot_id: str
    controller: str  # name of the baseline law
    trust: bytes  # TrustStore as JSON
    folder: Path  # commits, and the latch
    simulated: bool  # nobody can come to harm
    sim_time: bool  # stamps are a simulation's: no deadline means anything


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePatch:
    """A signed patch and its files."""

    signed: bytes
    files: dict[str, bytes]


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
class Freeze:
    """No patch is accepted or goes on until `Thaw`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The built-in controller from the next tick on, until an operator's key re-arms."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thaw:
    """Patches are accepted again; what runs goes on running. Ends no kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """A path for the reference; its start is on the clock of the messages."""

    way: Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A speed for the base."""

    speed: Speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Stay where the robot is measured next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStatus:
    """Answered with an `InlineStatus`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End the process; the robot keeps its committed controller."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineStatus:
    """What runs, and in which state the robot's switches are."""

    host: HostStatus
    frozen: str | None  # why
    reference: str  # "hold", "path" or "speed"
    clock_s: float  # robot clock
    source: str  # of the last command: "a", "b", "mix" or "safety"; "" before the first


Request = (
    StagePatch | BeginShadow | BeginCanary | RollBack | Freeze | Kill | Thaw | Follow | Drive | Hold | AskStatus | Stop
)
Answer = Done | Refusal | InlineStatus
