"""What the checker accepts, and that what it accepts computes what Python's own reading of the text says.

The oracle is a small interpreter that walks the law's text with the reference functions of `controllers.intrinsics`: it
neither counts loops out nor writes anything in place.
"""

from __future__ import annotations

import ast
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import intrinsics
from controllers.artefact import artefact_from_files
from controllers.controller import Controller
from core.errors import LawError
from core.ports import Ports

MANIFEST = b"""
name = "test"
version = "1"
summary = "A law for tests"
signals = ["dt", "q", "qd", "inertia"]
[params.k]
unit = "1"
low = -10.0
high = 10.0
max_step = 1.0
effect = "Scales."
[params.kp]
unit = "N*m/rad"
size = 2
low = 0.0
high = 1000.0
max_step = 1.0
effect = "Stiffens."
[states.integral]
size = 2
unit = "rad*s"
[states.line]
size = 3
unit = "rad"
initial = [1.0, 2.0, 3.0]
[scratch.work]
size = 3
[outputs.tau]
size = 2
unit = "N*m"
"""
PARAMS = b"k = -2.5\nkp = [100.0, 50.0]\n"
HEAD = "def control(dt, q, qd, inertia, k, kp, integral, line, work, tau):\n"
EXTREMES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-310,
    5e-324,
    1e308,
    -1e308,
    math.inf,
    -math.inf,
    math.nan,
    0.5,
    math.pi,
    709.9,
    1e16,
]
numbers = st.sampled_from(EXTREMES) | st.floats()


def controller(text: str) -> Controller:
    law = HEAD + "".join(f"    {line}\n" for line in text.split("\n"))
    files = {"law.py": law.encode(), "manifest.toml": MANIFEST, "params.toml": PARAMS}
    return Controller.from_artefact(artefact_from_files("test", files), Ports(joints=2, actuators=2, output="tau"))


def signals(values: list[float]) -> dict[str, Any]:
    return {"dt": values[0], "q": values[1:3], "qd": values[3:5], "inertia": [values[5:7], values[7:9]]}


def bits(values: list[float]) -> list[bytes]:
    """Equal bits, where every NaN counts as the same."""
    return [b"nan" if math.isnan(value) else struct.pack("<d", value) for value in values]


class Oracle:
    """Walks the text of a law."""

    def __init__(self, text: str) -> None:
        self.body = ast.parse(text).body
        self.names: dict[str, Any] = {"k": -2.5, "kp": [100.0, 50.0], "integral": [0.0] * 2, "line": [1.0, 2.0, 3.0]}

    def step(self, inputs: dict[str, Any]) -> list[float]:
        self.names.update(inputs, work=[0.0] * 3, tau=[0.0] * 2)
        self.run(self.body)
        return list(self.names["tau"])

    def run(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.For) and isinstance(statement.target, ast.Name):
                for value in range(*[self.whole(node) for node in statement.iter.args]):  # type: ignore[attr-defined]
                    self.names[statement.target.id] = value
                    self.run(statement.body)
            elif isinstance(statement, ast.If):
                self.run(statement.body if self.value(statement.test) else statement.orelse)
            elif isinstance(statement, ast.Assign):
                self.store(statement.targets[0], self.value(statement.value))
            elif isinstance(statement, ast.AugAssign):
                read = ast.parse(ast.unparse(statement.target), mode="eval").body
                self.store(statement.target, self.value(ast.BinOp(read, statement.op, statement.value)))

    def store(self, target: ast.expr, value: float) -> None:
        if isinstance(target, ast.Subscript):
            self.value(target.value)[self.whole(target.slice)] = value
        else:
            assert isinstance(target, ast.Name)
            self.names[target.id] = value

    def whole(self, node: ast.expr) -> int:
        found = eval(ast.unparse(node), {}, {k: v for k, v in self.names.items() if isinstance(v, int)})  # noqa: S307
        assert isinstance(found, int)
        assert found >= 0
        return found

    def value(self, node: ast.expr) -> Any:  # noqa: PLR0911, PLR0912 - one branch per kind of node
        match node:
            case ast.Constant(value=constant):
                return float(constant)
            case ast.Name(id=name):
                return self.names[name]
            case ast.Subscript():
                return self.value(node.value)[self.whole(node.slice)]
            case ast.BinOp():
                a, b = self.value(node.left), self.value(node.right)
                match node.op:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                return intrinsics.divide(a, b)
            case ast.UnaryOp(op=ast.Not()):
                return not self.value(node.operand)
            case ast.UnaryOp():
                return -self.value(node.operand)
            case ast.BoolOp(op=ast.And()):
                return all(self.value(part) for part in node.values)
            case ast.BoolOp():
                return any(self.value(part) for part in node.values)
            case ast.Compare():
                sides = [self.value(side) for side in (node.left, *node.comparators)]
                symbols = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
                return all(
                    eval(f"a {symbols[type(op)]} b", {"a": a, "b": b})  # type: ignore[index]  # noqa: S307
                    for op, a, b in zip(node.ops, sides[:-1], sides[1:], strict=True)
                )
            case ast.IfExp():
                return self.value(node.body if self.value(node.test) else node.orelse)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                values = [self.value(argument) for argument in arguments]
                if name in ("min", "max"):
                    pick = intrinsics.minimum if name == "min" else intrinsics.maximum
                    result = values[0]
                    for value in values[1:]:
                        result = pick(result, value)
                    return result
                plain = {"abs": abs, "tanh": math.tanh, "atan2": math.atan2}
                return plain.get(name, getattr(intrinsics, name, None))(*values)  # type: ignore[misc]
        raise AssertionError(ast.dump(node))


ACCEPTED = {
    "pid": """
for i in range(2):
    error = q[i] - qd[i]
    integral[i] = clip(integral[i] + error * dt, -1.0, 1.0)
    tau[i] = kp[i] * error + integral[i]""",
    "branches": """
if k > 0.0:
    x = 1.0
elif q[0] > 0.0 and not qd[0] < 0.0 or q[1] == 2.0:
    x = -1.0
else:
    x = q[0] / qd[0]
tau[0] = x
tau[1] = 1.0 if 0.0 < x <= 1.0 else x / (x - x)""",
    "affine_indices": """
for i in range(2):
    for j in range(i, 2):
        work[j - i + 1] = inertia[i][j] * q[1 - i]
    tau[1 - i] = inertia[i][1 - i]
for i in range(1, 3):
    tau[i - 1] += work[3 - i]""",
    "decided_branches": """
for i in range(2):
    if i > 0 and qd[i - 1] > 0.0:
        tau[i] = tau[i - 1]
    else:
        tau[i] = q[i]
    x = qd[i - 1] if i > 0 else 1.0
    if i == 0:
        y = x
    y *= x
tau[0] -= y""",
    "decided_sums": """
for i in range(2):
    if i + 1 == 2 or not -i > -1:
        tau[i] = q[i]
    else:
        tau[i] = qd[i]
    if q[0] > 5.0 or i == 1:
        tau[i] += 1.0""",
    "integers_become_floats": """
x = 3
x = x * x / 2
for i in range(2):
    x = x * x
tau[0] = -0
tau[1] = x""",
    "squaring_stays_a_float": """
a = 3
for i in range(500):
    a = a * a
tau[0] = a
tau[1] = a - a""",
    "nested_divisions": """
tau[0] = q[0] / q[1] / qd[0] / (qd[1] / (q[0] / dt) / k) / 0
tau[1] = (q[0] + 1.0) / (q[1] * 2.0) / -0.0
tau[1] /= q[0] - q[0]""",
    "rows": """
for i in range(2):
    tau[i] = dot(inertia[i], q) + dot(kp, qd)
work[0] = -1.0
work[1] = 0.0
work[2] = 2.0
tau[0] += interp(q[0], work, line)""",
    "delay_line": """
x = delay(line, q[0])
tau[0] = x
tau[1] = line[0] + line[2]""",
    "functions": """
tau[0] = sqrt(q[0]) + sin(q[1]) * cos(qd[0]) - tan(qd[1]) + asin(q[0]) + acos(q[1]) + floor(qd[0]) + sign(qd[1])
tau[1] = min(exp(q[0]), log(q[1]), 5) + max(abs(qd[0]), tanh(qd[1]), -1, k) * atan2(q[0], -q[1])
tau[0] += clip(q[0] * 2.0, qd[0] + 1.0, qd[1]) + clip(q[1], -k, 3.0) + floor(-0.5)""",
}
for _function in ("sqrt", "exp", "log", "sin", "cos", "tan", "asin", "acos", "tanh", "sign", "floor", "abs"):
    ACCEPTED[_function] = f"tau[0] = {_function}(q[0])\ntau[1] = {_function}(q[0] + 0.0)"
for _function in ("min", "max", "atan2"):
    ACCEPTED[_function] = f"tau[0] = {_function}(q[0], qd[0])\ntau[1] = {_function}(q[0] * 1.0, qd[0] * 1.0)"
ACCEPTED["clip"] = "tau[0] = clip(q[0], q[1], qd[1])\ntau[1] = clip(q[0] * 1.0, q[1] * 1.0, qd[1] * 1.0)"
ACCEPTED["divide"] = "tau[0] = q[0] / q[1]\ntau[1] = (q[0] * 1.0) / (q[1] * 1.0)"


@pytest.mark.parametrize("name", ACCEPTED)
def test_compiled_law_equals_the_text_to_the_last_bit(name: str) -> None:
    text = ACCEPTED[name].strip("\n")

    @settings(max_examples=40, deadline=None, database=None)
    @given(st.lists(st.lists(numbers, min_size=9, max_size=9), min_size=1, max_size=4))
    def compare(ticks: list[list[float]]) -> None:
        law, oracle = controller(text), Oracle(text)
        for tick in ticks:
            assert bits(law.step(signals(tick))) == bits(oracle.step(signals(tick)))
        for state in ("integral", "line"):
            assert bits(law.states[state]) == bits(oracle.names[state])
        assert all(type(value) is float for values in (*law.states.values(), *law.outputs.values()) for value in values)

    compare()


atoms = st.sampled_from(["q[0]", "qd[1]", "k", "dt", "kp[0]", "integral[1]", "0.0", "2", "x", "inertia[1][0]"])
conditions = st.tuples(atoms, st.sampled_from(["<", "<=", "==", "!=", ">"]), atoms).map(" ".join)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"(-{t})"),
        st.tuples(st.sampled_from(["sqrt", "exp", "log", "sin", "tanh", "sign", "floor", "abs"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        st.tuples(st.sampled_from(["min", "max", "atan2"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"clip({', '.join(t)})"),
        st.tuples(inner, conditions, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, database=None)
@given(first=expressions, second=expressions, condition=conditions, tick=st.lists(numbers, min_size=9, max_size=9))
def test_any_expression_computes_what_it_says_and_raises_nothing(
    first: str, second: str, condition: str, tick: list[float]
) -> None:
    text = f"x = 0.5\nif {condition}:\n    x = {first}\n    integral[0] += x\ntau[0] = {first}\ntau[1] = {second}"
    law, oracle = controller(text), Oracle(text)
    for _ in range(2):
        assert bits(law.step(signals(tick))) == bits(oracle.step(signals(tick)))
    assert bits(law.states["integral"]) == bits(oracle.names["integral"])


@pytest.mark.parametrize(
    "layer", ["sqrt({})", "(1.0 / {})", "({} / k)", "max({}, k)", "clip({}, k, dt)", "clip(k, {}, dt)"]
)
def test_the_deepest_law_that_passes_also_compiles(layer: str) -> None:
    expression = "q[0] * 2.0"
    for _ in range(20):
        expression = layer.format(expression)
    while True:
        try:
            controller(f"x = {expression}\ntau[0] = x\ntau[1] = x")
        except LawError as error:
            refusal = error
            break
        expression = layer.format(expression)
    assert refusal.message.startswith("nested more than 50 deep")


def test_the_largest_law_that_passes_also_compiles() -> None:
    law = controller("x = 0.0\nfor i in range(12000):\n    x += q[0]\ntau[0] = x\ntau[1] = x")
    assert 40_000 < law.cost <= 50_000
    assert law.step(signals([1.0] * 9))[0] == 12000.0


def test_both_branches_count_in_the_cost() -> None:
    plain = controller("tau[0] = 1.0\ntau[1] = 1.0").cost
    branched = controller("if k > 0.0:\n    tau[0] = 1.0\nelse:\n    tau[0] = 2.0\ntau[1] = 1.0").cost
    assert branched >= plain + 4
