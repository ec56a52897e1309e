"""The statistics that observations were normalised with in training: an .npz, or the pickle of SB3's `VecNormalize`.

A pickle runs what it says while it is read. This reader has no name to run: of all names in the pickle it knows numpy's
arrays, and everything else becomes an empty shell that keeps what it is given.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BadInput
from core.metrics import Array
from patcher.rl.policy import Scaling

MOST_BYTES = 16 * 1024 * 1024
_EPSILON, _CLIP = 1e-8, 10.0  # of VecNormalize, unless it says otherwise
_ARRAYS = {  # the names that arrays in a pickle are made of, in both spellings of numpy
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


def read_scaling(file: Path) -> Scaling:
    """Mean, variance and clip as a scaling.

    Raises:
        BadInput: the file holds no such numbers.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadInput(f"{file}: larger than {MOST_BYTES} bytes; statistics are a few hundred numbers")
        data = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror}); give an .npz or a VecNormalize pickle") from None
    found = _npz(file, data) if data[:2] == b"PK" else _pickle(file, data)
    mean, variance = (np.asarray(found.get(key), dtype=float) for key in ("mean", "var"))
    epsilon, clip = float(found.get("epsilon", _EPSILON)), float(found.get("clip", _CLIP))
    numbers = np.isfinite(mean).all() and np.isfinite(variance).all() and np.isfinite([epsilon, clip]).all()
    if mean.ndim != 1 or mean.shape != variance.shape or not numbers or (variance + epsilon <= 0).any() or clip <= 0:
        raise BadInput(f"{file}: mean and var must be two lists of equal length, with var, epsilon and clip above zero")
    return Scaling(mean=mean, scale=1.0 / np.sqrt(variance + epsilon), clip=clip)


def _npz(file: Path, data: bytes) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{file}: no .npz of numbers ({error}); write mean, var, epsilon and clip into it") from None
    if not {"mean", "var"} <= set(found):
        raise BadInput(f"{file}: has {', '.join(found) or 'nothing'}; mean and var are needed")
    return found


def _pickle(file: Path, data: bytes) -> dict[str, Any]:
    try:
        top = _Reader(io.BytesIO(data)).load()
        kept = top.kept
        statistics = kept["obs_rms"].kept
        if not kept.get("norm_obs", True):
            raise BadInput(f"{file}: it did not normalise observations; leave --normalise out")
        return {
            "mean": statistics["mean"],
            "var": statistics["var"],
            "epsilon": kept["epsilon"],
            "clip": kept["clip_obs"],
        }
    except BadInput:
        raise
    except Exception:
        raise BadInput(f"{file}: is no pickle of VecNormalize; write mean, var and clip into an .npz") from None


class _Shell:
    """What stands for a foreign object: it keeps its state and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        self.kept: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.kept = state

    def __setitem__(self, *_: object) -> None:
        """An ordered dictionary among the foreign objects is filled so."""

    def append(self, *_: object) -> None:
        """A list is filled so."""

    def extend(self, *_: object) -> None:
        """As `append`."""


class _Reader(pickle.Unpickler):
    """Knows the names in `_ARRAYS`; every other name is a shell."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if (module, name) not in _ARRAYS:
            return _Shell
        found: Callable[..., object] = super().find_class(module, name)
        return found

    def persistent_load(self, _: object) -> object:
        raise BadInput("a pickle that asks for something outside of itself is not read")


def as_array(text: str, width: int) -> Array:
    """(k, width) numbers from a text such as "-1,0,1" or "-1 0;0 0;1 0".

    Raises:
        BadInput: it is no such table.
    """
    rows = [
        row.replace(" ", ",").split(",") for row in (text.split(";") if ";" in text or width > 1 else text.split(","))
    ]
    try:
        table = np.array([[float(cell) for cell in row if cell] for row in rows])
    except ValueError:
        raise BadInput(
            f"--levels: {text[:60]!r} is no table; write one action of {width} numbers after another"
        ) from None
    if table.ndim != 2 or table.shape[1] != width or not (np.abs(table) <= 1.0).all():
        raise BadInput(f"--levels: give {width} numbers from -1 to 1 for each action, actions parted by ;")
    return table
