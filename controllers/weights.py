"""The weights of a learned law: named arrays from weights.safetensors, as plain lists of floats."""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from controllers.manifest import Manifest
from core.errors import BadInput

Weights = dict[str, list[float] | list[list[float]]]


def load_weights(data: bytes | None, manifest: Manifest, name: str) -> Weights:
    """Array name -> list (n,) or list of lists (outputs, inputs), exactly those that the manifest declares.

    Raises:
        BadInput: the file is missing, superfluous or damaged; an array is missing, undeclared, of another shape, not of
            floats, or not finite.
    """
    file = f"{name}/weights.safetensors"
    if data is None:
        if manifest.weights:
            raise BadInput(f"{file}: missing; the manifest declares {', '.join(manifest.weights)}")
        return {}
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{file}: not a safetensors file of float arrays ({error}); export it again") from error
    for key in arrays:
        if key not in manifest.weights:
            raise BadInput(f"{file}: {key[:40]!r} is not declared; add [weights.{key[:40]}] or remove the array")
    weights: Weights = {}
    for key, shape in manifest.weights.items():
        if key not in arrays:
            raise BadInput(f"{file}: {key} is missing; the manifest declares it with shape {list(shape)}")
        array = arrays[key]
        if array.shape != shape:
            raise BadInput(f"{file}: {key} has shape {list(array.shape)}; the manifest declares {list(shape)}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise BadInput(f"{file}: {key} must hold finite floats; export it again")
        weights[key] = array.astype(np.float64).tolist()
    return weights
