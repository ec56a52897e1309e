"""What the service and a robot's host say to each other over a link."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controllers.canary import CanaryLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSetup:
    """Everything a host process needs to start."""

    robot_toml: Path
    robot_id: str
    baseline: str  # name of the law
    baseline_files: dict[str, bytes]
    trust: bytes  # TrustStore as JSON
    folder: Path
    task_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Lockstep: run this many ticks as fast as possible, then wait."""

    ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Run in real time from now on, without waiting for `Advance`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePatch:
    """A signed patch and its files."""

    signed: bytes
    files: dict[str, bytes]
    now_ns: int


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
    """Run the built-in baseline from the next tick on, until a local key re-arms."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStatus:
    """Answered with a `HostStatus`."""


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
    """A request was refused; `signature` marks one that did not verify."""

    why: str
    signature: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The host cannot go on."""

    why: str


Request = Advance | Pace | StagePatch | BeginShadow | BeginCanary | RollBack | Kill | AskStatus | Stop
