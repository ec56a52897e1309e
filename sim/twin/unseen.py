"""What this stretch of telemetry cannot show, and why: said in words instead of a number that means nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.twin.fit import Fit

_TOLD = 0.5  # a posterior wider than this share of the prior has learnt next to nothing
_PARTLY_TOLD = 0.2  # the same where, besides, a healthy robot explains the telemetry as well
_WEIGHED = 1.0  # log evidence that makes a difference

_REASONS = {
    "payload": "too little motion and no weight on any drive",
    "com": "the tool was hardly turned",
    "friction": "too little speed in this motion",
    "coulomb": "too little speed in this motion",
    "stiction": "it hardly starts from rest in this motion",
    "spring": "too close to home in this motion",
    "ripple": "too small an angle in this motion",
    "actuator_loss": "too little torque in this motion",
    "thrust_loss": "too little thrust in this motion",
    "deadband": "too little torque in this motion",
    "backlash": "the effort does not change sign in this motion",
    "torque_limit": "effort never comes near the limit in this motion",
    "motor_lag": "commands change too little in this motion",
    "sag": "the drives never work hard together in this motion",
    "sensor_bias": "no torque depends on where it stands, and no onset was seen",
    "sensor_scale": "too small an angle in this motion",
    "velocity_bias": "position and velocity are not independent here",
    "wheel_radius": "too little way in this motion",
    "slip": "too little way in this motion",
    "ground_friction": "feet or wheels hardly use what the ground holds in this motion",
    "wind": "no force on the body is measured",
}


def why_unseen(fit: Fit) -> str:
    """A sentence on the unknowns that the telemetry says next to nothing of; empty if it tells of every one."""
    prior = np.concatenate([cause.prior_std for cause in fit.causes])
    if not len(prior):
        return ""
    left = float(np.min(np.sqrt(np.diag(fit.covariance)) / prior))
    if left < (_PARTLY_TOLD if _is_as_likely_as_before(fit) else _TOLD):
        return ""
    faults = dict.fromkeys(cause.fault for cause in fit.causes)
    reasons = dict.fromkeys(_REASONS.get(fault, "this motion does not show it") for fault in faults)
    return f"Not measurable here: {' and '.join(reasons)}."


def _is_as_likely_as_before(fit: Fit) -> bool:
    """Whether the telemetry has hardly made a single cause more or less likely against a healthy robot.

    A limit that effort never came near may be lower than rated or not: only the lowest limits are ruled out.
    """
    return len(fit.causes) == 1 and abs(fit.log_evidence - fit.causes[0].log_prior) < _WEIGHED


def unobservable(fits: Sequence[Fit]) -> tuple[str, ...]:
    """One sentence for each fault that could be there unseen, with the places where it could."""
    hidden: dict[str, list[int]] = {}
    keys: dict[str, str] = {}
    for fit in fits:
        cause = fit.causes[0]
        if len(fit.causes) == 1 and len(cause.places) < 2 and why_unseen(fit):
            hidden.setdefault(cause.fault, []).extend(place + 1 for place in cause.places)
            keys[cause.fault] = cause.key
    found = []
    for fault in sorted(hidden):
        places = ", ".join(str(place) for place in sorted(hidden[fault]))
        where = f" of {keys[fault]} {places}" if places else ""
        reason = _REASONS.get(fault, "this motion does not show it")
        found.append(f"{fault.replace('_', ' ').capitalize()}{where} cannot be judged: {reason}.")
    return tuple(found)
