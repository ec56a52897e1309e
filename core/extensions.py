"""Parts of other packages: robots, faults, tasks and the like that are found by entry points."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TypeVar

from core.errors import BadInput

T = TypeVar("T")


def installed(group: str, of: type[T]) -> list[T]:
    """Objects of type `of` that installed packages register under `group`, sorted by entry point name.

    Raises:
        BadInput: an entry point cannot be loaded, or holds something else.
    """
    found = []
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            value = point.load()
        except Exception as error:
            raise BadInput(
                f"entry point {point.name} of {group} cannot be loaded ({error}); correct or uninstall {point.value}"
            ) from error
        if not isinstance(value, of):
            raise BadInput(f"entry point {point.name} of {group} must be a {of.__name__}; correct {point.value}")
        found.append(value)
    return found
