"""What a law is plugged into: the coordinates that it reads, the actuators that it commands, and what a command is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The sizes and the output name that a law has to fit."""

    joints: int  # n coordinates
    actuators: int  # m
    output: str  # name of the law's output, one of `OUTPUTS`

    def shape(self, dimensions: tuple[str, ...]) -> tuple[int, ...]:
        """The lengths of a signal, from the letters of the catalogue: "n" coordinates, "m" actuators."""
        return tuple(self.joints if letter == "n" else self.actuators for letter in dimensions)


# What a robot takes as a command -> the name of the law's output.
OUTPUTS = {"torque": "tau", "position": "q_cmd", "thrust": "thrust"}
