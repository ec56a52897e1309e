"""A line chart as inline SVG whose colours come from the page: light, dark and print without a second drawing.

Lines differ by dash and width as well as by colour; labels are text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from core.block import Array
from remend import numbers

WIDTH, HEIGHT = 360.0, 216.0  # user units; small enough that 11 units stay readable on a phone
_LEFT, _RIGHT, _BOTTOM = 54.0, 8.0, 34.0
_ROW = 13.0  # height of one row of labels above the plot
_LETTER = 5.8  # width of a letter at the labels' size
_LOG_FLOOR = 0.1  # smaller values stand on the floor of a logarithmic chart
_BUCKETS = 240  # a line is drawn through the smallest and the largest value of so many stretches


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One line. `look` is a class of the style sheet: before, after, reference, limit or plain."""

    look: str
    x: Array  # (N,)
    y: Array  # (N,)
    band: tuple[Array, Array] | None = None  # (N,) low, (N,) high


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment on the x axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """A chart with one x axis in seconds and one y axis in `unit`, which is scaled for reading."""

    alt: str  # what it shows, in one sentence with its numbers
    y_label: str
    unit: str
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()
    level: float | None = None  # a horizontal limit [unit]
    x_label: str = "time [s]"
    log: bool = False
    from_zero: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """Where values stand on the page."""

    x: tuple[float, float]  # [s]
    y: tuple[float, float]  # as shown, in the scaled unit
    factor: float  # chart unit -> scaled unit
    log: bool
    top: float

    def px(self, x: Array | float) -> Array:
        """Seconds to user units."""
        share = (np.asarray(x, dtype=float) - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        return np.asarray(_LEFT + share * (WIDTH - _LEFT - _RIGHT))

    def py(self, y: Array | float) -> Array:
        """Values of the chart's unit to user units."""
        value, ends = np.asarray(y, dtype=float) * self.factor, np.array(self.y)
        if self.log:
            value, ends = np.log10(np.maximum(value, self.y[0])), np.log10(ends)
        share = (value - ends[0]) / ((ends[1] - ends[0]) or 1.0)
        return np.asarray(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - self.top))


def draw(chart: Chart) -> Markup:
    """The chart as one `<svg>` element; lines without a finite value are left out."""
    lines = [_thin(line) for line in chart.lines if np.isfinite(line.y).any()]
    if not lines:
        return Markup("")
    ends = [value for line in lines for value in _range_of(line)] + ([] if chart.level is None else [chart.level])
    largest = max(map(abs, ends)) or 1.0
    (shown,), unit = numbers.scaled([largest], chart.unit)
    assert shown is not None
    factor = shown / largest
    low, high = min(ends) * factor, max(ends) * factor
    ticks = (
        _log_ticks(max(low, _LOG_FLOOR), high) if chart.log else _ticks(min(low, 0.0) if chart.from_zero else low, high)
    )
    x = (float(min(line.x[0] for line in lines)), float(max(line.x[-1] for line in lines)))
    rows = _rows(chart.marks, x)
    top = 8.0 + _ROW * (1 + max(rows, default=-1))
    axes = _Axes(x=x, y=(ticks[0], max(ticks[-1], high)), factor=factor, log=chart.log, top=top)
    parts = [_frame(chart, axes, unit, ticks)]
    for line in lines:
        if line.band is not None:
            upper = _path(_points(axes.px(line.x), axes.py(line.band[1])))
            lower = _path(_points(axes.px(line.x[::-1]), axes.py(line.band[0][::-1])))
            parts.append(_tag('<path class="band {}" d="M{}L{}Z"/>', line.look, upper, lower))
    if chart.level is not None:
        at = float(axes.py(chart.level))
        parts.append(_tag('<path class="line limit" d="M{} {}H{}"/>', _LEFT, f"{at:.1f}", WIDTH - _RIGHT))
    for line in lines:
        for piece in _pieces(axes.px(line.x), axes.py(line.y)):
            parts.append(_tag('<path class="line {}" d="M{}"/>', line.look, _path(piece)))
    parts += [_mark(mark, row, float(axes.px(mark.x)), top) for mark, row in zip(chart.marks, rows, strict=True)]
    view = f"0 0 {WIDTH:g} {HEIGHT:g}"
    return _tag('<svg class="chart" role="img" viewBox="{}" aria-label="{}">{}</svg>', view, chart.alt, _join(parts))


def _frame(chart: Chart, axes: _Axes, unit: str, y_ticks: Sequence[float]) -> Markup:
    """Grid, ticks and the names of the axes."""
    parts = []
    for tick in y_ticks:
        at, text = f"{float(axes.py(tick / axes.factor)):.1f}", numbers.figure(tick)
        parts.append(_tag('<path class="grid" d="M{} {}H{}"/>', _LEFT, at, WIDTH - _RIGHT))
        parts.append(_tag('<text x="{}" y="{}" dy="3.5" text-anchor="end">{}</text>', _LEFT - 5, at, text))
    below = HEIGHT - _BOTTOM + 14
    for tick in _ticks(*axes.x):
        if tick >= axes.x[0]:
            at, text = f"{float(axes.px(tick)):.1f}", numbers.figure(tick, 5)
            parts.append(_tag('<text x="{}" y="{}" text-anchor="middle">{}</text>', at, below, text))
    label = f"{chart.y_label} [{unit}]" if unit else chart.y_label
    middle = f"{(axes.top + HEIGHT - _BOTTOM) / 2:.1f}"
    turned = '<text transform="translate(10 {}) rotate(-90)" text-anchor="middle">{}</text>'
    centre = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(_tag(turned, middle, label))
    parts.append(_tag('<text x="{}" y="{}" text-anchor="middle">{}</text>', centre, HEIGHT - 5, chart.x_label))
    return _join(parts)


def _mark(mark: Mark, row: int, x: float, top: float) -> Markup:
    y = 10.0 + _ROW * row
    anchor = "end" if _leans_left(mark, x) else "start"
    text = x - 3 if anchor == "end" else x + 3
    return _tag(
        '<path class="mark" d="M{} {}V{}"/><text class="mark" x="{}" y="{}" text-anchor="{}">{}</text>',
        f"{x:.1f}",
        f"{min(y - 8, top):.1f}",
        HEIGHT - _BOTTOM,
        f"{text:.1f}",
        f"{y:.1f}",
        anchor,
        mark.label,
    )


def _leans_left(mark: Mark, x: float) -> bool:
    return x + 3 + _LETTER * len(mark.label) > WIDTH


def _rows(marks: Sequence[Mark], ends: tuple[float, float]) -> list[int]:
    """The row of each label, so that none covers another."""
    taken: list[list[tuple[float, float]]] = []
    rows = []
    for mark in marks:
        x = _LEFT + (mark.x - ends[0]) / ((ends[1] - ends[0]) or 1.0) * (WIDTH - _LEFT - _RIGHT)
        length = _LETTER * len(mark.label) + 6
        start = x - length if _leans_left(mark, x) else x
        row = 0
        while row < len(taken) and any(start < end and begin < start + length for begin, end in taken[row]):
            row += 1
        if row == len(taken):
            taken.append([])
        taken[row].append((start, start + length))
        rows.append(row)
    return rows


def _thin(line: Line) -> Line:
    """The same line through few enough points, keeping every extreme."""
    size = len(line.x)
    if size <= 2 * _BUCKETS:
        return line
    keep: set[int] = {0, size - 1}
    for part in np.array_split(np.arange(size), _BUCKETS):
        y = line.y[part]
        if np.isfinite(y).any():
            keep |= {int(part[np.nanargmin(y)]), int(part[np.nanargmax(y)])}
        else:
            keep.add(int(part[0]))
    order = np.array(sorted(keep))
    band = None if line.band is None else (line.band[0][order], line.band[1][order])
    return Line(look=line.look, x=line.x[order], y=line.y[order], band=band)


def _range_of(line: Line) -> tuple[float, float]:
    arrays = [line.y, *(line.band or ())]
    return min(float(np.nanmin(a)) for a in arrays), max(float(np.nanmax(a)) for a in arrays)


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from at or below `low` to the last one at or below `high`."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(m * power for m in (1, 2, 2.5, 5, 10, 20) if span / (m * power) <= most)
    first = math.floor(low / step + 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first = math.floor(math.log10(max(low, 1e-3)))
    return [10.0**k for k in range(first, max(first + 1, math.ceil(math.log10(high))) + 1)]


def _points(x: Array, y: Array) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True) if math.isfinite(b)]


def _pieces(x: Array, y: Array) -> list[list[tuple[float, float]]]:
    """The line between its gaps."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(b):
            pieces[-1].append((a, b))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _tag(pattern: str, *values: object) -> Markup:
    """Markup with every value escaped."""
    return Markup(pattern).format(*values)  # noqa: S704 - patterns are literals of this module


def _join(parts: Sequence[Markup]) -> Markup:
    return Markup("").join(parts)
