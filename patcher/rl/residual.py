"""A residual in the law language: what a policy adds to a law, bounded, and silent where it was not trained.

In each tick the law adds `net_authority * net_last`, where `net_last` follows the policy's last answer at a pace of its
own and lies between -1 and 1 for whatever is in the weights: the last line before the addition puts everything else to
zero. Then it notes what the policy is to see. Every `hold` ticks the policy answers. As soon as one of its inputs
leaves the range that it was trained in, its answer loses weight, and `net_margin` beyond the range it has none.

The lines that run in training are these very lines: `sim.practice` reads `net_seen` and writes `net_target`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from controllers.artefact import Artefact
from controllers.manifest import parse_manifest
from controllers.params import parse_params
from core.errors import BadInput
from core.metrics import Array
from core.robot import Robot
from core.toml_file import parse_toml
from patcher.law_text import with_lines
from patcher.rl.policy_law import command_unit, made

Layers = Sequence[tuple[Array, Array]]
_READS = ("dt", "q", "qd", "q_ref", "qd_ref", "qdd_ref")
_SEEN_CLIP = 5.0  # standard deviations; a larger input is as good as this one
SLOW_S = 0.1  # time constant of the slow error: an integral that forgets; chosen
WIDE = 1e6  # a range that no input leaves, for training
TINY = 1e-9  # scale of inputs that are looked at as they are, so that nothing is clipped
MARGIN = 2.0  # standard deviations beyond the range at which nothing is added; chosen
STATES = {"seen": "net_seen", "target": "net_target", "wait": "net_wait"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranges:
    """How large the inputs of a policy are, and where it was trained; (d,) each."""

    mean: Array
    scale: Array  # inverse standard deviation; 0 where an input never changes
    low: Array  # of the scaled inputs
    high: Array
    step: Array  # (n,) inverse speed of the reference at which a joint counts as reversing [s/rad or s/m]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residual:
    """Everything that a residual law has on top of the law under it."""

    layers: Layers
    ranges: Ranges
    authority: Array  # (m,) the most that is added, in the unit of the command
    hold: int  # ticks between two answers of the policy
    pace: float  # share of the way to the policy's answer that is gone in a tick
    squash: bool  # the answer goes through tanh, as SAC and TQC have it
    trained: str  # one clause: by what, on what


def inputs(robot: Robot) -> int:
    """Length d of what the policy sees."""
    return 7 * robot.dof + 2 * len(robot.actuators)


def unscaled(robot: Robot) -> Ranges:
    """Ranges for the first look at a robot: inputs as they are."""
    d = inputs(robot)
    wide = np.full(d, WIDE)
    return Ranges(mean=np.zeros(d), scale=np.full(d, TINY), low=-wide, high=wide, step=np.ones(robot.dof))


def first_layers(robot: Robot, hidden: Sequence[int], rng: np.random.Generator) -> Layers:
    """Layers whose answer is zero, so that the law starts as the one under it."""
    sizes = [inputs(robot), *hidden, len(robot.actuators)]
    layers = []
    for before, after in itertools.pairwise(sizes):
        layers.append((rng.normal(size=(after, before)) / np.sqrt(before), np.zeros(after)))
    layers[-1] = (np.zeros((sizes[-1], sizes[-2])), np.zeros(sizes[-1]))
    return layers


def residual_law(base: Artefact, robot: Robot, residual: Residual) -> Artefact:
    """`base` with the residual behind it.

    Raises:
        BadInput: `base` has weights or names of its own that begin with `net_`, or the network is too large.
    """
    manifest = parse_toml(base.files["manifest.toml"], f"{base.name}/manifest.toml")
    if manifest.get("weights"):
        raise BadInput(f"{base.name}: has weights already; train on top of the law without them")
    n, m, d = robot.dof, len(robot.actuators), inputs(robot)
    ranges = residual.ranges
    weights: dict[str, Array] = {
        "net_mean": ranges.mean,
        "net_scale": ranges.scale,
        "net_low": ranges.low,
        "net_high": ranges.high,
        "net_step": ranges.step,
    }
    for k, (weight, bias) in enumerate(residual.layers, start=1):
        weights |= {f"net_w{k}": weight, f"net_b{k}": bias}
    states = {
        "net_slow": {"unit": " or ".join(dict.fromkeys(robot.units)), "size": n},
        "net_seen": {"unit": "1", "size": d},
        "net_target": {"unit": "1", "size": m},
        "net_last": {"unit": "1", "size": m},
        "net_wait": {"unit": "ticks", "size": 1},
    }
    params, values = _params(robot, residual)
    added = [name for name in _READS if name not in manifest["signals"]]
    manifest["summary"] = f"{manifest['name']} with a residual: {residual.trained}"[:300]
    manifest["signals"] = [*manifest["signals"], *added]
    manifest["params"] = {**manifest.get("params", {}), **params}
    manifest["states"] = {**manifest.get("states", {}), **states}
    manifest["scratch"] = {**manifest.get("scratch", {}), "net_out": {"size": m}}
    manifest["weights"] = {name: {"shape": list(array.shape)} for name, array in weights.items()}
    arguments = [*added, *params, *weights, *states, "net_out"]
    source = with_lines(base.files["law.py"].decode(), arguments, _lines(robot, residual))
    old = parse_params(base.files["params.toml"], parse_manifest(base.files["manifest.toml"]))
    return made(base.name, robot, source, manifest, {**old, **values}, weights)


def _params(robot: Robot, residual: Residual) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    half = 0.5 * (np.array(robot.limits.effort_high) - robot.limits.effort_low)
    authority = {
        "unit": command_unit(robot),
        "size": len(half),
        "low": 0.0,
        "high": half.round(12).tolist(),
        "max_step": 1.0,
        "effect": "The most that the policy adds to a command; zero is the law without it.",
        "role": "limit",
    }
    margin = {
        "unit": "1",
        "low": 0.1,
        "high": 10.0,
        "max_step": 1.0,
        "effect": "How far beyond its training the policy still has a say, in standard deviations of the input.",
        "role": "limit",
    }
    values = {"net_authority": residual.authority.round(12).tolist(), "net_margin": MARGIN}
    return {"net_authority": authority, "net_margin": margin}, values


def _lines(robot: Robot, residual: Residual) -> list[str]:
    n, m, d = robot.dof, len(robot.actuators), inputs(robot)
    command, count = robot.command_name, len(residual.layers)
    layers = ", ".join(f"net_w{k}, net_b{k}" for k in range(1, count + 1))
    answer = "tanh(net_out[i])" if residual.squash else "clip(net_out[i], -1.0, 1.0)"
    return f"""\
    # What a policy adds that was trained in the twin: never more than net_authority, whatever its weights are.
    for i in range({m}):
        net_next = net_last[i] + {residual.pace!r} * (net_target[i] - net_last[i])
        net_last[i] = net_next if -1.0 <= net_next <= 1.0 else 0.0
        {command}[i] += net_authority[i] * net_last[i]
    # What the policy sees, in standard deviations, and how far that is outside of what it was trained on.
    for i in range({n}):
        net_error = q_ref[i] - q[i]
        net_slow[i] += (net_error - net_slow[i]) * dt / (dt + {SLOW_S!r})
        net_slow[i] = net_slow[i] if abs(net_slow[i]) < 1.0e9 else 0.0
        net_seen[7 * i] = net_error
        net_seen[7 * i + 1] = qd_ref[i] - qd[i]
        net_seen[7 * i + 2] = net_slow[i]
        net_seen[7 * i + 3] = q_ref[i]
        net_seen[7 * i + 4] = qd_ref[i]
        net_seen[7 * i + 5] = qdd_ref[i]
        net_seen[7 * i + 6] = clip(qd_ref[i] * net_step[i], -1.0, 1.0)
    for i in range({m}):
        net_seen[{7 * n} + i] = {command}[i]
        net_seen[{7 * n + m} + i] = net_last[i]
    net_beyond = 0.0
    for i in range({d}):
        net_z = (net_seen[i] - net_mean[i]) * net_scale[i]
        net_beyond = max(net_beyond, net_low[i] - net_z, net_z - net_high[i])
        net_seen[i] = clip(net_z, -{_SEEN_CLIP!r}, {_SEEN_CLIP!r})
    # Every {residual.hold} ticks the policy answers.
    net_wait[0] -= 1.0
    if net_wait[0] < 0.5:
        net_wait[0] = {float(residual.hold)!r}
        mlp({layers}, net_seen, net_out)
        for i in range({m}):
            net_target[i] = {answer}
    if not net_beyond <= 0.0:
        for i in range({m}):
            net_target[i] = net_target[i] * clip(1.0 - net_beyond / net_margin, 0.0, 1.0)""".split("\n")
