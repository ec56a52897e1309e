"""The law checker: a law that passes only does what its manifest declares, on every path, for every float.

Three gates, each refusing with file, line, column and what to write instead: the vocabulary (`controllers.grammar`),
the names (here), and the proof that indices, paths and cost are in order (`controllers.proof`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from controllers.grammar import parse_law, refuse
from controllers.intrinsics import ARITY
from controllers.manifest import Manifest
from controllers.proof import Proof
from core.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLaw:
    """A law that has passed. Only `check_law` makes one; `controllers.compiler` takes nothing else."""

    file: str
    function: ast.FunctionDef
    arguments: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]  # of the arguments
    delayed: frozenset[str]  # states that serve as delay lines
    cost: int  # counted operations per call, both branches of every if included
    command: str  # the output that goes to the actuators


def check_law(source: str | bytes, manifest: Manifest, ports: Ports, file: str) -> CheckedLaw:
    """The proof described above.

    Raises:
        LawError: what is wrong, where, and what to write instead.
    """
    function = parse_law(source, file)
    shapes = manifest.shapes(ports)
    arguments = _arguments(function, shapes, manifest, file)
    _check_names(function, frozenset(arguments), file)
    delays = _delays(function, manifest, file)
    proof = Proof(manifest, shapes, delays, file)
    proof.block(function.body)
    for name, output in manifest.outputs.items():
        for index in range(output.size):
            if (name, index) not in proof.written:
                refuse(
                    file,
                    function,
                    f"{name}[{index}] is not written on every path;"
                    f" assign every entry of {name} in a loop over range({output.size}), or in both branches of the if",
                )
    return CheckedLaw(
        file=file,
        function=function,
        arguments=arguments,
        shapes=shapes,
        delayed=frozenset(delays),
        cost=proof.cost,
        command=ports.output,
    )


def _arguments(
    function: ast.FunctionDef, shapes: Mapping[str, tuple[int, ...]], manifest: Manifest, file: str
) -> tuple[str, ...]:
    for node in function.args.args:
        if node.arg in ARITY or node.arg == "range":
            refuse(file, node, f"{node.arg} is a function; choose another name for the argument")
        if node.arg not in shapes:
            refuse(file, node, f"{node.arg} is not declared; add it to manifest.toml or remove the argument")
    arguments = tuple(node.arg for node in function.args.args)
    for name in shapes:
        if name not in arguments:
            refuse(
                file,
                function,
                f"{name} is declared but not an argument; add it to control(...) or remove its declaration",
            )
    return arguments


def _check_names(function: ast.FunctionDef, arguments: frozenset[str], file: str) -> None:
    """Every name has one meaning, also on lines that no loop reaches."""
    known = arguments | _loops(function, arguments, file)
    known |= _locals(function, known, arguments, file)
    called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    for node in ast.walk(function):
        if not isinstance(node, ast.Name):
            continue
        is_function = node.id in ARITY or node.id == "range"
        if node.id == "control":
            refuse(file, node, "a law cannot call or name itself; write a for loop, or choose another name")
        if id(node) in called and not is_function:
            refuse(file, node, f"{node.id} is not a function of the law language; use one of {', '.join(ARITY)}")
        if id(node) not in called and is_function:
            verb = "cannot be assigned" if isinstance(node.ctx, ast.Store) else "must be called"
            refuse(file, node, f"{node.id} is a function and {verb}; choose another name or write {node.id}(...)")
        if not is_function and node.id not in known:
            refuse(file, node, f"{node.id} is not defined; declare it in the manifest, or assign it first")


def _loops(function: ast.FunctionDef, arguments: frozenset[str], file: str) -> frozenset[str]:
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.For):
            assert isinstance(node.target, ast.Name)  # the grammar allows nothing else
            if node.target.id in arguments:
                refuse(file, node.target, f"{node.target.id} is an argument; choose another name for the loop")
            names.add(node.target.id)
    return frozenset(names)


def _locals(function: ast.FunctionDef, known: frozenset[str], arguments: frozenset[str], file: str) -> frozenset[str]:
    names = set()
    for node in ast.walk(function):
        if not isinstance(node, (ast.Assign, ast.AugAssign)):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name):
            if target.id in known:
                kind = "an argument" if target.id in arguments else "a loop variable"
                refuse(file, target, f"{target.id} is {kind} and cannot be assigned; choose another name")
            names.add(target.id)
    return frozenset(names)


def _delays(function: ast.FunctionDef, manifest: Manifest, file: str) -> dict[str, ast.Call]:
    """State -> the call that shifts it. One each: a second shift would halve the delay unnoticed."""
    delays: dict[str, ast.Call] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "delay" and node.args:
            buffer = node.args[0]
            if not isinstance(buffer, ast.Name) or buffer.id not in manifest.states:
                refuse(
                    file,
                    buffer,
                    "a delay needs a state as its buffer; declare [states.NAME] with size = calls",
                )
            if delays.setdefault(buffer.id, node) is not node:
                refuse(file, node, f"{buffer.id} already serves another delay; declare one state for each")
    return delays
