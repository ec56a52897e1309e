"""The grammar gate: which Python text is a law at all, before any name or number in it is looked at.

A law is one function `control(...)` in plain ASCII. The gate lists what may be said; everything else is refused by
name, with what to write instead. Together with `controllers.law` it is the security boundary: nothing that passes can
reach an attribute, a builtin, or memory beyond its own arrays.
"""

from __future__ import annotations

import ast
import math
import warnings
from typing import NoReturn

from core.errors import LawError

MAX_SOURCE = 64 * 1024  # characters
MAX_DEPTH = 50  # nested syntax nodes; keeps every recursion here and in CPython's compiler far from its limit
MAX_INTEGER = 2**53  # beyond it a float skips whole numbers

# Node -> what to write instead.
_INSTEAD: dict[type[ast.AST], str] = {
    ast.Import: "an import is not part of the law language; use the listed functions",
    ast.ImportFrom: "an import is not part of the law language; use the listed functions",
    ast.Attribute: "an attribute (a dot) is not part of the law language; every value is an argument of control",
    ast.While: "while is not part of the law language; write for i in range(constant)",
    ast.FunctionDef: "a nested function is not part of the law language; write its lines in place",
    ast.AsyncFunctionDef: "async is not part of the law language; write def control(...)",
    ast.AsyncFor: "async is not part of the law language; write for i in range(constant)",
    ast.AsyncWith: "async is not part of the law language; remove it",
    ast.Await: "await is not part of the law language; remove it",
    ast.Lambda: "lambda is not part of the law language; write its expression in place",
    ast.ClassDef: "a class is not part of the law language; write one function control(...)",
    ast.Try: "try is not part of the law language; no operation raises, so test the value with if",
    ast.TryStar: "try is not part of the law language; no operation raises, so test the value with if",
    ast.With: "with is not part of the law language; remove it",
    ast.Raise: "raise is not part of the law language; write a safe output instead",
    ast.Assert: "assert is not part of the law language; test the value with if",
    ast.Delete: "del is not part of the law language; arrays keep their size",
    ast.Global: "global is not part of the law language; declare a state in the manifest",
    ast.Nonlocal: "nonlocal is not part of the law language; declare a state in the manifest",
    ast.Match: "match is not part of the law language; write if and elif",
    ast.Return: "return is not part of the law language; write to an output, such as tau[i] = ...",
    ast.Break: "break is not part of the law language; put the rest of the loop under an if",
    ast.Continue: "continue is not part of the law language; put the rest of the loop under an if",
    ast.AnnAssign: "an annotation is not part of the law language; units and sizes are declared in the manifest",
    ast.NamedExpr: "an assignment inside an expression is not part of the law language; assign on its own line",
    ast.ListComp: "a comprehension is not part of the law language; write a for loop into scratch",
    ast.SetComp: "a comprehension is not part of the law language; write a for loop into scratch",
    ast.DictComp: "a comprehension is not part of the law language; write a for loop into scratch",
    ast.GeneratorExp: "a generator is not part of the law language; write a for loop, or dot(a, b) for a sum",
    ast.List: "a list is not part of the law language; declare scratch in the manifest",
    ast.Tuple: "a tuple is not part of the law language; assign one value on each line",
    ast.Dict: "a dict is not part of the law language; declare scratch in the manifest",
    ast.Set: "a set is not part of the law language; declare scratch in the manifest",
    ast.Slice: "a slice is not part of the law language; write a for loop over the entries",
    ast.Starred: "a star is not part of the law language; write the arguments one by one",
    ast.JoinedStr: "a text is not part of the law language; comments start with #",
    ast.Yield: "yield is not part of the law language; write to an output",
    ast.YieldFrom: "yield is not part of the law language; write to an output",
}

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Pow: "** is not part of the law language; write x * x, or exp(y * log(x))",
    ast.Mod: "% is not part of the law language; write x - floor(x / y) * y",
    ast.FloorDiv: "// is not part of the law language; write floor(x / y)",
    ast.MatMult: "@ is not part of the law language; write dot(a, b)",
    ast.Is: "is compares identity; write ==",
    ast.IsNot: "is not compares identity; write !=",
    ast.In: "in is not part of the law language; compare the values one by one",
    ast.NotIn: "not in is not part of the law language; compare the values one by one",
    ast.Invert: "~ is not part of the law language; write not for a condition",
    ast.LShift: "<< is not part of the law language; multiply by a number",
    ast.RShift: ">> is not part of the law language; divide by a number",
    ast.BitAnd: "& is not part of the law language; write and",
    ast.BitOr: "| is not part of the law language; write or",
    ast.BitXor: "^ is not part of the law language; write x * x for a square, != for either-or",
}

_SAYABLE = (
    ast.Assign, ast.AugAssign, ast.If, ast.For, ast.Pass, ast.Expr,
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Subscript, ast.Name, ast.Constant,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.UAdd, ast.USub, ast.Not, ast.And, ast.Or,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Load, ast.Store,
)  # fmt: skip


def refuse(file: str, node: ast.AST, message: str) -> NoReturn:
    """Raises the LawError for `node`, with lines and columns from 1."""
    raise LawError(file, getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, message)


def parse_law(source: str | bytes, file: str) -> ast.FunctionDef:
    """The function `control` of a law whose every node is sayable. Names, sizes and paths are not checked yet.

    Raises:
        LawError: the text is not in the law language.
    """
    tree = _parse(_text(source, file), file)
    _check_depth(tree, file)
    body = list(tree.body)
    if body and _is_docstring(body[0]):
        body.pop(0)
    laws = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == "control"]
    for other in body:
        if other not in laws[:1]:
            hint = "" if isinstance(other, ast.FunctionDef) else _INSTEAD.get(type(other), "")
            refuse(file, other, hint or "a law is one function; write def control(...) and nothing beside it")
    if not laws:
        raise LawError(file, 1, 1, "a law is one function; write def control(...)")
    function = laws[0]
    for ignored in tree.type_ignores:
        raise LawError(file, ignored.lineno, 1, "a type comment is not part of the law language; remove it")
    _check_signature(function, file)
    if _is_docstring(function.body[0]):
        function.body.pop(0)
    if not function.body:
        refuse(file, function, "the law does nothing; write to every output, such as tau[i] = 0.0")
    for statement in function.body:
        for node in ast.walk(statement):
            _check_node(node, file)
    return function


def _text(source: str | bytes, file: str) -> str:
    """ASCII only: what an operator reads in a diff is what runs, without look-alike letters or hidden marks."""
    if len(source) > MAX_SOURCE:
        raise LawError(file, 1, 1, f"the law has {len(source)} characters; keep it within {MAX_SOURCE}")
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    for number, line in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(line, start=1):
            if not " " <= character <= "~":
                code = f"U+{ord(character):04X}"
                advice = {"\t": "a tab; indent with four spaces", "\r": "a carriage return; save with Unix line ends"}
                what = advice.get(character, f"the character {code}; a law is plain ASCII, so spell it out")
                raise LawError(file, number, column, f"the law contains {what}")
            if character == "\\":
                raise LawError(file, number, column, "a backslash is not part of the law language; use parentheses")
    return text


def _parse(text: str, file: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python only warns about is not worth guessing in a law
            return ast.parse(text, filename=file, type_comments=True)
    except (RecursionError, MemoryError) as error:
        raise LawError(file, 1, 1, "the law is nested too deeply; split the expression into several lines") from error
    except SyntaxError as error:
        message = f"not valid syntax ({error.msg}); correct this line"
        raise LawError(file, error.lineno or 1, max(1, error.offset or 1), message) from error
    except (ValueError, OverflowError, Warning) as error:
        raise LawError(file, 1, 1, f"not valid syntax ({error}); correct it") from error


def _check_depth(tree: ast.Module, file: str) -> None:
    stack: list[tuple[ast.AST, int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH and hasattr(node, "lineno"):
            refuse(file, node, f"nested more than {MAX_DEPTH} deep; split it into several lines or write fewer elif")
        stack.extend((child, depth + 1) for child in ast.iter_child_nodes(node))


def _check_signature(function: ast.FunctionDef, file: str) -> None:
    arguments = function.args
    if function.decorator_list:
        refuse(file, function.decorator_list[0], "a decorator is not part of the law language; remove it")
    if arguments.defaults or arguments.kw_defaults:
        default = next(node for node in (*arguments.defaults, *arguments.kw_defaults, function) if node is not None)
        refuse(file, default, "a default value is not part of the law language; give the value in params.toml")
    if arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        refuse(file, function, "only plain names may be arguments; write def control(q, qd, ..., tau)")
    for node in arguments.args:
        if node.annotation is not None or node.type_comment is not None:
            refuse(file, node, "an annotation is not part of the law language; units and sizes are in the manifest")
    if function.returns is not None or function.type_comment is not None:
        refuse(file, function, "an annotation is not part of the law language; units and sizes are in the manifest")


def _check_node(node: ast.AST, file: str) -> None:  # noqa: PLR0912 - one branch per kind of node
    if type(node) in _INSTEAD:
        refuse(file, node, _INSTEAD[type(node)])
    if not isinstance(node, (*_SAYABLE, *_OPERATORS, ast.keyword)):
        refuse(file, node, f"{type(node).__name__.lower()} is not part of the law language; remove it")
    match node:
        case ast.Constant():
            _check_constant(node, file)
        case ast.BinOp(op=op) | ast.UnaryOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            refuse(file, node, _OPERATORS[type(op)])
        case ast.Compare(ops=comparisons):
            for comparison in comparisons:
                if type(comparison) in _OPERATORS:
                    refuse(file, node, _OPERATORS[type(comparison)])
        case ast.Subscript(slice=ast.Tuple()):
            refuse(file, node, "an index is one number; write m[i][j]")
        case ast.Name(id=name) if name.startswith("_"):
            refuse(file, node, f"{name} starts with an underscore; choose a name that starts with a letter")
        case ast.Call():
            if not isinstance(node.func, ast.Name):
                hint = _INSTEAD.get(type(node.func), "only the listed functions can be called; write name(...)")
                refuse(file, node.func, hint)
            if node.keywords:
                refuse(file, node, "a keyword argument is not part of the law language; give the arguments in order")
        case ast.Assign(targets=targets):
            if len(targets) != 1:
                refuse(file, node, "a chained assignment is not part of the law language; assign one name on each line")
            if node.type_comment is not None:
                refuse(file, node, "a type comment is not part of the law language; remove it")
        case ast.For():
            if not isinstance(node.target, ast.Name):
                refuse(file, node.target, "a loop counts with one plain name; write for i in range(constant)")
            if node.orelse:
                refuse(file, node.orelse[0], "else after for is not part of the law language; write it after the loop")
            if node.type_comment is not None:
                refuse(file, node, "a type comment is not part of the law language; remove it")
        case _:
            pass


def _check_constant(node: ast.Constant, file: str) -> None:
    value = node.value
    if isinstance(value, (str, bytes)):
        refuse(file, node, "a text is not part of the law language; comments start with #")
    if isinstance(value, bool):
        refuse(file, node, f"{value} is not part of the law language; write a comparison, or 1.0 and 0.0")
    if not isinstance(value, (int, float)):
        refuse(file, node, f"{value} is not part of the law language; every value is a real number")
    if isinstance(value, float) and not math.isfinite(value):
        refuse(file, node, "this number is too large for a float; stay below 1.8e308")
    if isinstance(value, int) and value > MAX_INTEGER:
        refuse(file, node, "this whole number is too large; write it as a float, such as 1e18")


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
