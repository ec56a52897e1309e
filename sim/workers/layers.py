"""The layers around a worker: which are active on this machine, what each stops, and what none of them stops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Door(StrEnum):
    """A way by which free code could do harm outside its process."""

    FILES = "read and change files"
    NETWORK = "reach the network"
    PROGRAMS = "start processes and programs"
    NEIGHBOURS = "signal and look into other processes"
    MEMORY = "take all memory"


LAYERS: Mapping[str, str] = {  # name -> what it is
    "limits": "no new descriptor, child, file or core dump; limited memory and CPU time",
    "user": "a user of its own for each worker",
    "landlock": "no access to files, TCP and processes outside",
    "seccomp": "killed by the kernel for any system call but memory, time and its answer",
    "network": "an empty network",
    "bubblewrap": "its own view of files, processes and network",
}
# Door -> the sets of layers that shut it, each by itself. Without descriptors no socket is made, but a path can still
# be removed. Landlock alone lets a process fork, and the limit on processes does not hold for root.
_SHUT_BY: Mapping[Door, tuple[frozenset[str], ...]] = {
    Door.FILES: (frozenset({"landlock"}), frozenset({"seccomp"})),
    Door.NETWORK: (frozenset({"limits"}), frozenset({"seccomp"}), frozenset({"network"}), frozenset({"bubblewrap"})),
    Door.PROGRAMS: (frozenset({"seccomp"}), frozenset({"landlock", "user", "limits"})),
    Door.NEIGHBOURS: (frozenset({"user"}), frozenset({"seccomp"})),
    Door.MEMORY: (frozenset({"limits"}),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer on this machine."""

    name: str  # of LAYERS
    active: bool
    why: str = ""  # it is not active, or in which form it is
    hint: str = ""  # what brings it
    is_extra: bool = False  # the others do without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """All layers on this machine, in the order of LAYERS. A layer that nobody mentions is not active."""

    found: tuple[Layer, ...]
    breached: tuple[Door, ...] = ()  # what got through in the self-test, whatever the layers promise

    def is_active(self, name: str) -> bool:
        return any(layer.active for layer in self.found if layer.name == name)

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the active layers."""
        return tuple(name for name in LAYERS if self.is_active(name))

    @property
    def missing(self) -> tuple[Layer, ...]:
        """The others, with the reason for each."""
        by_name = {layer.name: layer for layer in self.found}
        absent = (by_name.get(name, Layer(name=name, active=False, why="not looked for")) for name in LAYERS)
        return tuple(layer for layer in absent if not layer.active)

    @property
    def open_doors(self) -> tuple[Door, ...]:
        """What no active layer stops. Behind an open door only laws that are trusted already may run."""
        active = set(self.active)
        shut = {door for door, shut_by in _SHUT_BY.items() if any(layers <= active for layers in shut_by)}
        return tuple(door for door in Door if door not in shut or door in self.breached)

    def plain(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [asdict(layer) for layer in self.found]


def read_layers(items: Iterable[Mapping[str, Any]]) -> Layers:
    """The inverse of `Layers.plain`."""
    return Layers(found=tuple(Layer(**item) for item in items))


def combined(machines: Sequence[Layers]) -> Layers:
    """What stands between a worker and its machine, whichever it is: layers that all have, doors that any has open."""
    found = []
    for name in LAYERS:
        each = [layer for machine in machines for layer in machine.found if layer.name == name]
        found += [layer for layer in each if not layer.active][:1] or each[:1]
    return Layers(
        found=tuple(found), breached=tuple(door for door in Door if any(door in m.breached for m in machines))
    )


def no_layers(why: str) -> Layers:
    """A machine without any."""
    return Layers(found=tuple(Layer(name=name, active=False, why=why) for name in LAYERS))
