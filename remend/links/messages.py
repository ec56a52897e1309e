"""What the service and the host of a simulated robot say to each other beyond `controllers.requests`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controllers.requests import AskStatus, Order, StagePatch, Stop


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
class Lost:
    """The host cannot go on."""

    why: str


Request = Advance | Pace | StagePatch | Order | AskStatus | Stop
