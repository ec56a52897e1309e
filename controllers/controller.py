"""A controller: one artefact, checked, compiled and holding its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

from controllers.artefact import Artefact
from controllers.compiler import Maker, law_code, maker_of
from controllers.law import check_law
from controllers.manifest import Manifest, parse_manifest
from controllers.params import Value, parse_params
from controllers.weights import Weights, load_weights
from core.errors import BadInput
from core.ports import Ports

Signals = Mapping[str, float | list[float] | list[list[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that is slow about a controller, done: checked, compiled and read."""

    name: str
    sha256: str
    manifest: Manifest
    maker: Maker
    code: CodeType  # of the maker
    cost: int
    params: Mapping[str, Value]
    weights: Weights


def prepare(artefact: Artefact, ports: Ports) -> Prepared:
    """Check and compile an artefact for a robot with these ports: milliseconds. A controller of it takes 0.1 ms then.

    Raises:
        BadInput: manifest, parameters or weights are wrong, or the outputs do not fit the robot.
        LawError: the law is outside the law language.
    """
    files, name = artefact.files, artefact.name
    manifest, code, maker, cost = _compiled(files["law.py"], files["manifest.toml"], ports, name)
    return Prepared(
        name=name,
        sha256=artefact.sha256,
        manifest=manifest,
        maker=maker,
        code=code,
        cost=cost,
        params=_values(files["params.toml"], files["manifest.toml"], name),
        weights=load_weights(files.get("weights.safetensors"), manifest, name),
    )


class Controller:
    """A control law ready to run, at most one call at a time.

    Attributes:
        manifest: what every name is.
        params: name -> value, for reading; another value is another artefact (`with_params`).
        states: name -> live list of the law's memory. The lists stay the same objects for the controller's life.
        outputs: name -> live list of what the last step wrote, in the unit of the manifest.
        signals: the names that `step` reads.
        cost: counted operations of one step.
        sha256: hash of the artefact.
    """

    __slots__ = ("_step", "cost", "manifest", "name", "outputs", "params", "sha256", "signals", "states")

    def __init__(self, prepared: Prepared) -> None:
        manifest = prepared.manifest
        self.name = prepared.name
        self.sha256 = prepared.sha256
        self.manifest: Manifest = manifest
        self.params: dict[str, Value] = {k: list(v) if isinstance(v, list) else v for k, v in prepared.params.items()}
        self.signals: tuple[str, ...] = manifest.signals
        self.cost: int = prepared.cost
        self.states: dict[str, list[float]] = {name: list(state.initial) for name, state in manifest.states.items()}
        self.outputs: dict[str, list[float]] = {name: [0.0] * out.size for name, out in manifest.outputs.items()}
        self._step = prepared.maker({**self.params, **prepared.weights}, {**self.states, **self.outputs})

    @classmethod
    def from_artefact(cls, artefact: Artefact, ports: Ports) -> Controller:
        """The controller of an artefact on a robot with these ports.

        Raises:
            BadInput: manifest, parameters or weights are wrong, or the outputs do not fit the robot.
            LawError: the law is outside the law language.
        """
        return cls(prepare(artefact, ports))

    def step(self, signals: Signals) -> list[float]:
        """One tick: a new list of commands, one per actuator in the unit of the manifest.

        Every name in `self.signals` must be there, as plain floats in lists of the catalogue's shape; other names are
        ignored. Raises nothing for any float, NaN and infinities included; a missing name or wrong length is a
        programming error. The lists in `states` and `outputs` are changed in place.
        """
        return self._step(signals)

    def reset(self) -> None:
        """Back to the initial states; outputs to zero."""
        for name, state in self.manifest.states.items():
            self.states[name][:] = state.initial
        for values in self.outputs.values():
            values[:] = [0.0] * len(values)

    def export_state(self) -> dict[str, list[float]]:
        """A copy of the states."""
        return {name: list(values) for name, values in self.states.items()}

    def adopt_state(self, other: Controller) -> tuple[str, ...]:
        """Copies states of equal name, size and unit from another controller; returns their names."""
        carried = []
        for name, state in self.manifest.states.items():
            theirs = other.manifest.states.get(name)
            if theirs is not None and (theirs.size, theirs.unit) == (state.size, state.unit):
                self.states[name][:] = other.states[name]
                carried.append(name)
        return tuple(carried)


@lru_cache(maxsize=64)
def _compiled(law: bytes, manifest_toml: bytes, ports: Ports, name: str) -> tuple[Manifest, CodeType, Maker, int]:
    """Parameter patches share one compiled law: a search would otherwise spend its time in the compiler."""
    manifest = parse_manifest(manifest_toml, f"{name}/manifest.toml")
    command, m = manifest.outputs.get(ports.output), ports.actuators
    if command is None or command.size != m:
        raise BadInput(
            f"{name}/manifest.toml: outputs.{ports.output}: a robot with {m} actuators of this mode needs"
            f" [outputs.{ports.output}] with size = {m}"
        )
    offset = manifest.position_offset
    if offset is not None and manifest.params[offset].size != ports.joints:
        raise BadInput(
            f"{name}/manifest.toml: model.position_offset: {offset} needs size = {ports.joints}, one entry per joint"
        )
    checked = check_law(law, manifest, ports, f"{name}/law.py")
    code = law_code(checked, manifest)
    return manifest, code, maker_of(code), checked.cost


@lru_cache(maxsize=64)
def _values(params_toml: bytes, manifest_toml: bytes, name: str) -> dict[str, Value]:
    """The values in a params.toml, for copying: a controller is tried in many rollouts, and parsing takes 0.2 ms."""
    manifest = parse_manifest(manifest_toml, f"{name}/manifest.toml")
    return parse_params(params_toml, manifest, f"{name}/params.toml")
