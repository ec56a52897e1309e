"""The signal catalogue: every name a law may read, with its shape and unit.

Measured signals come from the frame, references from the task or topic, model terms from the nominal rigid-body model
evaluated at the measured state (`core.rigid_body`). A name that is not here cannot be sayable in a law.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One readable quantity. `shape` is () for a number, ("n",) per coordinate, ("m",) per actuator, ("n", "n")."""

    name: str
    shape: tuple[str, ...]
    unit: str
    source: str  # "clock", "measured", "reference" or "model"
    meaning: str


def _catalogue(*signals: Signal) -> dict[str, Signal]:
    return {signal.name: signal for signal in signals}


_N, _M, _NN = ("n",), ("m",), ("n", "n")

SIGNALS = _catalogue(
    Signal(name="dt", shape=(), unit="s", source="clock", meaning="control period"),
    Signal(name="q", shape=_N, unit="rad or m", source="measured", meaning="position of each coordinate"),
    Signal(name="qd", shape=_N, unit="rad/s or m/s", source="measured", meaning="velocity of each coordinate"),
    Signal(name="tau_meas", shape=_M, unit="N*m or N", source="measured", meaning="effort of each actuator"),
    Signal(name="q_ref", shape=_N, unit="rad or m", source="reference", meaning="reference position"),
    Signal(name="qd_ref", shape=_N, unit="rad/s or m/s", source="reference", meaning="reference velocity"),
    Signal(name="qdd_ref", shape=_N, unit="rad/s^2 or m/s^2", source="reference", meaning="reference acceleration"),
    Signal(name="gravity", shape=_N, unit="N*m", source="model", meaning="gravity torque"),
    Signal(name="bias", shape=_N, unit="N*m", source="model", meaning="Coriolis, gravity and joint damping"),
    Signal(name="inertia", shape=_NN, unit="kg*m^2", source="model", meaning="joint-space inertia, rotors included"),
    Signal(name="bias_per_kg", shape=_N, unit="N*m/kg", source="model", meaning="bias of 1 kg at the tool point"),
    Signal(
        name="inertia_per_kg",
        shape=_NN,
        unit="m^2",
        source="model",
        meaning="joint-space inertia of 1 kg at the tool point",
    ),
)
