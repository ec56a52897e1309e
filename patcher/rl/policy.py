"""A policy as numbers: layers, what stands between them, and how observations and actions are scaled.

This is all that a controller version keeps of a training; `patcher.rl.policy_law` says the same in the law language.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.metrics import Array

# Activation -> the same in the law language, for one number h; tanh stands inside of `mlp`.
ACTIVATIONS = {
    "tanh": "tanh({h})",
    "relu": "max({h}, 0.0)",
    "elu": "{h} if {h} > 0.0 else exp({h}) - 1.0",
    "leaky_relu": "{h} if {h} > 0.0 else 0.01 * {h}",
    "silu": "{h} / (1.0 + exp(-{h}))",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How observations are brought to size: clip((x - mean) * scale, -clip, clip)."""

    mean: Array  # (d,)
    scale: Array  # (d,)
    clip: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Policy:
    """A deterministic policy: observation (d,) -> action (m,) in shares of the command range, -1 to 1."""

    algorithm: str  # that trained it
    layers: tuple[tuple[Array, Array], ...]  # weight (outputs, inputs) and bias (outputs,) of each
    activation: str  # between the layers, one of `ACTIVATIONS`
    scaling: Scaling | None = None
    bound: float | None = None  # the last layer is clipped to it on both sides, before the squash
    squash: bool = False  # tanh behind the last layer
    low: Array | None = None  # (m,) where the action space begins and ends; None: at -1 and 1
    high: Array | None = None
    levels: Array | None = None  # (k, m) actions to choose from, where the last layer values each

    @property
    def inputs(self) -> int:
        """Length d of an observation."""
        return int(self.layers[0][0].shape[1])

    @property
    def outputs(self) -> int:
        """Length m of an action."""
        return int(self.layers[-1][0].shape[0] if self.levels is None else self.levels.shape[1])

    @property
    def products(self) -> int:
        """Multiplications of one call."""
        return sum(weight.size for weight, _ in self.layers)

    @property
    def shape(self) -> str:
        """The sizes of the layers in words: 12 x 64 x 64 x 1."""
        return " x ".join(map(str, [self.inputs, *(weight.shape[0] for weight, _ in self.layers)]))

    def act(self, observations: Array) -> Array:
        """(N, m) actions for (N, d) observations, in double precision."""
        x = np.asarray(observations, dtype=float)
        if self.scaling is not None:
            s = self.scaling
            x = np.clip((x - s.mean) * s.scale, -s.clip, s.clip)
        for index, (weight, bias) in enumerate(self.layers):
            x = x @ weight.T + bias
            if index < len(self.layers) - 1:
                x = _activated(x, self.activation)
        if self.levels is not None:
            return np.asarray(self.levels[np.argmax(x, axis=1)])
        if self.bound is not None:
            x = np.clip(x, -self.bound, self.bound)
        if self.squash:
            return np.asarray(np.tanh(x))  # SB3 stretches it over the action space, and a share undoes that
        if self.low is not None and self.high is not None:
            x = 2.0 * (x - self.low) / (self.high - self.low) - 1.0
        return np.asarray(np.clip(x, -1.0, 1.0))

    def lipschitz(self) -> float:
        """Upper bound of |change of the action| / |change of the scaled observation|: product of spectral norms.

        tanh, ReLU, leaky ReLU and ELU change no faster than their argument, SiLU at most 1.1 times as fast.
        """
        steepest = 1.1 if self.activation == "silu" else 1.0
        norms = [float(np.linalg.norm(weight, 2)) for weight, _ in self.layers]
        return float(np.prod(norms)) * steepest ** (len(norms) - 1)


def _activated(x: Array, name: str) -> Array:
    match name:
        case "relu":
            return np.maximum(x, 0.0)
        case "elu":
            return np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))
        case "leaky_relu":
            return np.where(x > 0.0, x, 0.01 * x)
        case "silu":
            return np.asarray(x / (1.0 + np.exp(-x)))
    return np.tanh(x)
