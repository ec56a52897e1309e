"""Numbers as a person reads them: the one formatter of report, console and dashboard.

At most three significant figures, trailing zeros dropped. A prefix only where a roboticist expects one (mrad, mm, ms,
us). A relative change is dropped where its baseline is near zero, because it would divide by noise. What was not
measured says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

MISSING = "not measured"
FIGURES = 3
MIN_PAIRS = 10  # fewer paired runs than this are no statistic
NEAR_ZERO = 0.1  # a baseline below this share of the change carries no percentage

Number = float | int | None

_PREFIXED = {  # unit -> (below this magnitude, shown unit, factor), smallest first
    "rad": ((0.1, "mrad", 1e3),),
    "m": ((0.1, "mm", 1e3),),
    "rad or m": ((0.1, "mrad or mm", 1e3),),
    "s": ((1e-4, "us", 1e6), (0.1, "ms", 1e3)),
}
_SUPERSCRIPT = {"^2": "²", "^3": "³", "*": "·"}


def known(value: Number) -> bool:
    """Whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def figure(value: Number, figures: int = FIGURES) -> str:
    """A number without unit: 0.031234 -> "0.0312", 1234 -> "1230", 5.0 -> "5"."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    decimals = figures - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    if rounded == 0 or not 1e-4 <= abs(rounded) < 1e6:
        mantissa, _, exponent = f"{value:.{figures - 1}e}".partition("e")
        return f"{_trim(mantissa)}e{int(exponent)}"
    return _trim(f"{rounded:.{max(0, decimals)}f}")


def count(value: int | None) -> str:
    """A whole number that was counted, exactly: 1060 -> "1060"; from 10000 on in groups of three: "12,800"."""
    if value is None:
        return MISSING
    return f"{value:,}" if abs(value) >= 10_000 else str(value)


def unit_text(unit: str) -> str:
    """A unit as it is written: "N*m*s/rad" -> "N·m·s/rad", "1/s^2" -> "1/s²", "1" -> ""."""
    if unit == "1":
        return ""
    for plain, shown in _SUPERSCRIPT.items():
        unit = unit.replace(plain, shown)
    return unit


def scaled(values: Sequence[Number], unit: str) -> tuple[list[float | None], str]:
    """The values in the one unit that suits their largest, and that unit as it is written."""
    finite = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(finite, default=0.0)
    for below, shown, factor in _PREFIXED.get(unit, ()):
        if 0.0 < largest < below:
            return [None if value is None else value * factor for value in values], shown
    return list(values), unit_text(unit)


def in_one_unit(values: Sequence[Number], unit: str) -> tuple[list[str], str]:
    """Texts of values that stand in one row or column, and the unit they share."""
    shown, text = scaled(values, unit)
    return [figure(value) for value in shown], text


def quantity(value: Number, unit: str = "1") -> str:
    """A number with its unit: (0.0031, "rad") -> "3.1 mrad", (NaN, "kg") -> "not measured"."""
    (text,), shown = in_one_unit([value], unit)
    return f"{text} {shown}" if shown and known(value) else text


def interval(low: Number, high: Number, unit: str = "1") -> str:
    """An interval in one unit: (4.7, 5.1, "kg") -> "4.7 to 5.1 kg"."""
    if not (known(low) and known(high)):
        return MISSING
    ends, shown = scaled([low, high], unit)
    first, last = _told_apart(*ends)
    return f"{first} to {last} {shown}".rstrip()


def moment(t_s: Number) -> str:
    """A moment on the robot clock, to the hundredth: 12.3456 -> "12.35 s"."""
    return MISSING if t_s is None or not math.isfinite(t_s) else f"{t_s:.2f} s"


def signed(value: Number) -> str:
    """A difference without unit, its direction in front: "+0.4", "-12.3", "0"."""
    text = figure(value)
    return f"+{text}" if value is not None and known(value) and value > 0 else text


def difference(value: Number, unit: str) -> str:
    """A difference with unit: (-0.0251, "rad") -> "-25.1 mrad"."""
    text = quantity(value, unit)
    return f"+{text}" if value is not None and known(value) and value > 0 else text


def share(value: Number) -> str:
    """A fraction as per cent: 0.934 -> "93.4 %". What is neither nothing nor everything never reads 0 % or 100 %."""
    if value is None or not math.isfinite(value):
        return MISSING
    if 0.0 < value < 0.001:
        return "below 0.1 %"
    if 0.999 < value < 1.0:
        return "above 99.9 %"
    return f"{_per_cent(value)} %"


def relative(value: Number, baseline: Number) -> float | None:
    """`value` as a fraction of the baseline's size; None where the baseline is near zero against it."""
    if value is None or baseline is None or not (math.isfinite(value) and math.isfinite(baseline)):
        return None
    if baseline == 0 or abs(baseline) < NEAR_ZERO * abs(value):
        return None
    return value / abs(baseline)


def percent_change(delta: Number, baseline: Number) -> str | None:
    """A change against its baseline with sign: (-0.5, 2.0) -> "-25 %"; None where the baseline is near zero."""
    ratio = relative(delta, baseline)
    return None if ratio is None else f"{_signed_per_cent(ratio)} %"


def change(delta: Number, baseline: Number, unit: str) -> str:
    """A change in per cent where that means something, else in its unit."""
    return percent_change(delta, baseline) or difference(delta, unit)


def change_interval(low: Number, high: Number, delta: Number, baseline: Number, unit: str) -> str:
    """The interval of a change, in the terms that `change` has chosen for it."""
    if low is None or high is None or not (known(low) and known(high)):
        return MISSING
    if relative(delta, baseline) is None or not baseline:
        ends, shown = scaled([low, high], unit)
        first, last = _told_apart(*ends)
        return f"{_plus(first)}{first} to {_plus(last)}{last} {shown}".rstrip()
    first, last = _aligned(_per_cent(low / abs(baseline)), _per_cent(high / abs(baseline)))
    return f"{_plus(first)}{first} to {_plus(last)}{last} %"


def utc(at_ns: int) -> str:
    """A moment in UTC to the second."""
    return datetime.fromtimestamp(at_ns // 10**9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _told_apart(low: Number, high: Number) -> tuple[str, ...]:
    """Both ends with as many figures, up to six, as it takes to tell them apart, and with equally many decimals."""
    figures = next((f for f in range(FIGURES, 6) if figure(low, f) != figure(high, f)), 6)
    return _aligned(figure(low, figures), figure(high, figures))


def _aligned(*texts: str) -> tuple[str, ...]:
    """The texts padded with zeros to the same number of decimals; an exact 0 and powers of ten stay as they are."""
    decimals = max(len(text.partition(".")[2]) for text in texts)
    if not decimals or any("e" in text for text in texts):
        return texts
    return tuple(text if text == "0" else f"{float(text):.{decimals}f}" for text in texts)


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plus(text: str) -> str:
    return "" if text == "0" or text.startswith("-") else "+"


def _per_cent(ratio: float) -> str:
    """Three figures, at most one decimal: the second decimal of a percentage is noise."""
    return figure(round(100.0 * ratio, 1)) if abs(ratio) < 1 else figure(100.0 * ratio)


def _signed_per_cent(ratio: float) -> str:
    text = _per_cent(ratio)
    return _plus(text) + text
