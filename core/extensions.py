"""Parts of other packages: robots, faults, tasks and the like that are found by entry points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeVar

from core.errors import BadInput


class Named(Protocol):
    """What a registry can hold."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def points(group: str) -> list[EntryPoint]:
    """The entry points of `group` in all installed packages, sorted by name; nothing is imported."""
    return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))


def load(point: EntryPoint) -> Any:
    """The object that an entry point names.

    Raises:
        BadInput: its module or the object in it cannot be had.
    """
    try:
        return point.load()
    except Exception as error:
        raise BadInput(
            f"entry point {point.name} of {point.group} cannot be loaded ({error}); correct or uninstall {point.value}"
        ) from error


class Registry(Mapping[str, T]):
    """Name -> object: the shipped ones, then those that installed packages register as entry points of `group`.

    Packages are looked up when first asked for, not at import: they import the modules that hold the registries.

    Raises, at the first look-up:
        BadInput: an entry point cannot be loaded, holds something else, or takes a name that is taken.
    """

    def __init__(self, group: str, of: type[Any], shipped: Iterable[T]) -> None:
        self._group, self._of = group, of
        self._shipped = {item.name: item for item in shipped}
        self._all: dict[str, T] | None = None

    def _items(self) -> dict[str, T]:
        if self._all is None:
            found = dict(self._shipped)
            for point in points(self._group):
                item = load(point)
                where = f"entry point {point.name} of {self._group}"
                if isinstance(item, type) or not isinstance(item, self._of):
                    raise BadInput(f"{where} must be an instance of {self._of.__name__}; correct {point.value}")
                if item.name in found:
                    raise BadInput(f"{where}: the name '{item.name}' is taken; give {point.value} another one")
                found[item.name] = item
            self._all = found
        return self._all

    @property
    def added(self) -> tuple[str, ...]:
        """Names that installed packages have added."""
        return tuple(name for name in self._items() if name not in self._shipped)

    def __getitem__(self, name: str) -> T:
        return self._items()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items())

    def __len__(self) -> int:
        return len(self._items())
