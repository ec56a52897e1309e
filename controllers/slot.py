"""One controller in place: its law, its model terms, and the signals it is fed each tick.

`compute` is the only way from a frame to a command anywhere: rollout, replay, shadow, runtime and ROS host all call it.
"""

from __future__ import annotations

import math
from typing import Any

from controllers.artefact import Artefact
from controllers.controller import Controller
from core.errors import BadInput
from core.frames import Frame, Reference
from core.rigid_body import ModelTerms
from core.robot import FIXED_BASE, Robot
from core.signals import SIGNALS


class Slot:
    """A loaded controller version.

    Args:
        robot: the robot it runs on.
        law: law, parameters and manifest to check and compile here, or a controller that is ready.
        like: a slot of the same robot whose model may be shared if both laws read the same signals; parsing the URDF
            again takes several control periods.
    """

    def __init__(self, robot: Robot, law: Artefact | Controller, like: Slot | None = None) -> None:
        self.controller = law if isinstance(law, Controller) else Controller.from_artefact(law, robot.ports)
        self.sha256 = self.controller.sha256
        self.width = len(robot.actuators)  # how many commands there have to be
        shared = like is not None and like.controller.signals == self.controller.signals
        # Model terms remember nothing from one call to the next.
        self._terms: ModelTerms | None = like._terms if like and shared else self._make_terms(robot)
        self._signals: dict[str, Any] = {"dt": robot.dt_s}
        name = self.controller.manifest.position_offset
        offset = self.controller.params[name] if name else [0.0] * robot.dof
        assert isinstance(offset, list)
        self.position_offset: list[float] = offset
        self._has_offset = any(self.position_offset)
        output = self.controller.manifest.outputs[robot.command_name]
        self._limit, self._step = output.limit, None
        if output.rate is not None:
            self._step = [rate * robot.dt_s for rate in output.rate]
        self._last: list[float] | None = None

    def _make_terms(self, robot: Robot) -> ModelTerms | None:
        """What computes the model signals of this law, if it reads any."""
        wanted = [name for name in self.controller.signals if SIGNALS[name].source == "model"]
        if wanted and robot.kind != FIXED_BASE:
            raise BadInput(
                f"{self.controller.name}/manifest.toml: signals: {', '.join(wanted)} are known of arms only and not of"
                f" {robot.name}, a robot of kind {robot.kind}; remove them from the law"
            )
        return ModelTerms(robot, wanted) if wanted else None

    def reset(self) -> None:
        """As if it had never run."""
        self.controller.reset()
        self._last = None

    def compute(self, frame: Frame, reference: Reference) -> list[float]:
        """(m,) command that the law wants for this measurement, within the limits that its manifest declares."""
        return self.respond(frame.q, frame.qd, frame.tau_meas, *reference)

    def respond(
        self,
        q: list[float],
        qd: list[float],
        tau_meas: list[float],
        q_ref: list[float],
        qd_ref: list[float],
        qdd_ref: list[float],
    ) -> list[float]:
        """The same, for all of a frame and a reference that a law can read."""
        signals = self._signals
        signals["q"], signals["qd"], signals["tau_meas"] = q, qd, tau_meas
        signals["q_ref"], signals["qd_ref"], signals["qdd_ref"] = q_ref, qd_ref, qdd_ref
        if self._terms is not None:
            position = q
            if self._has_offset:  # the model is asked about the position that the law believes in
                position = [measured - offset for measured, offset in zip(q, self.position_offset, strict=True)]
            self._terms.compute(position, qd, signals)
        tau = self.controller.step(signals)
        if self._limit is not None:
            tau = [_clip(t, -m, m) for t, m in zip(tau, self._limit, strict=True)]
        if self._step is not None and self._last is not None:
            tau = [_clip(t, last - s, last + s) for t, last, s in zip(tau, self._last, self._step, strict=True)]
        self._last = tau
        return tau


def _clip(value: float, low: float, high: float) -> float:
    """NaN stays NaN: the envelope must see it."""
    return value if math.isnan(value) else min(max(value, low), high)
