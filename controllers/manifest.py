"""The manifest: what every name in a law is, in which unit, and how far a patch may move it.

manifest.toml declares, params.toml holds the values. Every mistake is one sentence: file, key, and what to do.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controllers.intrinsics import ARITY
from core.errors import BadInput
from core.ports import Ports
from core.signals import SIGNALS
from core.toml_file import parse_toml

ROLES = ("gain", "feedforward", "limit")
RESERVED = frozenset({*ARITY, *SIGNALS, "control", "range", "pi"})
MAX_SIZE = 1024  # entries of one array
MAX_CELLS = 4096  # entries of all states, scratch and outputs together
MAX_WEIGHTS = 40_000  # entries of all weights together; more cannot meet the cost bound
MAX_TEXT = 300  # characters of a summary or effect
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One tunable quantity. `low` and `high` hold one entry per value, or one for a number, in `unit`."""

    name: str
    units: tuple[str, ...]  # one per value
    size: int | None  # None: a number
    low: tuple[float, ...]
    high: tuple[float, ...]
    max_step: float  # largest change in one patch, as a fraction of high - low
    effect: str  # one sentence
    ros_parameter: str | None  # the foreign node's parameter that this one mirrors
    role: str | None  # "gain", "feedforward" or "limit"
    answers: str | None  # the cause this term compensates, such as "payload"

    @property
    def unit(self) -> str:
        """The unit in words: "rad", or "rad or m" where the values differ."""
        return " or ".join(dict.fromkeys(self.units))


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Memory that survives from call to call, and from controller to controller if name, size and unit agree."""

    name: str
    unit: str
    size: int
    initial: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the law writes. Limits hold one entry per value, or None for the robot's own."""

    name: str
    units: tuple[str, ...]  # one per value
    size: int
    limit: tuple[float, ...] | None  # largest absolute value [unit]
    rate: tuple[float, ...] | None  # largest rate of change [unit/s]

    @property
    def unit(self) -> str:
        """The unit in words: "N*m", or "N*m or N" where the values differ."""
        return " or ".join(dict.fromkeys(self.units))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The declared names of one law, each in exactly one of the mappings."""

    name: str
    version: str
    summary: str
    signals: tuple[str, ...]
    params: dict[str, Param]
    states: dict[str, State]
    scratch: dict[str, int]  # name -> size
    outputs: dict[str, Output]
    weights: dict[str, tuple[int, ...]]  # name -> shape, (n,) or (outputs, inputs)
    position_offset: str | None  # parameter to subtract from the measured position before model terms are evaluated

    def shapes(self, ports: Ports) -> dict[str, tuple[int, ...]]:
        """Name -> () for a number, (n,) for a list, (n, m) for a list of lists; everything a law may name."""
        shapes = {name: ports.shape(SIGNALS[name].shape) for name in self.signals}
        for name, param in self.params.items():
            shapes[name] = () if param.size is None else (param.size,)
        for name, state in self.states.items():
            shapes[name] = (state.size,)
        for name, size in self.scratch.items():
            shapes[name] = (size,)
        for name, output in self.outputs.items():
            shapes[name] = (output.size,)
        return shapes | self.weights


class _Table:
    """One TOML table that is read key by key; whatever is left over at the end is a typo."""

    def __init__(self, table: object, where: str) -> None:
        if not isinstance(table, dict):
            raise BadInput(f"{where}: must be a table; write [{where.rpartition(': ')[2]}]")
        self.table: dict[str, object] = dict(table)
        self.where = where
        self.known: list[str] = []

    def key(self, key: str) -> str:
        return f"{self.where}.{key}" if ": " in self.where else f"{self.where}: {key}"

    def take(self, key: str) -> object:
        self.known.append(key)
        return self.table.pop(key, None)

    def text(self, key: str, example: str) -> str:
        value = self.optional_text(key)
        if value is None:
            raise BadInput(f"{self.key(key)}: missing; write {key} = {example}")
        return value

    def optional_text(self, key: str) -> str | None:
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > MAX_TEXT:
            raise BadInput(f"{self.key(key)}: must be one line of text with 1 to {MAX_TEXT} printable characters")
        return value

    def units(self, size: int, example: str) -> tuple[str, ...]:
        """One unit for all values, or a list with one per value: a slide moves in m where a joint turns in rad."""
        value = self.table.get("unit")
        if not isinstance(value, list):
            return (self.text("unit", example),) * size
        self.take("unit")
        if len(value) != size or not all(isinstance(item, str) and 0 < len(item) <= 40 for item in value):
            raise BadInput(f"{self.key('unit')}: must be one text or a list of {size} texts, one per value")
        return tuple(value)

    def size(self, key: str = "size", default: int | None = None) -> int:
        value = self.take(key)
        if value is None and default is not None:
            return default
        if type(value) is not int or not 1 <= value <= MAX_SIZE:
            raise BadInput(f"{self.key(key)}: must be a whole number from 1 to {MAX_SIZE}")
        return value

    def entries(self, key: str, size: int | None) -> tuple[float, ...]:
        value = self.take(key)
        if value is None:
            raise BadInput(f"{self.key(key)}: missing; give a number or one number per entry")
        return read_entries(value, size, self.key(key))

    def tables(self, key: str) -> list[tuple[str, _Table]]:
        value = self.take(key)
        if value is None:
            return []
        table = _Table(value, self.key(key)).table
        return [(name, _Table(item, f"{self.key(key)}.{name}")) for name, item in table.items()]

    def finish(self) -> None:
        for key in self.table:
            raise BadInput(f"{self.key(key)}: unknown key; known here: {', '.join(self.known)}")


def parse_manifest(data: bytes, file: str = "manifest.toml") -> Manifest:
    """The typed manifest.

    Raises:
        BadInput: anything undeclared, misspelt, without a unit, out of range or named twice.
    """
    root = _Table(parse_toml(data, file), file)
    name = root.text("name", '"joint_pd"')
    version = root.text("version", '"1.0.0"')
    summary = root.text("summary", '"one line"')
    signals = _signals(root)
    params = {key: _param(key, table) for key, table in root.tables("params")}
    states = {key: _state(key, table) for key, table in root.tables("states")}
    scratch = {key: _scratch(table) for key, table in root.tables("scratch")}
    outputs = {key: _output(key, table) for key, table in root.tables("outputs")}
    weights = {key: _weight(table) for key, table in root.tables("weights")}
    position_offset = _position_offset(root, params)
    root.finish()
    _check_names(file, (params, states, scratch, outputs, weights))
    if not outputs:
        raise BadInput(f"{file}: outputs: missing; declare what the law writes, such as [outputs.tau]")
    cells = sum(state.size for state in states.values()) + sum(scratch.values())
    cells += sum(output.size for output in outputs.values())
    if cells > MAX_CELLS:
        raise BadInput(f"{file}: states, scratch and outputs have {cells} entries; keep them within {MAX_CELLS}")
    if sum(math.prod(shape) for shape in weights.values()) > MAX_WEIGHTS:
        raise BadInput(f"{file}: weights: more than {MAX_WEIGHTS} entries together; use a smaller network")
    return Manifest(
        name=name,
        version=version,
        summary=summary,
        signals=signals,
        params=params,
        states=states,
        scratch=scratch,
        outputs=outputs,
        weights=weights,
        position_offset=position_offset,
    )


def _signals(root: _Table) -> tuple[str, ...]:
    value = root.take("signals")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadInput(f'{root.key("signals")}: must be a list of signal names, such as ["q", "qd"]')
    for name in value:
        if name not in SIGNALS:
            raise BadInput(f"{root.key('signals')}: unknown signal {name!r}; known: {', '.join(SIGNALS)}")
        if value.count(name) > 1:
            raise BadInput(f"{root.key('signals')}: {name!r} is listed twice; list it once")
    return tuple(value)


def _param(name: str, table: _Table) -> Param:
    size = table.size() if "size" in table.table else None
    units = table.units(size or 1, '"N*m" ("1" for a dimensionless number)')
    low, high = table.entries("low", size), table.entries("high", size)
    if any(below > above for below, above in zip(low, high, strict=True)):
        raise BadInput(f"{table.key('low')}: above high; swap them")
    max_step = table.entries("max_step", None)[0]
    if not 0.0 < max_step <= 1.0:
        raise BadInput(f"{table.key('max_step')}: must be a fraction of high - low, above 0 and at most 1")
    effect = table.text("effect", '"one sentence on what a larger value does"')
    ros_parameter = table.optional_text("ros_parameter")
    role = table.optional_text("role")
    if role is not None and role not in ROLES:
        raise BadInput(f"{table.key('role')}: {role!r} is not a role; write one of {', '.join(ROLES)}")
    answers = table.optional_text("answers")
    table.known.append("size")
    table.finish()
    return Param(
        name=name,
        units=units,
        size=size,
        low=low,
        high=high,
        max_step=max_step,
        effect=effect,
        ros_parameter=ros_parameter,
        role=role,
        answers=answers,
    )


def _state(name: str, table: _Table) -> State:
    size = table.size(default=1)
    unit = table.text("unit", '"rad"')
    initial = table.entries("initial", size) if "initial" in table.table else (0.0,) * size
    table.known.append("initial")
    table.finish()
    return State(name=name, unit=unit, size=size, initial=initial)


def _scratch(table: _Table) -> int:
    size = table.size()
    table.finish()
    return size


def _output(name: str, table: _Table) -> Output:
    size = table.size()
    units = table.units(size, '"N*m"')
    limits: dict[str, tuple[float, ...] | None] = {"limit": None, "rate": None}
    for key in limits:
        if key in table.table:
            entries = limits[key] = table.entries(key, size)
            if min(entries) <= 0.0:
                raise BadInput(f"{table.key(key)}: must be above zero; leave it out for the robot's own limit")
        table.known.append(key)
    table.finish()
    return Output(name=name, units=units, size=size, limit=limits["limit"], rate=limits["rate"])


def _weight(table: _Table) -> tuple[int, ...]:
    shape = table.take("shape")
    if (
        not isinstance(shape, list)
        or len(shape) not in (1, 2)
        or not all(type(length) is int and 1 <= length <= MAX_SIZE for length in shape)
    ):
        raise BadInput(f"{table.key('shape')}: must be [n] or [outputs, inputs], whole numbers from 1 to {MAX_SIZE}")
    table.finish()
    return tuple(shape)


def _position_offset(root: _Table, params: Mapping[str, Param]) -> str | None:
    value = root.take("model")
    if value is None:
        return None
    table = _Table(value, root.key("model"))
    name = table.optional_text("position_offset")
    table.finish()
    param = None if name is None else params.get(name)
    if name is not None and (param is None or param.size is None or not set(param.units) <= {"rad", "m"}):
        raise BadInput(f"{table.key('position_offset')}: {name!r} must be a declared list parameter in rad or m")
    return name


def _check_names(file: str, groups: Iterable[Mapping[str, object]]) -> None:
    seen: set[str] = set()
    for group in groups:
        for name in group:
            if _NAME.fullmatch(name) is None or keyword.iskeyword(name):
                raise BadInput(
                    f"{file}: {name!r} cannot be a name; use up to 40 ASCII letters, digits and _, a letter first"
                )
            if name in RESERVED:
                raise BadInput(f"{file}: {name} is the name of a signal or function; choose another name")
            if name in seen:
                raise BadInput(f"{file}: {name} is declared twice; each name means one thing")
            seen.add(name)


def read_entries(value: object, size: int | None, where: str) -> tuple[float, ...]:
    """Finite floats: one for a number, `size` for a list; a lone number stands for all entries.

    Raises:
        BadInput: a wrong length, or an entry that is no finite number.
    """
    if isinstance(value, (list, tuple)):
        if size is None:
            raise BadInput(f"{where}: is a list; give one number")
        if len(value) != size:
            raise BadInput(f"{where}: has {len(value)} entries; give {wanted(size)}")
        return tuple(_number(item, f"{where}[{index}]") for index, item in enumerate(value))
    return (_number(value, where),) * (1 if size is None else size)


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadInput(f"{where}: {str(value)[:40]!r} is not a number; give one")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadInput(f"{where}: not a finite number; give one that is")
    return number


def wanted(size: int | None) -> str:
    """What a value of this size looks like, in words."""
    return "one number" if size is None else f"a list of {size} numbers"
