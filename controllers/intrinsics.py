"""The functions a law may call, with a value for every float: nothing here raises, nothing hides a NaN.

The rules, the same for the runner and for any other compiler of laws:

- arithmetic is IEEE 754 double: `x / 0.0` is inf, -inf or nan; an overflow is inf;
- outside its domain a function is nan (`sqrt(-1.0)`, `asin(2.0)`, `sin(inf)`); `log(0.0)` is -inf, `exp(1000.0)` inf;
- `min`, `max` and `clip` are nan when any argument is nan: a NaN reaches the envelope instead of turning into a bound;
- sums run from left to right, without a starting zero and without fused multiply-add.

Values inside the domain are those of the C library through `math`, which numba links too; this makes equal bits
possible. The functions below are the reference. `controllers.compiler` writes the cheap ones in place, and a test holds
both to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

INF = math.inf
NAN = math.nan

# name -> fewest and most arguments; `mlp` takes weight and bias per layer, then input and output
ARITY: dict[str, tuple[int, int]] = {
    "abs": (1, 1),
    "min": (2, 8),
    "max": (2, 8),
    "clip": (3, 3),
    "sqrt": (1, 1),
    "exp": (1, 1),
    "log": (1, 1),
    "sin": (1, 1),
    "cos": (1, 1),
    "tan": (1, 1),
    "asin": (1, 1),
    "acos": (1, 1),
    "atan2": (2, 2),
    "tanh": (1, 1),
    "sign": (1, 1),
    "floor": (1, 1),
    "interp": (3, 3),
    "dot": (2, 2),
    "delay": (2, 2),
    "mlp": (4, 18),
}


def divide(x: float, y: float) -> float:
    """x / y as IEEE 754 has it: Python would raise where y is zero."""
    if y != 0.0:
        return x / y
    if x == 0.0 or math.isnan(x) or math.isnan(y):
        return NAN
    return math.copysign(INF, x) * math.copysign(1.0, y)


def minimum(x: float, y: float) -> float:
    """The smaller one; the first if equal; nan if either is nan."""
    return x if x <= y else y if y < x else NAN


def maximum(x: float, y: float) -> float:
    """The larger one; the first if equal; nan if either is nan."""
    return x if x >= y else y if y > x else NAN


def clip(x: float, low: float, high: float) -> float:
    """x between low and high; high wins where low > high; nan if any argument is nan."""
    return minimum(maximum(x, low), high)


def sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0.0 else NAN


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return INF


def log(x: float) -> float:
    """Natural logarithm; -inf at zero, nan below."""
    return math.log(x) if x > 0.0 else -INF if x == 0.0 else NAN


def sin(x: float) -> float:
    return math.sin(x) if -INF < x < INF else NAN


def cos(x: float) -> float:
    return math.cos(x) if -INF < x < INF else NAN


def tan(x: float) -> float:
    return math.tan(x) if -INF < x < INF else NAN


def asin(x: float) -> float:
    return math.asin(x) if -1.0 <= x <= 1.0 else NAN


def acos(x: float) -> float:
    return math.acos(x) if -1.0 <= x <= 1.0 else NAN


def sign(x: float) -> float:
    """1, -1, or x itself where x is a zero or nan."""
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x


def floor(x: float) -> float:
    """The largest whole number not above x, as a float; infinities and nan are returned as they are."""
    return x // 1.0 if -INF < x < INF else x


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """a[0] * b[0] + a[1] * b[1] + ..., from left to right. Equal lengths, at least one entry."""
    total = a[0] * b[0]
    for k in range(1, len(a)):
        total += a[k] * b[k]
    return total


def interp(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Straight lines through (xs, ys), held constant outside; xs increasing. Nan for a nan x."""
    if math.isnan(x):
        return NAN
    if x <= xs[0]:
        return ys[0]
    for k in range(1, len(xs)):
        if x < xs[k]:
            # xs[k-1] <= x < xs[k], hence the divisor is not zero (differences of unequal doubles never are)
            return ys[k - 1] + (ys[k] - ys[k - 1]) * ((x - xs[k - 1]) / (xs[k] - xs[k - 1]))
    return ys[-1]


def delay(buffer: list[float], x: float) -> float:
    """The value given len(buffer) calls ago. The buffer holds the oldest value first and is changed in place."""
    oldest = buffer[0]
    del buffer[0]
    buffer.append(x)
    return oldest


def mlp(layers: Sequence[tuple[list[list[float]], list[float]]], x: Sequence[float]) -> list[float]:
    """A small network: every layer is weight x + bias, with tanh between the layers and none after the last.

    Weights are (outputs, inputs), biases (outputs,). The sum starts with the first product; the bias comes last.
    """
    values = list(x)
    last = len(layers) - 1
    for index, (weight, bias) in enumerate(layers):
        values = [dot(row, values) + offset for row, offset in zip(weight, bias, strict=True)]
        if index < last:
            values = [math.tanh(value) for value in values]
    return values
