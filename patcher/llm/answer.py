"""What a model may answer: a comment, a whole function, a table of new parameters; and the law that comes of it.

Nothing of it is trusted. The checker of the law language judges the law, and what the model says in words is quoted.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from dataclasses import dataclass, field
from typing import Any

from controllers.artefact import Artefact, artefact_from_files
from controllers.controller import Controller
from controllers.intrinsics import ARITY
from controllers.manifest import MAX_TEXT, parse_manifest
from controllers.params import Value, parse_params, render_params
from core.errors import BadInput
from core.robot import Robot
from core.signals import SIGNALS
from core.toml_file import parse_toml, render_toml
from patcher.law_text import signature

_FENCE = re.compile(r"```[ \t]*(\w*)[ \t]*\n(.*?)```", re.DOTALL)
_WIDE = 10.0  # bounds of a number that the function uses and the table lacks
_MOST_PARAMS = 8
_PLAIN_NUMBERS = (0.0, 0.5, 1.0, 2.0)  # that belong to a formula
_MOST_NUMBER = 1e6
_REACH = 4.0  # bounds of a number that became a parameter, in multiples of it


@dataclass(frozen=True, slots=True)
class NewParam:
    """A parameter of a new term. Numbers are a first guess: they are tuned afterwards."""

    name: str
    unit: str = "1"
    size: int | None = None  # entries; None for one number
    low: float = -_WIDE
    high: float = _WIDE
    start: float | list[float] = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One patch as a model gives it."""

    law: str  # the whole function, or lines to add to the one that is there
    params: list[NewParam] = field(default_factory=list)
    comment: str = ""  # what happened, in one sentence
    effect: str = ""  # what the change does, in one sentence


def read_text(text: str) -> Answer:
    """An answer in text: a block with the function, and one with the table.

    Raises:
        ValueError: there is no function in it.
    """
    blocks = [(kind.lower(), body) for kind, body in _FENCE.findall(text)]
    laws = [body for kind, body in blocks if "def control" in body or kind in ("python", "py")]
    if not laws and "def control" in text and not blocks:
        laws = [text[text.index("def control") :]]
    if not laws:
        raise ValueError("there is no law in it; answer with lines to add, or the function, in one ```python block")
    table: dict[str, Any] = {}
    for kind, body in blocks:
        if kind in ("toml", "") and "def control" not in body:
            try:
                table = tomllib.loads(body)
            except tomllib.TOMLDecodeError as error:
                raise ValueError(f"the ```toml block cannot be read ({error})") from error
    params = table.get("params", {})
    found = [_param(name, entry) for name, entry in (params.items() if isinstance(params, dict) else ())]
    return Answer(law=laws[0], params=found, comment=_words(table.get("comment")), effect=_words(table.get("effect")))


def _param(name: str, entry: Any) -> NewParam:
    entry = entry if isinstance(entry, dict) else {"start": entry}
    size, start = entry.get("size"), entry.get("start", 0.0)
    return NewParam(
        name=name,
        unit=_words(entry.get("unit")) or "1",
        size=size if type(size) is int else None,
        low=_number(entry.get("low"), -_WIDE),
        high=_number(entry.get("high"), _WIDE),
        start=[_number(each, 0.0) for each in start] if isinstance(start, list) else _number(start, 0.0),
    )


def law_of(answer: Answer, incumbent: Artefact, robot: Robot) -> tuple[Artefact, dict[str, Value]]:
    """The law that an answer stands for, and the values of its new parameters at which their terms vanish.

    The declarations are ours: of the answer come the function's body, and bounds and starts of what is new.

    Raises:
        BadInput: it is no law of this robot, or the one that is there.
    """
    manifest = parse_toml(incumbent.files["manifest.toml"], f"{incumbent.name}/manifest.toml")
    parsed = parse_manifest(incumbent.files["manifest.toml"])
    known = set(parsed.shapes(robot.ports))
    body, function, lifted = _lifted(_body(answer.law, incumbent), incumbent)
    used = _names(function) - _own(function)
    signals = [name for name in SIGNALS if name in used and name not in parsed.signals]
    entries = {
        node.value.id
        for node in ast.walk(function)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
    }
    new = {param.name: param for param in (*answer.params, *lifted)}
    wanted = sorted(name for name in used - known if name not in SIGNALS)
    if len(wanted) > _MOST_PARAMS:
        raise BadInput(f"{len(wanted)} new parameters; keep to {_MOST_PARAMS} at most")
    manifest["signals"] = [*manifest["signals"], *signals]
    values = parse_params(incumbent.files["params.toml"], parsed)
    neutral: dict[str, Value] = {}
    for name in wanted:
        table, start, none = _declaration(new.get(name, NewParam(name)), name in entries, robot, answer.effect)
        manifest.setdefault("params", {})[name] = table
        values[name], neutral[name] = start, none
    old = ast.parse(incumbent.files["law.py"])
    arguments = [a.arg for node in old.body if isinstance(node, ast.FunctionDef) for a in node.args.args]
    text = "\n".join([*_docstring(old), *signature([*arguments, *signals, *wanted]), *body]) + "\n"
    data = render_toml(manifest).encode()
    files = {
        **incumbent.files,
        "law.py": text.encode(),
        "manifest.toml": data,
        "params.toml": render_params(parse_manifest(data), values),
    }
    law = artefact_from_files(incumbent.name, files)
    Controller.from_artefact(law, robot.ports)
    if normal_form(law) == normal_form(incumbent):
        raise BadInput("this is the law that the robot has; add a term to it")
    return law, neutral


def normal_form(law: Artefact) -> str:
    """The law's function without comments, spaces and names of locals: equal for laws that say the same."""
    tree = ast.parse(law.files["law.py"])
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    body = function.body[1:] if isinstance(function.body[0], ast.Expr) else function.body
    names: dict[str, str] = {}
    own = _own(function)
    for node in ast.walk(ast.Module(body=body, type_ignores=[])):
        if isinstance(node, ast.Name) and node.id in own:
            node.id = names.setdefault(node.id, f"local_{len(names)}")
    return "\n".join(ast.unparse(node) for node in body)


def _declaration(param: NewParam, listed: bool, robot: Robot, effect: str) -> tuple[dict[str, Any], Value, Value]:
    """Manifest entry, start, and the value at which the term vanishes."""
    low, high = min(param.low, param.high), max(param.low, param.high)
    low, high = (low, high) if low < high else (low - 1.0, high + 1.0)
    low, high = min(low, 0.0), max(high, 0.0)
    size = (param.size or len(robot.actuators)) if listed else None
    starts = param.start if isinstance(param.start, list) else [param.start] * (size or 1)
    starts = [min(max(value, low), high) for value in starts[: size or 1]]
    starts += [0.0] * ((size or 1) - len(starts))
    table: dict[str, Any] = {"unit": param.unit} | ({} if size is None else {"size": size})
    words = _words(effect)[:MAX_TEXT] or "Size of the added term."
    table |= {"low": low, "high": high, "max_step": 1.0, "effect": words, "role": "feedforward"}
    return table, starts if listed else starts[0], [0.0] * len(starts) if listed else 0.0


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise BadInput(f"the function cannot be read: {error}") from None


def _plain(text: str) -> str:
    text = textwrap.dedent(text.expandtabs(4)).encode("ascii", "ignore").decode()
    return "\n".join(line.rstrip() for line in text.splitlines())


def _body(text: str, incumbent: Artefact) -> list[str]:
    """Lines of the function's body; what is no function comes behind the incumbent's."""
    plain = _plain(text)
    if "def control" not in plain:
        old = incumbent.files["law.py"].decode().rstrip()
        plain = "\n".join([old, *(f"    {line}" if line else "" for line in plain.splitlines())])
    tree = _parsed(plain)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "control"]
    if len(functions) != 1:
        raise BadInput("there must be one function, named control")
    body = functions[0].body
    first = body[1] if isinstance(body[0], ast.Expr) and len(body) > 1 else body[0]
    lines = plain.splitlines()[first.lineno - 1 : functions[0].end_lineno]
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    return ["    " + line[indent:] if line.strip() else "" for line in lines]


def _lifted(body: list[str], incumbent: Artefact) -> tuple[list[str], ast.FunctionDef, list[NewParam]]:
    """The body with each number that the incumbent does not say as a parameter: models write numbers all the same."""
    known = {n.value for n in ast.walk(ast.parse(incumbent.files["law.py"])) if isinstance(n, ast.Constant)}
    tree = _parsed("\n".join(["def control():", *body]))
    skipped = {id(n) for node in ast.walk(tree) if isinstance(node, ast.Subscript) for n in ast.walk(node.slice)}
    skipped |= {id(n) for node in ast.walk(tree) if isinstance(node, ast.For) for n in ast.walk(node.iter)}
    found: list[NewParam] = []
    lines = ["def control():", *body]
    numbers = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) in (int, float)]
    for node in sorted(numbers, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        value = float(node.value)  # type: ignore[arg-type]
        if id(node) in skipped or node.value in known or abs(value) in _PLAIN_NUMBERS or not abs(value) < _MOST_NUMBER:
            continue
        name = f"number_{len(found) + 1}"
        found.append(NewParam(name=name, low=-_REACH * abs(value), high=_REACH * abs(value), start=value))
        row = lines[node.lineno - 1]
        lines[node.lineno - 1] = row[: node.col_offset] + name + row[node.end_col_offset :]
    first = _parsed("\n".join(lines)).body[0]
    assert isinstance(first, ast.FunctionDef)
    return lines[1:], first, found


def _docstring(tree: ast.Module) -> list[str]:
    words = ast.get_docstring(tree, clean=False)
    return [] if words is None else [f'"""{words}"""', "", ""]


def _names(function: ast.FunctionDef) -> set[str]:
    return {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and n.id not in ARITY and n.id != "range"}


def _own(function: ast.FunctionDef) -> set[str]:
    """Loop variables, and names that the function assigns."""
    return {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _words(value: object) -> str:
    """One line of what a model says."""
    text = "".join(c if c.isprintable() else " " for c in value) if isinstance(value, str) else ""
    return " ".join(text.split())[:MAX_TEXT]


def _number(value: object, default: float) -> float:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if plain else default  # type: ignore[arg-type]
