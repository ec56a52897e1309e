"""A robot's own controller, modelled as a law: which of its parameters are whose, and whether the model is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact, with_params
from controllers.manifest import Manifest, parse_manifest
from controllers.params import Value, parse_params
from controllers.slot import Slot
from core.errors import BadInput
from core.frames import Frame, Reference
from core.robot import Robot

Flat = Mapping[str, float | list[float]]  # parameter of the foreign node -> value
JOINT = "{joint}"  # in `ros_parameter`: one parameter for each actuator, by its name
FIT = 0.05  # largest error of a model, as a share of the command's root mean square
_MOST_LAG = 3  # ticks between a measurement and the command that answers it
_WARM_UP = 0.1  # share of the recording that a model with memory may need to catch up


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How well a law reproduces the recorded commands of a controller."""

    error: tuple[float, ...]  # m, root mean square over that of the command
    lag_ticks: int
    rows: int

    @property
    def is_good(self) -> bool:
        """Whether the law may stand for the controller."""
        return max(self.error) <= FIT  # a NaN is not

    def sentence(self) -> str:
        """What was found."""
        worst = int(np.argmax(self.error))
        return (
            f"the law misses the recorded commands by {100 * self.error[worst]:.2g} % at actuator {worst + 1}, "
            f"{self.lag_ticks} ticks late, over {self.rows} rows; up to {100 * FIT:g} % will do"
        )


class Mirror:
    """The parameters of a law that mirror those of a foreign node.

    Raises:
        BadInput: the manifest names none, or names them so that they cannot be told apart.
    """

    def __init__(self, robot: Robot, law: Artefact) -> None:
        self._law, self._joints = law, robot.actuators
        self._manifest: Manifest = parse_manifest(law.files["manifest.toml"], f"{law.name}/manifest.toml")
        self._mirrored = {n: p.ros_parameter for n, p in self._manifest.params.items() if p.ros_parameter is not None}
        if not self._mirrored:
            raise BadInput(f"{law.name}/manifest.toml: no parameter has ros_parameter; say which one it mirrors")
        for name, foreign in self._mirrored.items():
            if JOINT in foreign and self._manifest.params[name].size != len(self._joints):
                raise BadInput(f"{law.name}/manifest.toml: params.{name}: {JOINT} needs one value for each actuator")
        names = [each for name in self._mirrored for each in self._names(name)]
        if len(set(names)) != len(names):
            raise BadInput(f"{law.name}/manifest.toml: two parameters mirror the same one; give each its own")
        self.names = tuple(names)  # of the foreign node

    def _names(self, name: str) -> list[str]:
        foreign = self._mirrored[name]
        return [foreign.replace(JOINT, joint) for joint in self._joints] if JOINT in foreign else [foreign]

    def of(self, artefact: Artefact) -> dict[str, float | list[float]]:
        """What the foreign node's parameters are under `artefact`."""
        values = parse_params(artefact.files["params.toml"], self._manifest, f"{artefact.name}/params.toml")
        flat: dict[str, float | list[float]] = {}
        for name, foreign in self._mirrored.items():
            value = values[name]
            if JOINT in foreign:
                assert isinstance(value, list)
                flat |= dict(zip(self._names(name), value, strict=True))
            else:
                flat[foreign] = value
        return flat

    def law_with(self, flat: Flat) -> Artefact:
        """The law under the values that the foreign node has.

        Raises:
            BadInput: a value is missing, or outside the bounds of the manifest.
        """
        changes: dict[str, Value] = {}
        for name, foreign in self._mirrored.items():
            missing = [each for each in self._names(name) if each not in flat]
            if missing:
                raise BadInput(f"{missing[0]}: the controller has no such number; correct ros_parameter of {name}")
            if JOINT in foreign:
                changes[name] = [_number(each, flat[each]) for each in self._names(name)]
            else:
                value = flat[foreign]
                changes[name] = value if isinstance(value, list) else float(value)
        return with_params(self._law, changes)

    def check_patch(self, base: Artefact, patch: Artefact) -> None:
        """See that `patch` changes nothing but mirrored parameters.

        Raises:
            BadInput: it changes something that no parameter of the foreign node can follow.
        """
        for file in {*base.files, *patch.files} - {"params.toml"}:
            if base.files.get(file) != patch.files.get(file):
                raise BadInput(f"{file}: a robot in parameter mode takes new parameters only; leave the law as it is")
        before, after = (
            parse_params(each.files["params.toml"], self._manifest, f"{each.name}/params.toml")
            for each in (base, patch)
        )
        for name, value in after.items():
            if value != before[name] and name not in self._mirrored:
                raise BadInput(f"{name}: mirrors no parameter of the controller, so it cannot be patched here")


def between(old: Flat, new: Flat, share: float) -> dict[str, float | list[float]]:
    """Values at `share` of the way from `old` to `new`; exactly these at 0 and 1."""
    out: dict[str, float | list[float]] = {}
    for name, before in old.items():
        after = new[name]
        if isinstance(before, list):
            assert isinstance(after, list)
            out[name] = [_between(a, b, share) for a, b in zip(before, after, strict=True)]
        else:
            assert isinstance(after, float)
            out[name] = _between(before, after, share)
    return out


def _between(a: float, b: float, share: float) -> float:
    return b if share >= 1.0 else a + share * (b - a)


def _number(name: str, value: float | list[float]) -> float:
    if isinstance(value, list):
        raise BadInput(f"{name}: is a list in the controller; correct ros_parameter")
    return float(value)


def reproduce(robot: Robot, law: Artefact, rows: Sequence[tuple[Frame, Reference]]) -> Fit:
    """Let `law` answer recorded measurements, and compare with the commands that came after them."""
    slot = Slot(robot, law)
    said = np.array([slot.compute(frame, reference) for frame, reference in rows])
    # the frame after a measurement holds the command that answered it
    commands = np.array([frame.tau_cmd for frame, _ in rows[1:]])
    seq = np.array([frame.seq for frame, _ in rows])
    start = int(_WARM_UP * len(commands))
    fits = []
    for lag in range(_MOST_LAG + 1):
        count = len(commands) - lag
        answers = seq[start + lag + 1 :] - seq[start:count] == lag + 1  # no measurement was lost in between
        wanted, got = commands[start + lag :][answers], said[start:count][answers]
        if not len(wanted):
            continue
        size = np.sqrt(np.mean(wanted**2, axis=0))
        error = np.sqrt(np.mean((wanted - got) ** 2, axis=0)) / np.where(size > 0.0, size, np.nan)
        fits.append(Fit(error=tuple(error.tolist()), lag_ticks=lag, rows=len(wanted)))
    finite = [fit for fit in fits if np.isfinite(fit.error).all()]
    nothing = Fit(error=(float("nan"),) * len(robot.actuators), lag_ticks=0, rows=0)
    return min(finite, key=lambda fit: max(fit.error)) if finite else nothing
