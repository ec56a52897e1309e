"""The runner against a second, independent compiler: numba reads the law's text, with its loops and arrays as written.

Both must agree to the last bit, over ordinary numbers, infinities, NaN, zeros of both signs and subnormals.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from safetensors.numpy import load, save

from controllers.artefact import Artefact, artefact_from_files, load_artefact, shipped_laws, with_params
from controllers.controller import Controller
from controllers.grammar import parse_law
from core.ports import Ports
from core.signals import SIGNALS

EXTREMES = np.array([0.0, -0.0, 1e-310, 5e-324, 1e308, -1e308, np.inf, -np.inf, np.nan, 1.0, -1.0, 710.0])

njit: Callable[[Any], Any] = numba.njit(error_model="numpy")  # IEEE division; no fast math, hence no fused multiply-add


@njit
def minimum(x: float, y: float) -> float:
    return x if x <= y else y if y < x else math.nan


@njit
def maximum(x: float, y: float) -> float:
    return x if x >= y else y if y > x else math.nan


@njit
def clip(x: float, low: float, high: float) -> float:
    return minimum(maximum(x, low), high)


@njit
def sign(x: float) -> float:
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x


@njit
def dot(a: Any, b: Any) -> float:
    total = a[0] * b[0]
    for k in range(1, len(a)):
        total += a[k] * b[k]
    return total


@njit
def interp(x: float, xs: Any, ys: Any) -> float:
    if x != x or x <= xs[0]:  # noqa: PLR0124
        return x if x != x else ys[0]  # noqa: PLR0124
    for k in range(1, len(xs)):
        if x < xs[k]:
            return ys[k - 1] + (ys[k] - ys[k - 1]) * ((x - xs[k - 1]) / (xs[k] - xs[k - 1]))
    return ys[-1]


@njit
def delay(buffer: Any, x: float) -> float:
    oldest = buffer[0]
    buffer[:-1] = buffer[1:].copy()
    buffer[-1] = x
    return oldest


@njit
def mlp(w1: Any, b1: Any, w2: Any, b2: Any, x: Any, out: Any) -> None:
    hidden = np.empty(len(b1))
    for k in range(len(b1)):
        hidden[k] = math.tanh(dot(w1[k], x) + b1[k])
    for k in range(len(b2)):
        out[k] = dot(w2[k], hidden) + b2[k]


NAMESPACE: dict[str, Any] = {
    name: getattr(math, name) for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan2", "tanh")
}
NAMESPACE |= {"min": minimum, "max": maximum, "clip": clip, "sign": sign, "floor": np.floor, "abs": abs, "dot": dot}
NAMESPACE |= {"interp": interp, "delay": delay, "mlp": mlp, "range": range}


class Floats(ast.NodeTransformer):
    """Whole numbers become floats, except in indices and loop limits; min and max of many become min and max of two."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.copy_location(ast.Constant(float(node.value)), node)  # type: ignore[arg-type]

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id not in ("min", "max"):
            return node
        result = node.args[0]
        for argument in node.args[1:]:
            result = ast.Call(node.func, [result, argument], [])
        return result

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        return node

    def visit_For(self, node: ast.For) -> ast.For:
        node.body = [self.visit(statement) for statement in node.body]
        return node


@lru_cache
def numba_law(law: bytes) -> tuple[Any, list[str]]:
    function = parse_law(law, "law.py")
    function.body = [Floats().visit(statement) for statement in function.body]
    namespace = dict(NAMESPACE)
    exec(ast.unparse(function), namespace)  # noqa: S102 - a law of this repository
    return njit(namespace["control"]), [argument.arg for argument in function.args.args]


FUNCTIONS = b"""
def control(dt, q, qd, inertia, table, w1, b1, w2, b2, integral, line, hidden, tau):
    old = delay(line, q[0])
    mlp(w1, b1, w2, b2, q, hidden)
    for i in range(2):
        integral[i] = clip(integral[i] + (q[i] - old) * dt, -1, 1)
        tau[i] = hidden[i] + dot(inertia[i], qd) / integral[1 - i]
    tau[0] += sqrt(q[0]) + sin(q[1]) * cos(qd[0]) - tan(qd[1]) + asin(q[0]) + acos(q[1]) + floor(qd[0]) + sign(qd[1])
    tau[1] += min(exp(q[0]), log(q[1]), 5) + max(abs(qd[0]), tanh(qd[1]), -1) * atan2(q[0], -q[1])
    if tau[0] > 0 and not tau[1] <= tau[0]:
        tau[0] = interp(q[0], table, line) / 0
"""
FUNCTIONS_MANIFEST = b"""
name = "functions"
version = "1"
summary = "Every function of the law language"
signals = ["dt", "q", "qd", "inertia"]
[params.table]
unit = "rad"
size = 4
low = -9.0
high = 9.0
max_step = 1.0
effect = "Places of a table."
[weights.w1]
shape = [5, 2]
[weights.b1]
shape = [5]
[weights.w2]
shape = [2, 5]
[weights.b2]
shape = [2]
[states.integral]
unit = "rad*s"
size = 2
[states.line]
unit = "rad"
size = 4
initial = 0.25
[scratch.hidden]
size = 2
[outputs.tau]
unit = "N*m"
size = 2
"""


def functions() -> Artefact:
    generator = np.random.default_rng(5)
    shapes = {"w1": (5, 2), "b1": (5,), "w2": (2, 5), "b2": (2,)}
    weights = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    files = {
        "law.py": FUNCTIONS,
        "manifest.toml": FUNCTIONS_MANIFEST,
        "params.toml": b"table = [-1.0, 0.0, 0.5, 2.0]",
        "weights.safetensors": save(weights),
    }
    return artefact_from_files("functions", files)


def random_signals(generator: np.random.Generator, names: tuple[str, ...], joints: int, tick: int) -> dict[str, Any]:
    signals: dict[str, Any] = {}
    for name in names:
        shape = tuple(joints for _ in SIGNALS[name].shape)
        values = np.asarray(generator.normal(size=shape) * 10.0 ** generator.integers(-3, 3))
        if tick % 2:  # every other tick has a few extreme entries
            values = np.where(generator.random(shape) < 0.1, generator.choice(EXTREMES, size=shape), values)
        signals[name] = values.tolist()
    return signals


def same_bits(a: Any, b: Any) -> bool:
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    nan = np.isnan(left) & np.isnan(right)
    return bool(np.all(nan | (left.view(np.int64) == right.view(np.int64))))


def disagreements(artefact: Artefact, joints: int, ticks: int) -> int:
    controller = Controller.from_artefact(artefact, Ports(joints=joints, actuators=joints, output="tau"))
    law, names = numba_law(artefact.files["law.py"])
    manifest = controller.manifest
    arrays: dict[str, Any] = {}
    for name, value in controller.params.items():
        arrays[name] = np.array(value) if isinstance(value, list) else value
    if manifest.weights:
        arrays |= {k: v.astype(np.float64) for k, v in load(artefact.files["weights.safetensors"]).items()}
    arrays |= {name: np.zeros(size) for name, size in manifest.scratch.items()}
    arrays |= {name: np.zeros(output.size) for name, output in manifest.outputs.items()}
    generator = np.random.default_rng(11)
    wrong = 0
    for tick in range(ticks):
        if tick % 5 == 0:  # a NaN in a state would hide everything after it
            controller.reset()
            arrays |= {name: np.array(state.initial) for name, state in manifest.states.items()}
        signals = random_signals(generator, controller.signals, joints, tick)
        tau = controller.step(signals)
        arrays |= {name: np.array(value) if isinstance(value, list) else value for name, value in signals.items()}
        law(*[arrays[name] for name in names])
        wrong += not same_bits(tau, arrays["tau"])
        wrong += sum(not same_bits(values, arrays[name]) for name, values in controller.states.items())
    return wrong


@pytest.mark.parametrize("folder", shipped_laws().values(), ids=list(shipped_laws()))
def test_shipped_law_agrees_with_numba_to_the_last_bit(folder: Path) -> None:
    generator = np.random.default_rng(3)
    artefact = load_artefact(folder)
    assert disagreements(artefact, 7, 400) == 0
    controller = Controller.from_artefact(artefact, Ports(joints=7, actuators=7, output="tau"))
    moved = {}
    for name, param in controller.manifest.params.items():
        low, high = np.array(param.low), np.array(param.high)
        values = (low + generator.random(len(low)) * (high - low)).tolist()
        moved[name] = values if param.size is not None else values[0]
    assert disagreements(with_params(artefact, moved), 7, 400) == 0


def test_every_function_agrees_with_numba_to_the_last_bit() -> None:
    assert disagreements(functions(), 2, 2000) == 0


def test_the_comparison_notices_one_bit() -> None:
    assert same_bits([1.0, math.nan], [1.0, math.nan])
    assert not same_bits([1.0], [math.nextafter(1.0, 2.0)])
    assert not same_bits([0.0], [-0.0])
