"""What stands around a simulation worker on this machine, and whether it holds: workers are started and attacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from remend.finding import Finding, failure, fine, in_one_line, warning

if TYPE_CHECKING:
    from sim.workers.settings import WorkerSettings


def confinement(home: Path) -> Iterator[Finding]:
    """Which layers are around a simulation worker here, and whether they hold: workers are started and attacked."""
    try:
        from core.errors import BadInput, RobotFault  # noqa: PLC0415 - a broken installation can still say why
        from remend.settings import load_settings  # noqa: PLC0415
        from sim.workers.self_test import examine as examine_workers  # noqa: PLC0415
    except (ImportError, OSError, AttributeError) as error:
        yield warning("workers", f"no simulation: {in_one_line(error)}", "pip install 'remend[sim]'")
        return
    try:
        settings = load_settings(home).workers
    except BadInput as error:
        yield failure("settings", in_one_line(error), "docs/settings.md explains every key")
        return
    try:
        layers, attempts = examine_workers(settings)
    except RobotFault as error:
        yield failure(
            "workers", in_one_line(error), "simulations need Linux 5.4 or newer; give the container its usual calls"
        )
        return
    for layer in layers.found:
        what = f"on{_colon(layer.why)}" if layer.active else f"off{_colon(layer.why)}"
        finding = fine if layer.active or layer.is_extra else warning
        yield finding(f"layer {layer.name}", what, layer.hint)
    yield self_test([attempt.attack for attempt in attempts], [a.attack for a in attempts if not a.stopped])
    if settings.address:
        yield cluster(settings)
    if layers.open_doors:
        what = f"nothing here keeps a new law from these: {', '.join(layers.open_doors)}; only known laws are simulated"
        yield warning("workers", what, "see the layers that are off")


def cluster(settings: WorkerSettings) -> Finding:
    """How many processors the cluster has for the first of the shipped robots."""
    from core.errors import BadInput, RobotFault  # noqa: PLC0415 - a broken installation can still say why
    from sim.catalogue import find_robot, robot_names  # noqa: PLC0415
    from sim.workers.opening import open_workers  # noqa: PLC0415

    try:
        with open_workers(find_robot(robot_names()[0]), settings) as workers:
            return fine("cluster", f"{workers.count} processors of {settings.address} give the bits of this machine")
    except (BadInput, RobotFault) as error:
        return failure("cluster", in_one_line(error), "docs/sandbox.md says how to start one")


def self_test(tried: Sequence[str], got_through: Sequence[str]) -> Finding:
    """What became of the attacks on the workers."""
    if got_through:
        what = f"got through: {', '.join(got_through)}"
        return failure("self-test", what, "run Remend where the layers above are on")
    return fine("self-test", f"{len(tried)} attacks of a worker were stopped: {', '.join(tried)}")


def _colon(why: str) -> str:
    return f": {why}" if why else ""
