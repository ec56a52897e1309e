"""What a node and the control process of an inline robot say to each other.

Two pipes: the line carries measurements and commands as bytes, the other one requests and answers as records.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from controllers.host_status import HostStatus
from controllers.requests import AskStatus, Done, Order, Refusal, StagePatch, Stop
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
class Freeze:
    """No patch is accepted or goes on until `Thaw`."""

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
class StayHere:
    """The reference is where the robot is measured next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineStatus:
    """What runs, and in which state the robot's switches are."""

    host: HostStatus
    frozen: str | None  # why
    reference: str  # "hold", "path" or "speed"
    clock_s: float  # robot clock
    source: str  # of the last command: "a", "b", "mix" or "safety"; "" before the first


Request = StagePatch | Order | Freeze | Thaw | Follow | Drive | StayHere | AskStatus | Stop
Answer = Done | Refusal | InlineStatus
