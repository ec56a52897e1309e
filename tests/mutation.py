"""Small wrong edits of a module, one at a time: what a test suite has to notice.

Each mutant changes one comparison, constant, connective, sign, call or return value of the functions of a module. Text,
annotations and decorators are left alone.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

_SWAPS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_CALLS = {"min": "max", "max": "min", "all": "any", "any": "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One altered copy of a module."""

    line: int
    what: str  # the edit in words, unique within its line only together with `line`
    tree: ast.Module

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"

    def load(self, name: str) -> ModuleType:
        """The altered module, known to Python as `name` only while it is executed."""
        module = ModuleType(name)
        sys.modules[name] = module  # dataclasses look their module up
        try:
            exec(compile(self.tree, f"<{name}>", "exec"), module.__dict__)  # noqa: S102 our own code, slightly wrong
        finally:
            del sys.modules[name]
        return module


def mutants(file: Path, only: str | None = None) -> Iterator[Mutant]:
    """Every mutant of `file`, or of its function `only`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    count = len(_sites(tree, only))
    for k in range(count):
        for variant in range(_variants(_sites(tree, only)[k])):
            altered = copy.deepcopy(tree)
            site = _sites(altered, only)[k]
            before = ast.unparse(site).splitlines()[0]
            replacement = _edit(site, variant)
            _replace(altered, site, replacement)
            after = "nothing" if isinstance(replacement, ast.Pass) else ast.unparse(replacement).splitlines()[0]
            yield Mutant(
                line=getattr(site, "lineno", 0), what=f"{before} -> {after}", tree=ast.fix_missing_locations(altered)
            )


def _sites(tree: ast.Module, only: str | None) -> list[ast.AST]:
    """Nodes that can be edited, in a fixed order."""
    found: list[ast.AST] = []

    def visit(node: ast.AST, inside: bool) -> None:
        if isinstance(node, ast.FunctionDef):
            inside = inside or only is None or node.name == only
            children: list[ast.AST] = list(node.body)  # neither annotations, decorators nor defaults
        elif isinstance(node, ast.ClassDef):
            children = [child for child in node.body if isinstance(child, ast.FunctionDef)]
        elif isinstance(node, ast.AnnAssign):
            children = [node.value] if node.value is not None else []
        elif isinstance(node, ast.JoinedStr):
            children = [part for part in ast.walk(node) if isinstance(part, ast.BinOp)]
        elif isinstance(node, ast.Module):
            children = list(node.body) if only is None else [n for n in node.body if isinstance(n, ast.FunctionDef)]
            inside = only is None
        else:
            children = list(ast.iter_child_nodes(node))
        if inside and _variants(node):
            found.append(node)
        for child in children:
            visit(child, inside)

    visit(tree, False)
    return found


def _variants(node: ast.AST) -> int:  # noqa: PLR0911 one answer per kind of node
    """How many edits this node has."""
    match node:
        case ast.Compare(ops=ops):
            return sum(len(_SWAPS[type(op)]) for op in ops)
        case ast.Constant(value=bool()):
            return 1
        case ast.Constant(value=int()):
            return 2
        case ast.Constant(value=float()):
            return 2
        case ast.BoolOp():
            return 1 + len(node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            return 1
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            return 1
        case ast.AugAssign(op=op) if type(op) in _OPERATORS:
            return 2
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS or name == "abs":
            return 1
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            return 1
        case ast.IfExp():
            return 2
        case ast.If() | ast.Raise():
            return 1
    return 0


def _edit(node: ast.AST, variant: int) -> ast.AST:  # noqa: PLR0911, PLR0912 one answer per kind of node
    """A copy of `node` with its edit number `variant`."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=ops):
            choices = [(i, swap) for i, op in enumerate(ops) for swap in _SWAPS[type(op)]]
            i, swap = choices[variant]
            ops[i] = swap()
            return new
        case ast.Constant(value=bool() as flag):
            return ast.copy_location(ast.Constant(not flag), node)
        case ast.Constant(value=int() as number):
            return ast.copy_location(ast.Constant(number + (1, -1)[variant]), node)
        case ast.Constant(value=float() as number):
            changed = ((1.0, -1.0) if number == 0.0 else (2.0 * number, 0.5 * number))[variant]
            return ast.copy_location(ast.Constant(changed), node)
        case ast.BoolOp(op=op, values=values):
            if variant == 0:
                new.op = ast.Or() if isinstance(op, ast.And) else ast.And()
                return new
            rest = values[: variant - 1] + values[variant:]
            return rest[0] if len(rest) == 1 else ast.copy_location(ast.BoolOp(op=op, values=rest), node)
        case ast.UnaryOp(operand=operand):
            return operand
        case ast.BinOp(op=op):
            new.op = _OPERATORS[type(op)]()
            return new
        case ast.AugAssign(op=op):
            if variant == 0:
                new.op = _OPERATORS[type(op)]()
                return new
            return ast.copy_location(ast.Assign(targets=[new.target], value=new.value), node)
        case ast.Call(func=ast.Name(id="abs"), args=args):
            return args[0]
        case ast.Call(func=ast.Name(id=name)):
            new.func = ast.copy_location(ast.Name(_CALLS[name], ctx=ast.Load()), node)
            return new
        case ast.Return():
            return ast.copy_location(ast.Return(ast.Constant(None)), node)
        case ast.IfExp(body=body, orelse=orelse):
            return (body, orelse)[variant]
    return ast.copy_location(ast.Pass(), node)


def _replace(tree: ast.Module, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
                return
            if isinstance(value, list) and any(item is old for item in value):
                setattr(parent, name, [new if item is old else item for item in value])
                return
    raise AssertionError("the node is not in the tree")
