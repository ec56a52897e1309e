"""The static check of a controller folder: what it is, what it may do, and what it costs on this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from controllers.artefact import Artefact, load_artefact
from controllers.controller import Controller
from controllers.law import check_law
from controllers.manifest import parse_manifest
from controllers.params import Value
from core.clock import Clock, SystemClock
from core.errors import BadInput, LawError
from core.ports import OUTPUTS, Ports
from core.signals import SIGNALS

PERIOD_S = 0.002  # the supported control rate is 500 Hz
MAX_JOINTS = 64  # coordinates that a law without a robot is tried with
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


def check_folder(folder: Path, ports: Ports | None = None, clock: Clock | None = None) -> CheckReport:
    """Checks, compiles and times the controller in `folder`.

    Args:
        ports: what the law has to fit; without them, some robot that its manifest allows.

    Raises:
        BadInput: what is wrong with the files, in one sentence; for law.py a LawError with line and column.
    """
    artefact = load_artefact(folder)
    ports = ports or _fitting_ports(artefact)
    controller = Controller.from_artefact(artefact, ports)
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
        call_us=call_us(controller, ports, clock or SystemClock()),
        period_us=PERIOD_S * 1e6,
        sha256=artefact.sha256,
    )


def _fitting_ports(artefact: Artefact) -> Ports:
    """Ports that the law fits: its command says how many actuators, and mostly there are as many coordinates."""
    file = f"{artefact.name}/manifest.toml"
    manifest = parse_manifest(artefact.files["manifest.toml"], file)
    commands = [name for name in OUTPUTS.values() if name in manifest.outputs]
    if len(commands) != 1:
        raise BadInput(f"{file}: outputs: a law has one command; declare one of {', '.join(OUTPUTS.values())}")
    m = manifest.outputs[commands[0]].size
    failed: LawError | None = None
    for joints in (m, *range(m + 1, MAX_JOINTS + 1), *range(1, m)):
        ports = Ports(joints=joints, actuators=m, output=commands[0])
        try:
            check_law(artefact.files["law.py"], manifest, ports, f"{artefact.name}/law.py")
        except LawError as error:
            failed = failed or error
        else:
            return ports
    assert failed is not None
    raise failed


def call_us(controller: Controller, ports: Ports, clock: Clock) -> float:
    """Time of one call [us] on made-up signals of ordinary size: the value does not matter to the time, zeros might."""
    signals: dict[str, float | list[float] | list[list[float]]] = {}
    for name in controller.signals:
        shape = ports.shape(SIGNALS[name].shape)
        row = [math.sin(1.0 + k) for k in range(shape[-1] if shape else 0)]
        signals[name] = PERIOD_S if not shape else row if len(shape) == 1 else [list(row) for _ in range(shape[0])]
    batches = []
    for _ in range(BATCHES):
        start = clock.monotonic_ns()
        for _ in range(CALLS):
            controller.step(signals)
        batches.append(clock.monotonic_ns() - start)
    return min(batches) / CALLS / 1000.0
