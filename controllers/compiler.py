"""The compiler: a checked law becomes one straight Python function over plain floats.

Loops are counted out and every entry of every array becomes a local variable, which is what makes CPython fast enough:
entry 3 of `q` is `_3_q`, entry 1, 2 of `inertia` is `_1_2_inertia`. Names of a law never start with an underscore, so
nothing can clash. The text is built from checked names and `repr` of floats alone.

Division and the cheap functions are written in place as guarded expressions, with the values of
`controllers.intrinsics` to the last bit.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from types import CodeType

from controllers import intrinsics
from controllers.counting import Counting
from controllers.law import CheckedLaw
from controllers.manifest import Manifest
from controllers.network import network

Step = Callable[[Mapping[str, object]], list[float]]
Maker = Callable[[Mapping[str, object], Mapping[str, list[float]]], Step]

LONG_DOT = 64  # entries; a longer sum is a call, because CPython's compiler recurses once per term

# {x} is bound to a temporary in the test, which runs first
_GUARDED = {
    "sqrt": "(_math_sqrt({y}) if {x} >= 0.0 else _nan)",
    "sin": "(_math_sin({y}) if -_inf < {x} < _inf else _nan)",
    "cos": "(_math_cos({y}) if -_inf < {x} < _inf else _nan)",
    "tan": "(_math_tan({y}) if -_inf < {x} < _inf else _nan)",
    "asin": "(_math_asin({y}) if -1.0 <= {x} <= 1.0 else _nan)",
    "acos": "(_math_acos({y}) if -1.0 <= {x} <= 1.0 else _nan)",
    "sign": "(1.0 if {x} > 0.0 else -1.0 if {y} < 0.0 else {y})",
    "floor": "({y} // 1.0 if -_inf < {x} < _inf else {y})",
}
_TOTAL = {"tanh": "_math_tanh", "atan2": "_math_atan2", "abs": "_abs", "exp": "_exp", "log": "_log"}
_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}

_NAMESPACE: dict[str, object] = {
    "__builtins__": {},
    "_abs": abs,
    "_nan": intrinsics.NAN,
    "_inf": intrinsics.INF,
    "_divide": intrinsics.divide,
    "_exp": intrinsics.exp,
    "_log": intrinsics.log,
    "_clip": intrinsics.clip,
    "_dot": intrinsics.dot,
    "_interp": intrinsics.interp,
    "_delay": intrinsics.delay,
    "_network": network,
    "_math_sqrt": math.sqrt,
    "_math_sin": math.sin,
    "_math_cos": math.cos,
    "_math_tan": math.tan,
    "_math_asin": math.asin,
    "_math_acos": math.acos,
    "_math_tanh": math.tanh,
    "_math_atan2": math.atan2,
}


def compile_law(law: CheckedLaw, manifest: Manifest) -> Maker:
    """A maker of step functions.

    It takes the constants (parameters and weights) and the memory (state and output lists), each by name. The step
    function takes the signals by name, changes the memory in place and returns the command as a new list.
    """
    return maker_of(law_code(law, manifest))


def law_code(law: CheckedLaw, manifest: Manifest) -> CodeType:
    """The compiled maker, which another process of this interpreter can take over (`marshal`)."""
    return compile(law_text(law, manifest), f"<compiled {law.file}>", "exec")


def maker_of(code: CodeType) -> Maker:
    """The maker that `law_code` compiled."""
    namespace = dict(_NAMESPACE)
    exec(code, namespace)  # noqa: S102 - text of checked names and floats
    return namespace["_make"]  # type: ignore[return-value]


def law_text(law: CheckedLaw, manifest: Manifest) -> str:
    """The Python text of the maker."""
    emitter = _Emitter(law, manifest)
    body = emitter.block(law.function.body)
    constants = [name for name in law.arguments if name in manifest.params or name in manifest.weights]
    lines = ["def _make(_constants, _memory):"]
    for name in constants:
        shape = law.shapes[name] if name in manifest.params else ()
        lines.append(f" {emitter.pattern(name, shape)} = _constants['{name}']")
    lines += [f" _net{k} = _network({layers})" for k, layers in enumerate(emitter.networks)]
    lists = [name for name in law.arguments if name in manifest.states or name in manifest.outputs]
    lines += [f" _list_{name} = _memory['{name}']" for name in lists]
    lines.append(" def _step(_signals):")
    for name in law.arguments:
        if name in manifest.signals:
            lines.append(f"  {emitter.pattern(name, law.shapes[name])} = _signals['{name}']")
        elif name in manifest.states and name not in law.delayed:
            lines.append(f"  {emitter.pattern(name, law.shapes[name])} = _list_{name}")
    lines += [f"  {line}" for line in body]
    for name in lists:
        if name not in law.delayed:
            changed = sorted(index for owner, index in emitter.written if owner == name)
            lines += [f"  _list_{name}[{index}] = _{index}_{name}" for index in changed]
    lines.append(f"  return [{', '.join(emitter.cells(law.command))}]")
    lines.append(" return _step\n")
    return "\n".join(lines)


class _Emitter(Counting):
    """One walk over a checked law, along the same indices and branches as the proof."""

    def __init__(self, law: CheckedLaw, manifest: Manifest) -> None:
        super().__init__(law.file)
        self.law = law
        self.manifest = manifest
        self.written: set[tuple[str, int]] = set()
        self.fresh = itertools.count()
        self.networks: list[str] = []  # the layers of each mlp; made ready once for a controller

    # statements

    def block(self, statements: Sequence[ast.stmt]) -> list[str]:
        lines: list[str] = []
        for statement in statements:
            self.fresh = itertools.count()  # temporaries live for one line
            match statement:
                case ast.Assign(targets=[target], value=value):
                    text = self.assigned(value)
                    lines.append(f"{self.target(target)} = {text}")
                case ast.AugAssign(target=target, op=op, value=value):
                    assert isinstance(target, (ast.Name, ast.Subscript))
                    text = self.binary(type(op), self.number(target), self.number(value), target)
                    lines.append(f"{self.target(target)} = {text}")
                case ast.If():
                    lines += self.branch(statement)
                case ast.For(target=ast.Name(id=name)):
                    for value_ in self.turns(statement.iter):
                        self.counters[name] = value_
                        lines += self.block(statement.body)
                    self.counters.pop(name, None)
                case ast.Expr(value=ast.Call() as call):
                    lines.append(self.mlp(call))
                case _:
                    pass
        return lines

    def branch(self, node: ast.If) -> list[str]:
        decided = self.decide(node.test)
        if decided is not None:
            return self.block(node.body if decided else node.orelse)
        lines = [f"if {self.condition(node.test)}:"]
        lines += [f" {line}" for line in self.block(node.body) or ["pass"]]
        if orelse := self.block(node.orelse):
            lines += ["else:", *(f" {line}" for line in orelse)]
        return lines

    def target(self, node: ast.expr) -> str:
        if isinstance(node, ast.Subscript):
            name, index = self.place(node)
            self.written.add((name, index[0]))
            return self.cell(name, index)
        assert isinstance(node, ast.Name)
        return node.id

    def assigned(self, node: ast.expr) -> str:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "delay":
            buffer, value = node.args
            assert isinstance(buffer, ast.Name)
            return f"_delay(_list_{buffer.id}, {self.number(value)})"
        return self.number(node)

    def mlp(self, node: ast.Call) -> str:
        *layers, x, out = node.args
        assert isinstance(out, ast.Name)
        pairs = "".join(
            f"({weight.id}, {bias.id}), "
            for weight, bias in zip(layers[::2], layers[1::2], strict=True)
            if isinstance(weight, ast.Name) and isinstance(bias, ast.Name)
        )
        self.written |= {(out.id, index) for index in range(self.law.shapes[out.id][0])}
        pairs = f"({pairs})"
        if pairs not in self.networks:  # a loop runs the same one again
            self.networks.append(pairs)
        where = self.networks.index(pairs)
        return f"{self.pattern(out.id, self.law.shapes[out.id])} = _net{where}({self.array(x)})"

    # expressions

    def number(self, node: ast.expr) -> str:  # noqa: PLR0911 - one return per kind of node
        match node:
            case ast.Constant(value=(int() | float()) as value):
                return repr(float(value))
            case ast.Name(id=name):
                return name
            case ast.Subscript():
                return self.cell(*self.place(node))
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(type(op), self.number(left), self.number(right), left)
            case ast.UnaryOp(op=op, operand=operand):
                return f"({'-' if isinstance(op, ast.USub) else '+'}{self.number(operand)})"
            case ast.IfExp(test=test, body=body, orelse=orelse):
                decided = self.decide(test)
                if decided is not None:
                    return self.number(body if decided else orelse)
                return f"({self.number(body)} if {self.condition(test)} else {self.number(orelse)})"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.call(name, arguments)
        raise AssertionError(f"{type(node).__name__} passed the checker")

    def binary(self, op: type[ast.operator], left: str, right: str, node: ast.AST) -> str:
        if op is not ast.Div:
            return f"({left} {_BINARY[op]} {right})"
        if _is_number(right) and float(right) != 0.0:
            return f"({left} / {right})"
        test, divisor = self.bind(right)
        if _is_atom(left):
            return f"({left} / {divisor} if {test} else _divide({left}, {divisor}))"
        # `is not None` is the cheapest test that is always true: it only binds the dividend
        bound, dividend = self.bind(left)
        return f"({dividend} / {divisor} if {bound} is not None and {test} else _divide({dividend}, {divisor}))"

    def call(self, name: str, arguments: Sequence[ast.expr]) -> str:  # noqa: PLR0911 - one return per form
        if name == "dot":
            a, b = (self.entries(argument) for argument in arguments)
            if len(a) > LONG_DOT:
                return f"_dot(({', '.join(a)}), ({', '.join(b)}))"
            return f"({' + '.join(f'{x} * {y}' for x, y in zip(a, b, strict=True))})"
        if name == "interp":
            xs, ys = (self.array(argument) for argument in arguments[1:])
            return f"_interp({self.number(arguments[0])}, {xs}, {ys})"
        texts = [self.number(argument) for argument in arguments]
        if name in _TOTAL:
            return f"{_TOTAL[name]}({', '.join(texts)})"
        if name == "clip":
            x, low, high = texts
            if _is_atom(low) and _is_atom(high):
                bound, y = self.bind(x)
                return f"({y} if {low} <= {bound} <= {high} else _clip({y}, {low}, {high}))"
            return f"_clip({x}, {low}, {high})"
        if name in ("min", "max"):
            before, after = ("<=", "<") if name == "min" else (">=", ">")
            result = texts[0]
            for text in texts[1:]:
                first, x = self.bind(result)
                second, y = self.bind(text)
                result = f"({x} if {first} {before} {second} else {y} if {y} {after} {x} else _nan)"
            return result
        bound, y = self.bind(texts[0])
        return _GUARDED[name].format(x=bound, y=y)

    def bind(self, text: str) -> tuple[str, str]:
        """The text that evaluates and binds, and the name that repeats the value."""
        if _is_atom(text):
            return text, text
        name = f"_t{next(self.fresh)}"
        return f"({name} := {text})", name

    def condition(self, node: ast.expr) -> str:
        decided = self.decide(node)
        if decided is not None:
            return "0.0 == 0.0" if decided else "0.0 != 0.0"
        match node:
            case ast.BoolOp(op=ast.And() | ast.Or() as both, values=values):
                word = " and " if isinstance(both, ast.And) else " or "
                return f"({word.join(self.condition(value) for value in values)})"
            case ast.UnaryOp(operand=operand):
                return f"(not {self.condition(operand)})"
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                parts = [self.number(left)]
                for op, side in zip(ops, comparators, strict=True):
                    parts += [_COMPARE[type(op)], self.number(side)]
                return f"({' '.join(parts)})"
        raise AssertionError(f"{type(node).__name__} passed the checker")

    # places

    def place(self, node: ast.expr) -> tuple[str, tuple[int, ...]]:
        index: list[int] = []
        while isinstance(node, ast.Subscript):
            index.insert(0, self.integer(node.slice, "an index"))
            node = node.value
        assert isinstance(node, ast.Name)
        return node.id, tuple(index)

    def cell(self, name: str, index: tuple[int, ...]) -> str:
        if name in self.law.delayed:
            return f"_list_{name}[{index[0]}]"
        if name in self.manifest.weights:  # too many for local variables
            return name + "".join(f"[{k}]" for k in index)
        return f"_{'_'.join(map(str, index))}_{name}"

    def entries(self, node: ast.expr) -> list[str]:
        """The cells of a whole array or matrix row."""
        name, index = self.place(node)
        return [self.cell(name, (*index, k)) for k in range(self.law.shapes[name][len(index)])]

    def array(self, node: ast.expr) -> str:
        return f"({', '.join(self.entries(node))},)"

    def cells(self, name: str) -> list[str]:
        return [self.cell(name, (k,)) for k in range(self.law.shapes[name][0])]

    def pattern(self, name: str, shape: tuple[int, ...]) -> str:
        """The left side that unpacks a list, or a list of lists, into cells."""
        if not shape:
            return name
        if len(shape) == 1:
            return f"({', '.join(self.cell(name, (k,)) for k in range(shape[0]))},)"
        rows = (", ".join(self.cell(name, (k, m)) for m in range(shape[1])) for k in range(shape[0]))
        return f"({', '.join(f'({row},)' for row in rows)},)"


def _is_number(text: str) -> bool:
    return text[0].isdigit()


def _is_atom(text: str) -> bool:
    """A name, a cell or a number: free of side effects and cheap to repeat."""
    return text.replace("_", "").replace(".", "").isalnum()
