"""A policy as a controller version: law.py, manifest.toml, params.toml and weights.safetensors.

The law shows the policy what a robot's gymnasium environment (`sim.environment`) shows: q, qd, tau_meas, q_ref, qd_ref,
qdd_ref and its own last action. What the policy answers commands the robot alone, or is added to another law within an
authority. All names begin with `net_`, so that they never meet those of the law that they are added to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.numpy import save

from controllers.artefact import Artefact, artefact_from_files
from controllers.controller import Controller
from controllers.counting import MAX_COST
from controllers.manifest import MAX_WEIGHTS, parse_manifest
from controllers.params import parse_params, render_params
from core.errors import BadInput, LawError
from core.metrics import Array
from core.robot import Robot
from core.toml_file import parse_toml, render_toml
from patcher.law_text import signature, with_lines
from patcher.rl.policy import ACTIVATIONS, Policy

SIGNALS = (
    "q",
    "qd",
    "tau_meas",
    "q_ref",
    "qd_ref",
    "qdd_ref",
)  # in the order of an observation; the last action follows
_DECIMALS = 12


def law_of_policy(
    policy: Policy, robot: Robot, name: str, base: Artefact | None = None, share: float = 1.0
) -> Artefact:
    """The policy as a law of its own, or added to `base`.

    Args:
        share: of half the command range, within which it is added to `base`.

    Raises:
        BadInput: its inputs or outputs are not those of the robot, it is too large, or `base` has a policy already.
    """
    n, m = robot.dof, len(robot.actuators)
    if policy.outputs != m:
        raise BadInput(f"{name}: a policy of {policy.outputs} outputs; {robot.name} has {m} actuators")
    if policy.inputs != 5 * n + 2 * m:
        raise BadInput(
            f"{name}: a policy of {policy.inputs} inputs; the environment of {robot.name} shows {5 * n + 2 * m} "
            f"({', '.join(SIGNALS)}, last action)"
        )
    weights = weights_of(policy)
    body = [*_observation(n, m), *network_lines(policy), *_command(policy, robot, base is not None)]
    manifest: dict[str, Any] = {"name": name, "version": "1.0.0"}
    if base is not None:
        manifest = parse_toml(base.files["manifest.toml"], f"{base.name}/manifest.toml")
        if manifest.get("weights"):
            raise BadInput(f"{base.name}: has weights already; add the policy to the law without them")
    added = [signal for signal in SIGNALS if signal not in manifest.get("signals", [])]
    manifest["summary"] = _summary(policy, None if base is None else manifest["name"])
    manifest["signals"] = [*manifest.get("signals", []), *added]
    params = _params(robot, base is not None, share)
    values = {key: table.pop("value") for key, table in params.items()}
    manifest["params"] = {**manifest.get("params", {}), **params}
    manifest["states"] = {**manifest.get("states", {}), "net_last": {"unit": "1", "size": m}}
    manifest["scratch"] = {**manifest.get("scratch", {}), **scratch_of(policy)}
    manifest["weights"] = {key: {"shape": list(array.shape)} for key, array in weights.items()}
    arguments = [*added, *params, *weights, "net_last", *scratch_of(policy)]
    command = robot.command_name
    if base is None:
        manifest["outputs"] = {command: {"unit": command_unit(robot), "size": m}}
        head = [f'"""{manifest["summary"]}."""', "", "", *signature([*arguments, command])]
        source = "\n".join([*head, *body]) + "\n"
        old = {}
    else:
        source = with_lines(base.files["law.py"].decode(), arguments, body)
        old = parse_params(base.files["params.toml"], parse_manifest(base.files["manifest.toml"]))
    return made(name, robot, source, manifest, {**old, **values}, weights)


def made(
    name: str, robot: Robot, source: str, manifest: dict[str, Any], values: dict[str, Any], weights: dict[str, Array]
) -> Artefact:
    """The files of a learned law, checked for the robot.

    Raises:
        BadInput: it is too large, or no law of this robot.
    """
    if sum(array.size for array in weights.values()) > MAX_WEIGHTS:
        raise BadInput(
            f"{name}: {sum(array.size for array in weights.values())} weights; a law holds {MAX_WEIGHTS}. Train with "
            "policy_kwargs={'net_arch': [64, 64]}"
        )
    data = render_toml(manifest).encode()
    parsed = parse_manifest(data, f"{name}/manifest.toml")
    files = {
        "law.py": source.encode(),
        "manifest.toml": data,
        "params.toml": render_params(parsed, values),
        "weights.safetensors": save({key: _smallest(array) for key, array in weights.items()}),
    }
    artefact = artefact_from_files(name, files)
    try:
        Controller.from_artefact(artefact, robot.ports)
    except LawError as error:
        if str(MAX_COST) not in str(error):
            raise
        raise BadInput(
            f"{name}: its network needs more than {MAX_COST} operations a call; train with "
            "policy_kwargs={'net_arch': [64, 64]}"
        ) from None
    return artefact


def _smallest(array: Array) -> np.ndarray[Any, Any]:
    """In single precision where that loses nothing, as what comes from PyTorch mostly is."""
    single = np.ascontiguousarray(array, dtype=np.float32)
    return single if (single == array).all() else np.ascontiguousarray(array)


def weights_of(policy: Policy) -> dict[str, Array]:
    """Name in the law -> array."""
    weights: dict[str, Array] = {}
    if policy.scaling is not None:
        weights |= {"net_mean": policy.scaling.mean, "net_scale": policy.scaling.scale}
    for index, (weight, bias) in enumerate(policy.layers, start=1):
        weights |= {f"net_w{index}": weight, f"net_b{index}": bias}
    if policy.levels is not None:
        weights["net_levels"] = policy.levels
    return weights


def scratch_of(policy: Policy) -> dict[str, dict[str, int]]:
    """What the lines of the network write, and their sizes."""
    sizes = {"net_x": policy.inputs, "net_out": len(policy.layers[-1][1])}
    if policy.activation != "tanh":
        sizes |= {f"net_h{index}": len(bias) for index, (_, bias) in enumerate(policy.layers[:-1], start=1)}
    return {name: {"size": size} for name, size in sizes.items()}


def network_lines(policy: Policy) -> list[str]:
    """Lines from `net_x`, (d,) as the robot says it, to `net_out`, (outputs,) of the last layer."""
    lines = []
    if policy.scaling is not None:
        clip = repr(float(policy.scaling.clip))
        lines += [
            f"    for i in range({policy.inputs}):",
            f"        net_x[i] = clip((net_x[i] - net_mean[i]) * net_scale[i], -{clip}, {clip})",
        ]
    count = len(policy.layers)
    if policy.activation == "tanh" or count == 1:
        layers = ", ".join(f"net_w{k}, net_b{k}" for k in range(1, count + 1))
        return [*lines, f"    mlp({layers}, net_x, net_out)"]
    before = "net_x"
    for index, (_, bias) in enumerate(policy.layers[:-1], start=1):
        h = f"net_h{index}"
        lines += [
            f"    mlp(net_w{index}, net_b{index}, {before}, {h})",
            f"    for i in range({len(bias)}):",
            f"        {h}[i] = {ACTIVATIONS[policy.activation].format(h=f'{h}[i]')}",
        ]
        before = h
    return [*lines, f"    mlp(net_w{count}, net_b{count}, {before}, net_out)"]


def _observation(n: int, m: int) -> list[str]:
    """Lines that show the policy what its environment shows."""
    lines = ["    # What the policy sees: measurement, reference, its last action.", f"    for i in range({n}):"]
    lines += [f"        net_x[{_plus(at)}] = {name}[i]" for name, at in _places(n, m) if name != "tau_meas"]
    lines += [f"    for i in range({m}):", f"        net_x[{2 * n} + i] = tau_meas[i]"]
    return [*lines, f"        net_x[{5 * n + m} + i] = net_last[i]"]


def _places(n: int, m: int) -> Sequence[tuple[str, int]]:
    sizes = [m if name == "tau_meas" else n for name in SIGNALS]
    return [(name, sum(sizes[:k])) for k, name in enumerate(SIGNALS)]


def _plus(at: int) -> str:
    return "i" if at == 0 else f"{at} + i"


def _command(policy: Policy, robot: Robot, adds: bool) -> list[str]:
    m, command = len(robot.actuators), robot.command_name
    lines = []
    if policy.levels is not None:  # the action that is valued most; the first of equals, as in training
        lines += [
            "    best = net_out[0]",
            *(f"    net_last[{i}] = net_levels[0][{i}]" for i in range(m)),
            f"    for k in range(1, {len(policy.levels)}):",
            "        if net_out[k] > best:",
            "            best = net_out[k]",
            *(f"            net_last[{i}] = net_levels[k][{i}]" for i in range(m)),
            f"    for i in range({m}):",
        ]
    else:
        lines += [f"    for i in range({m}):"]
        value = "net_out[i]"
        if policy.bound is not None:
            value = f"clip({value}, -{policy.bound!r}, {policy.bound!r})"
        if policy.squash:
            value = f"tanh({value})"
        elif policy.low is not None and policy.high is not None and not _is_unit(policy):
            ends = list(zip(policy.low.tolist(), policy.high.tolist(), strict=True))
            stretch = [
                f"    net_out[{i}] = {2 / (b - a)!r} * (net_out[{i}] - {a!r}) - 1.0" for i, (a, b) in enumerate(ends)
            ]
            lines = [*stretch, *lines]
        lines += [f"        net_last[i] = clip({value}, -1.0, 1.0)"]
    if adds:
        return [*lines, f"        {command}[i] += net_authority[i] * net_last[i]"]
    return [*lines, f"        {command}[i] = net_middle[i] + net_reach[i] * net_last[i]"]


def _is_unit(policy: Policy) -> bool:
    assert policy.low is not None
    assert policy.high is not None
    return bool((policy.low == -1.0).all() and (policy.high == 1.0).all())


def _params(robot: Robot, adds: bool, share: float) -> dict[str, dict[str, Any]]:
    """The command range, as numbers that a person can read and narrow; `value` is for params.toml."""
    low, high = np.array(robot.limits.effort_low), np.array(robot.limits.effort_high)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    common = {"unit": command_unit(robot), "size": len(low), "max_step": 1.0, "role": "limit"}
    if adds:
        authority = {
            **common,
            "low": 0.0,
            "high": _rounded(half),
            "effect": "The most that the policy may add to either side.",
            "value": _rounded(share * half),
        }
        return {"net_authority": authority}
    reach = {
        **common,
        "low": 0.0,
        "high": _rounded(half),
        "effect": "The most that the policy may command to either side of the middle.",
        "value": _rounded(half),
    }
    centre = {
        **common,
        "low": _rounded(low),
        "high": _rounded(high),
        "effect": "The command for an action of zero.",
        "value": _rounded(middle),
    }
    return {"net_middle": centre, "net_reach": reach}


def _rounded(values: Array) -> list[float]:
    return [round(float(value), _DECIMALS) for value in values]


def command_unit(robot: Robot) -> str | list[str]:
    """The unit of each command: one text where all have the same."""
    if robot.mode == "position":
        units = ["rad" if joint is None else robot.units[joint] for joint in robot.drives]
    elif robot.mode == "thrust":
        units = ["N"] * len(robot.actuators)
    else:
        units = ["N" if joint is not None and robot.units[joint] == "m" else "N*m" for joint in robot.drives]
    return units[0] if len(set(units)) == 1 else units


def _summary(policy: Policy, base: str | None) -> str:
    what = f"a policy trained with {policy.algorithm}, {policy.shape}, {policy.activation}"
    return f"{base} with {what} added" if base else f"{what[0].upper()}{what[1:]}"
