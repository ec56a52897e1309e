"""A chart as a table, for whoever reads numbers rather than lines: a few stretches of time, and each line in each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from core.block import Array
from remend import numbers
from remend.chart import Chart, Line

_STRETCHES = 10

Rows = tuple[tuple[str, ...], ...]  # headings first


def chart_table(chart: Chart, names: Mapping[str, str]) -> Rows:
    """Smallest and largest value of each line in stretches of equal length; nothing if no line has a value.

    Args:
        names: of the lines, by their look; a line without one is called as the y axis.
    """
    lines = [line for line in chart.lines if np.isfinite(line.y).any()]
    if not lines:
        return ()
    ends = np.linspace(min(line.x[0] for line in lines), max(line.x[-1] for line in lines), _STRETCHES + 1)
    columns: list[list[float]] = []
    for line in lines:
        for low in (True, False):
            columns.append([_extreme(line, ends[k], ends[k + 1], low=low) for k in range(_STRETCHES)])
    texts, unit = numbers.in_one_unit([value for column in columns for value in column], chart.unit)
    shown = f" [{unit}]" if unit else ""
    headings = [chart.x_label[:1].upper() + chart.x_label[1:]]
    for line in lines:
        name = names.get(line.look, chart.y_label)
        headings += [f"{name[:1].upper()}{name[1:]}, {end}{shown}" for end in ("lowest", "highest")]
    rows = [
        (
            f"{numbers.moment(float(ends[k]))} to {numbers.moment(float(ends[k + 1]))}",
            *(texts[c * _STRETCHES + k] for c in range(len(columns))),
        )
        for k in range(_STRETCHES)
    ]
    return (tuple(headings), *rows)


def _extreme(line: Line, start_s: float, end_s: float, *, low: bool) -> float:
    """The end of a line in a stretch, its band included; NaN where it has no value."""
    here = (line.x >= start_s) & (line.x <= end_s)
    values: Array = line.y if line.band is None else line.band[0 if low else 1]
    if not here.any():
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a stretch of nothing but NaN is NaN
        return float(np.nanmin(values[here]) if low else np.nanmax(values[here]))
