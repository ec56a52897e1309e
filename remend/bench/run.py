"""Runs benchmarks by name and shows their figures as a table or as JSON."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from core.errors import BadInput
from remend.bench.figure import Figure

NAMES = (
    "sim",
    "twin",
    "detect",
    "workers",
    "evidence",
    "heal",
    "rl",
    "swap",
    "crash",
    "life",
    "service",
    "dashboard",
    "ros",
)


def figures(name: str | None, quick: bool, minutes: float | None = None) -> Iterator[Figure]:
    """The figures of benchmark `name`, or of all of them, as they come.

    Args:
        minutes: that each long run of `service` may take.

    Raises:
        BadInput: there is no such benchmark, or it has no long runs.
    """
    if minutes is not None and name != "service":
        raise BadInput("--minutes is for `remend bench service`; others have --quick")
    if name is not None and name not in NAMES:
        raise BadInput(f"there is no benchmark '{name}'; use one of {', '.join(NAMES)}, or none for all")
    for chosen in NAMES if name is None else (name,):
        bench = importlib.import_module(f"remend.bench.{chosen}")
        yield from bench.run(quick) if minutes is None else bench.run(quick, minutes)


def spoken(figure: Figure) -> tuple[str, ...]:
    """The cells of one figure."""
    value = "not measured" if figure.value is None else f"{figure.value:.3g} {_unit(figure.unit)}".strip()
    interval = "" if figure.interval is None else f"{figure.interval[0]:.3g} to {figure.interval[1]:.3g}"
    target = "" if figure.target is None else f"{figure.sense} {figure.target:g}"
    return figure.figure, value, interval, str(figure.n), target, "yes" if figure.met else "NO", figure.note or ""


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


COLUMNS = ("figure", "median", "95 % interval", "n", "target", "met", "note")


def show(rows: Iterable[Figure]) -> None:
    """A table on standard error, so that standard output stays free for JSON."""
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*spoken(row))
    Console(stderr=True).print(table)
