"""The static check of a controller folder: what it is, what it may do, and what it costs on this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from controllers.artefact import load_artefact
from controllers.controller import Controller
from controllers.params import Value
from core.clock import Clock, SystemClock
from core.signals import SIGNALS

PERIOD_S = 0.002  # the supported control rate is 500 Hz
BATCHES, CALLS = 15, 40  # the fastest batch is the one that nothing else on the machine disturbed


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamRow:
    """One parameter with its value and bounds in `unit`."""

    name: str
    unit: str
    value: Value
    low: tuple[float, ...]
    high: tuple[float, ...]
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """A controller that has passed the static check."""

    name: str
    summary: str
    signals: tuple[str, ...]
    params: tuple[ParamRow, ...]
    cost: int  # counted operations per call
    call_us: float  # measured on this machine, undisturbed [us]
    period_us: float  # control period that `call_us` has to fit into [us]
    sha256: str

    @property
    def load(self) -> float:
        """Share of the control period that one call takes."""
        return self.call_us / self.period_us


def check_folder(folder: Path, joints: int, clock: Clock | None = None) -> CheckReport:
    """Checks, compiles and times the controller in `folder` for a robot with `joints` joints.

    Raises:
        BadInput: what is wrong with the files, in one sentence; for law.py a LawError with line and column.
    """
    artefact = load_artefact(folder)
    controller = Controller.from_artefact(artefact, joints)
    manifest = controller.manifest
    rows = tuple(
        ParamRow(
            name=name,
            unit=param.unit,
            value=controller.params[name],
            low=param.low,
            high=param.high,
            effect=param.effect,
        )
        for name, param in manifest.params.items()
    )
    return CheckReport(
        name=manifest.name,
        summary=manifest.summary,
        signals=controller.signals,
        params=rows,
        cost=controller.cost,
        call_us=_call_us(controller, joints, clock or SystemClock()),
        period_us=PERIOD_S * 1e6,
        sha256=artefact.sha256,
    )


def _call_us(controller: Controller, joints: int, clock: Clock) -> float:
    """Time of one call [us] on made-up signals of ordinary size: the value does not matter to the time, zeros might."""
    signals: dict[str, float | list[float] | list[list[float]]] = {}
    for name in controller.signals:
        row = [math.sin(1.0 + k) for k in range(joints)]
        dimensions = len(SIGNALS[name].shape)
        signals[name] = PERIOD_S if dimensions == 0 else row if dimensions == 1 else [list(row) for _ in range(joints)]
    batches = []
    for _ in range(BATCHES):
        start = clock.monotonic_ns()
        for _ in range(CALLS):
            controller.step(signals)
        batches.append(clock.monotonic_ns() - start)
    return min(batches) / CALLS / 1000.0
