"""The text of a law with more in it: arguments, corrected readings, lines ahead and behind; comments and names stay."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping

from core.errors import BadInput
from core.robot import Robot
from patcher.skill import Skill

_WIDTH = 116
_LINES = 3  # of a first statement whose arguments stand on lines of their own


def with_skill(source: str, robot: Robot, skill: Skill, arguments: list[str]) -> str:
    """The text of a law with a skill in it.

    Args:
        arguments: names that the law gets on top of its own.

    Raises:
        BadInput: the skill needs what this law or robot has not.
    """
    source = _with_reads(source, skill.reads)
    tree = ast.parse(source)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    first = function.body[1:] if _is_text(function.body[0]) else function.body
    lines = source.rstrip("\n").split("\n")
    head = _head(function, lines, arguments)
    start_row, body_row = function.lineno - 1, first[0].lineno - 1
    while body_row > start_row + 1 and lines[body_row - 1].lstrip().startswith("#"):
        body_row -= 1  # a comment belongs to the line that it stands above
    between = lines[_end_of_head(function, lines) : body_row]
    before = _block(skill, skill.before, [str(k) for k in range(robot.dof)], None, robot)
    drives = robot.drives
    places = None if any(joint is None for joint in drives) else [int(joint or 0) for joint in drives]
    if places is None and re.search(r"\bj\b", skill.after):
        raise BadInput(f"{skill.name}: actuators of {robot.name} drive no coordinate of their own")
    sums = "\n".join(f"{name} += {text}" for name, text in skill.totals.items())
    indices = [str(k) for k in range(len(drives))]
    after = _block(skill, skill.after, indices, places, robot)
    if sums:
        comment, *rest = after
        after = [
            comment,
            *(f"    {name} = 0.0" for name in skill.totals),
            *_block(skill, sums, indices, places, robot)[1:],
            *rest,
        ]
    return "\n".join([*lines[:start_row], *head, *between, *before, *lines[body_row:], *after]) + "\n"


def with_lines(source: str, arguments: list[str], behind: list[str]) -> str:
    """The text of a law with more arguments, and lines behind its own."""
    tree = ast.parse(source)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    lines = source.rstrip("\n").split("\n")
    head, end = _head(function, lines, arguments), _end_of_head(function, lines)
    return "\n".join([*lines[: function.lineno - 1], *head, *lines[end:], *behind]) + "\n"


def _with_reads(source: str, reads: Mapping[str, str]) -> str:
    """Each reading of one entry of a signal replaced by what the skill makes of it."""
    if not reads:
        return source
    tree = ast.parse(source)
    entries = [n for n in ast.walk(tree) if isinstance(n, ast.Subscript) and _named(n.value, reads)]
    whole = sum(1 for node in ast.walk(tree) if _named(node, reads))
    if whole != len(entries):
        raise BadInput(f"the law reads {' or '.join(reads)} as a whole; a skill can only reach single entries")
    if not entries:
        raise BadInput(f"the law does not read {' or '.join(reads)}; there is nothing to correct")
    lines = source.split("\n")
    for node in sorted(entries, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        assert isinstance(node.value, ast.Name)
        index = ast.unparse(node.slice)
        text = re.sub(r"\bi\b", lambda _, index=index: index, reads[node.value.id])  # type: ignore[misc]
        row = lines[node.lineno - 1]
        lines[node.lineno - 1] = f"{row[: node.col_offset]}({text}){row[node.end_col_offset :]}"
    return "\n".join(lines)


def _named(node: ast.AST, names: Mapping[str, str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _head(function: ast.FunctionDef, lines: list[str], added: list[str]) -> list[str]:
    """The law's first statement with more arguments, on a line of their own where the others have lines."""
    old = lines[function.lineno - 1 : _end_of_head(function, lines)]
    if len(old) < _LINES or not added:
        return signature([*(argument.arg for argument in function.args.args), *added])
    more = textwrap.wrap(", ".join(added), _WIDTH, break_long_words=False)
    return [*old[:-2], f"{old[-2].rstrip().rstrip(',')},", *(f"    {part}" for part in more), old[-1]]


def _end_of_head(function: ast.FunctionDef, lines: list[str]) -> int:
    row = function.lineno - 1
    while not lines[row].rstrip().endswith(":"):
        row += 1
    return row + 1


def signature(arguments: list[str]) -> list[str]:
    """Lines of a law's first statement."""
    line = f"def control({', '.join(arguments)}):"
    if len(line) <= _WIDTH:
        return [line]
    wrapped = textwrap.wrap(", ".join(arguments), _WIDTH, break_long_words=False)
    return ["def control(", *(f"    {part}" for part in wrapped), "):"]


def _block(skill: Skill, text: str, indices: list[str], places: list[int] | None, robot: Robot) -> list[str]:
    """Lines of the skill for each index, in a loop where the coordinates follow each other."""
    if not text:
        return []
    rows = text.replace("command", robot.command_name).split("\n")
    first = 0 if places is None else places[0]
    comment = f"    # {skill.title}: {skill.sentence[0].lower()}{skill.sentence[1:]}"
    comment = comment if len(comment) <= _WIDTH else f"    # {skill.title}"
    if places is None or places == list(range(first, first + len(places))):
        j = "i" if first == 0 else f"{first} + i"
        inner = [re.sub(r"\bj\b", j, row) for row in rows]
        return [comment, f"    for i in range({len(indices)}):", *(f"        {row}" for row in inner)]
    unrolled = [comment]
    for i, joint in zip(indices, places, strict=True):
        for row in rows:
            unrolled.append("    " + re.sub(r"\bj\b", str(joint), re.sub(r"\bi\b", i, row)))
    return unrolled
