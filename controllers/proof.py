"""The proof: a law stays inside its arrays, reads nothing unwritten, writes all outputs, ends within the cost bound.

The law is run once over *places* instead of numbers. Loops are counted out, so every index is a known integer and every
entry of an array has its own "written yet?". Both branches of an `if` are followed, and only what both wrote counts as
written. A condition on loop variables alone (`if i == 0`) is decided.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from controllers.counting import Counting
from controllers.grammar import refuse
from controllers.intrinsics import ARITY
from controllers.manifest import Manifest

Shapes = Mapping[str, tuple[int, ...]]
Cell = tuple[str, int] | str  # one entry of an array, or one local number


class Proof(Counting):
    """One run over places. `written` holds the cells written on every path up to here."""

    def __init__(self, manifest: Manifest, shapes: Shapes, delays: Mapping[str, ast.Call], file: str) -> None:
        super().__init__(file)
        self.manifest = manifest
        self.shapes = shapes
        self.fresh = set(manifest.outputs) | set(manifest.scratch)  # must be written before they are read
        self.writable = self.fresh | set(manifest.states)
        self.written: set[Cell] = set()
        self.delays = delays  # buffer -> the one call that shifts it

    # statements

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.spend(1, statement)
            match statement:
                case ast.Assign(targets=[target], value=value):
                    self.assign(target, value)
                case ast.AugAssign(target=target, value=value):
                    self.number(value)
                    self.target(target, augmented=True)
                case ast.If():
                    self.branch(statement)
                case ast.For():
                    self.loop(statement)
                case ast.Pass():
                    pass
                case ast.Expr(value=ast.Call(func=ast.Name(id="mlp")) as call):
                    self.mlp(call)
                case _:
                    refuse(self.file, statement, "this line has no effect; assign its value or remove it")

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "delay":
            self.delay(value)
        else:
            self.number(value)
        self.target(target, augmented=False)

    def target(self, target: ast.expr, *, augmented: bool) -> None:
        if isinstance(target, ast.Name):
            if augmented and target.id not in self.written:
                refuse(self.file, target, f"{target.id} may be unassigned here; assign it on every path before")
            self.written.add(target.id)
            return
        if not isinstance(target, ast.Subscript):
            refuse(self.file, target, "cannot be assigned; write a name or one entry such as tau[i]")
        name, index = self.place(target)
        if name not in self.writable:
            kind = (
                "parameter" if name in self.manifest.params else "weight" if name in self.manifest.weights else "signal"
            )
            refuse(
                self.file,
                target,
                f"{name} is a {kind} and read-only; write to a name of your own, a state or an output",
            )
        if name in self.delays:
            refuse(self.file, target, f"{name} is a delay line; only delay({name}, x) may write to it")
        if augmented:
            self.read(target, name, index)
        self.written.add((name, index[0]))

    def branch(self, node: ast.If) -> None:
        decided = self.condition(node.test)
        if decided is not None:
            self.block(node.body if decided else node.orelse)
            return
        before = set(self.written)
        self.block(node.body)
        after_body, self.written = self.written, before
        self.block(node.orelse)
        self.written &= after_body

    def loop(self, node: ast.For) -> None:
        assert isinstance(node.target, ast.Name)
        name = node.target.id
        if name in self.counters:
            refuse(self.file, node.target, f"{name} already counts the loop around this one; choose another name")
        turns = self.turns(node.iter)
        if not self.counters and not turns:
            refuse(self.file, node.iter, "this loop never runs; remove it or correct its limits")
        for value in turns:
            self.spend(1, node)
            self.counters[name] = value
            self.block(node.body)
        self.counters.pop(name, None)

    # expressions

    def number(self, node: ast.expr) -> None:
        self.spend(1, node)
        match node:
            case ast.Constant():
                pass
            case ast.Name(id=name):
                self.name(node, name)
            case ast.Subscript():
                name, index = self.place(node)
                self.read(node, name, index)
            case ast.BinOp(left=left, right=right):
                self.number(left)
                self.number(right)
            case ast.UnaryOp(op=ast.Not()):
                refuse(self.file, node, "not gives a condition, not a number; write 0.0 if x else 1.0")
            case ast.UnaryOp(operand=operand):
                self.number(operand)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                decided = self.condition(test)
                for branch in (body, orelse) if decided is None else (body,) if decided else (orelse,):
                    self.number(branch)
            case ast.Call():
                self.call(node)
            case _:
                refuse(self.file, node, "a comparison is a condition, not a number; write 1.0 if a < b else 0.0")

    def name(self, node: ast.Name, name: str) -> None:
        if name in self.counters:
            refuse(
                self.file,
                node,
                f"{name} counts a loop and is no number; use it in an index only",
            )
        if name in self.shapes:
            if self.shapes[name]:
                entry = name + "[i][j]" if len(self.shapes[name]) == 2 else name + "[i]"
                refuse(self.file, node, f"{name} is an array; write one entry, such as {entry}")
        elif name not in self.written:
            refuse(self.file, node, f"{name} may be unassigned here; assign it on every path before")

    def condition(self, node: ast.expr) -> bool | None:
        """What `decide` says; a condition that depends on the robot is checked part by part."""
        decided = self.decide(node)
        if decided is not None:
            return decided
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self.condition(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.condition(operand)
            case ast.Compare(left=left, comparators=comparators):
                for side in (left, *comparators):
                    self.number(side)
            case _:
                refuse(self.file, node, "a number is no condition; write a comparison such as x != 0.0")
        return None

    def call(self, node: ast.Call) -> None:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name in ("delay", "mlp"):
            example = "x = delay(buffer, y)" if name == "delay" else "mlp(w1, b1, w2, b2, x, out)"
            refuse(self.file, node, f"{name} must stand on its own line; write {example}")
        if name == "range":
            refuse(self.file, node, "range belongs to a loop; write for i in range(constant)")
        self.count_arguments(node)
        if name == "dot":
            lengths = [self.array(argument) for argument in node.args]
            if lengths[0] != lengths[1]:
                refuse(
                    self.file,
                    node,
                    f"dot needs equal lengths, here {lengths[0]} and {lengths[1]}; use a loop",
                )
            self.spend(3 * lengths[0], node)
        elif name == "interp":
            self.number(node.args[0])
            lengths = [self.array(argument) for argument in node.args[1:]]
            if lengths[0] != lengths[1]:
                refuse(
                    self.file,
                    node,
                    f"interp needs equal lengths, here {lengths[0]} and {lengths[1]}; resize one",
                )
            self.spend(3 * lengths[0], node)
        else:
            for argument in node.args:
                self.number(argument)

    def count_arguments(self, node: ast.Call) -> None:
        assert isinstance(node.func, ast.Name)
        fewest, most = ARITY[node.func.id]
        if not fewest <= len(node.args) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            refuse(self.file, node, f"{node.func.id} takes {wanted} arguments, here {len(node.args)}; correct the call")

    def array(self, node: ast.expr) -> int:
        """The length of a whole array or matrix row that is read at once."""
        self.spend(1, node)
        name, index = self.place(node, whole=True)
        shape = self.shapes[name]
        if name in self.fresh:
            for entry in range(shape[0]):
                self.read(node, name, (entry,))
        return shape[len(index)]

    def delay(self, node: ast.Call) -> None:
        self.count_arguments(node)
        buffer, value = node.args
        assert isinstance(buffer, ast.Name)
        if self.counters:
            refuse(self.file, node, f"{buffer.id} would be shifted in every turn; put the delay outside the loop")
        self.spend(self.manifest.states[buffer.id].size // 8 + 4, node)
        self.number(value)

    def mlp(self, node: ast.Call) -> None:
        if not self.manifest.weights:
            refuse(self.file, node, "mlp needs weights; declare [weights.NAME] and add weights.safetensors")
        self.count_arguments(node)
        *layers, x, out = node.args
        if len(layers) % 2:
            refuse(self.file, node, "mlp takes a weight and a bias per layer; write mlp(w1, b1, w2, b2, x, out)")
        width = self.array(x)
        for weight, bias in zip(layers[::2], layers[1::2], strict=True):
            rows = self.weight(weight, 2)
            biases = self.weight(bias, 1)
            if rows[1] != width or biases[0] != rows[0]:
                refuse(
                    self.file,
                    weight,
                    f"this layer is {rows[0]} x {rows[1]} with {biases[0]} biases; it must take {width} inputs",
                )
            self.spend(3 * rows[0] * rows[1], node)
            width = rows[0]
        if not isinstance(out, ast.Name) or out.id not in self.fresh or self.shapes[out.id] != (width,):
            refuse(self.file, out, f"mlp writes {width} numbers; give an output or scratch of that size")
        self.written |= {(out.id, index) for index in range(width)}

    def weight(self, node: ast.expr, dimensions: int) -> tuple[int, ...]:
        if not isinstance(node, ast.Name) or len(self.manifest.weights.get(node.id, ())) != dimensions:
            refuse(self.file, node, f"a weight with {dimensions} dimensions belongs here; declare [weights.NAME]")
        return self.manifest.weights[node.id]

    # places

    def place(self, node: ast.expr, *, whole: bool = False) -> tuple[str, tuple[int, ...]]:
        """Name and indices of an entry, or of an array or row with `whole`; every index proven inside."""
        subscripts: list[ast.Subscript] = []
        base = node
        while isinstance(base, ast.Subscript):
            subscripts.insert(0, base)
            base = base.value
        if not isinstance(base, ast.Name) or base.id not in self.shapes:
            refuse(self.file, node, "this is no array; only declared names have entries, such as q[i]")
        name, shape = base.id, self.shapes[base.id]
        wanted = len(shape) - 1 if whole else len(shape)
        if len(subscripts) != wanted or wanted < 0:
            has = {0: "is a number", 1: "is a list", 2: "is a matrix"}[len(shape)]
            write = name + ["", "[i]", "[i][j]"][max(wanted, 0)]
            refuse(
                self.file, node, f"{name} {has}; write {write}" if wanted >= 0 else f"{name} {has}; give an array here"
            )
        index = []
        for subscript, length in zip(subscripts, shape, strict=False):
            value = self.integer(subscript.slice, "an index")
            if not 0 <= value < length:
                values = "".join(f" with {k} = {v}" for k, v in self.counters.items())
                refuse(self.file, subscript, f"index {value}{values} is outside {name}; use 0 to {length - 1}")
            index.append(value)
        return name, tuple(index)

    def read(self, node: ast.expr, name: str, index: tuple[int, ...]) -> None:
        if name in self.fresh and (name, index[0]) not in self.written:
            refuse(self.file, node, f"{name}[{index[0]}] may be unwritten here; write it on every path before")
