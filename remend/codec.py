"""Records back from canonical JSON: the inverse of `core.ids.canonical_json`."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import json
import types
import typing
from typing import Any, TypeVar

import numpy as np

from core.errors import BadInput

T = TypeVar("T")


def read_record(kind: type[T], text: str) -> T:
    """The record of type `kind` that `canonical_json` wrote as `text`; it has the same sha256.

    Numbers stay as they were written (1 does not become 1.0), because the sha256 would change with them.

    Raises:
        BadInput: the text does not describe such a record.
    """
    try:
        return typing.cast(T, _build(kind, json.loads(text)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"a stored {kind.__name__} is not readable ({error}); restore the home folder") from error


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(kind: Any, value: Any) -> Any:  # noqa: PLR0911 one return for each kind of type
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = _field_types(typing.cast(type, kind))
        return typing.cast(Any, kind)(**{name: _build(hints[name], item) for name, item in value.items()})
    if origin is tuple:
        each = [arguments[0]] * len(value) if arguments[1:] == (...,) else arguments
        return tuple(_build(of, item) for of, item in zip(each, value, strict=True))
    if origin is dict:
        return {key: _build(arguments[1], item) for key, item in value.items()}
    if origin is collections.abc.Mapping:
        return {key: _build(arguments[1], item) for key, item in value.items()}
    if origin is np.ndarray:
        return np.array(value)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        several = isinstance(value, list)
        kinds = [a for a in arguments if a is not type(None)]
        return _build(next((a for a in kinds if (typing.get_origin(a) is tuple) == several), kinds[0]), value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    return value
