"""A foreign policy becomes a controller version: what `remend import` runs.

The law is held against the original in stable-baselines3's own classes before anything is written: each of ten thousand
observations goes through both. What the gates ask of a controller is not asked here; `remend validate` does that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from controllers.artefact import Artefact
from controllers.check import CheckReport, check_folder
from controllers.controller import Controller
from controllers.library import find_law
from core.errors import BadInput, Refused
from core.ids import plain
from core.metrics import Array
from core.robot import Robot
from core.signals import SIGNALS
from patcher.rl.archive import read_archive
from patcher.rl.original import Original
from patcher.rl.policy import Policy
from patcher.rl.policy_law import SIGNALS as SEEN
from patcher.rl.policy_law import law_of_policy
from patcher.rl.statistics import as_array, read_scaling
from sim.catalogue import find_robot

OBSERVATIONS = 10_000
EXACT = 1e-6  # of an action from -1 to 1, in double precision
_SINGLE = 1e-3  # what single precision may make of a large network
_AGREE = 0.999  # share of choices; two that are worth the same to the last bit of single precision may be exchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What was made of a policy, and how near it is."""

    folder: Path
    policy: Policy
    report: CheckReport
    observations: int
    difference: float  # largest, of an action from -1 to 1, to the network in double precision
    single: float  # the same to what the library predicts; for choices the share that differs

    def lines(self) -> list[str]:
        """What a person is told."""
        policy, report = self.policy, self.report
        return [
            f"{report.name}: {report.summary}",
            (
                f"  equal     within {self.difference:.1g} over {self.observations} observations"
                f" ({self.single:.1g} in single precision)"
            ),
            f"  cost      {report.cost} operations, {report.call_us:.1f} us a call, {100 * report.load:.2g} % of 2 ms",
            f"  changes   at most {policy.lipschitz():.3g} times as much as its inputs (product of spectral norms)",
            f"  sha256    {report.sha256}",
            f"Nothing is known yet of what it is worth: remend validate {self.folder} --robot ... asks the gates.",
        ]

    def to_json(self) -> dict[str, Any]:
        """The object of `import --json`."""
        policy, report = self.policy, self.report
        answer = {
            "folder": str(self.folder),
            "algorithm": policy.algorithm,
            "network": policy.shape,
            "activation": policy.activation,
            "normalised": policy.scaling is not None,
            "lipschitz": policy.lipschitz(),
            "cost": report.cost,
            "call_us": report.call_us,
            "sha256": report.sha256,
            "observations": self.observations,
            "difference": self.difference,
            "difference_single": self.single,
        }
        return plain(answer)  # type: ignore[no-any-return]


def import_policy(
    file: Path,
    robot_name: str,
    out: Path,
    *,
    residual: float | None = None,
    normalise: Path | None = None,
    levels: str | None = None,
) -> Imported:
    """Write the policy in `file` to the folder `out` as a controller version of a robot.

    Args:
        residual: share of half the command range within which the policy is added to the robot's own law; without it
            the policy commands alone.
        normalise: statistics that its observations were normalised with.
        levels: what each choice of a DQN commands, in shares of the command range.

    Raises:
        BadInput: the file cannot be read safely, or no law can hold its policy.
        Refused: the law does not answer as the original does.
    """
    robot = find_robot(robot_name)
    if residual is not None and not 0.0 < residual <= 1.0:
        raise BadInput(f"--residual: a share of half the command range above 0 and up to 1, not {residual}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out}: is there already; give a folder that is new or empty")
    archive = read_archive(file)
    scaling = None if normalise is None else read_scaling(normalise)
    table = None if levels is None else as_array(levels, len(robot.actuators))
    policy = archive.policy(scaling, table)
    base = None if residual is None else find_law(robot, robot.controller)
    name = out.resolve().name
    law = law_of_policy(policy, robot, name, base, residual or 1.0)
    seen = observations(robot, OBSERVATIONS, seed=1)
    ours = actions(law, robot, seen, base, residual or 1.0)
    original = Original(archive, scaling)
    difference = float(np.max(np.abs(ours - _share(policy, original.exact(seen)))))
    predicted = np.abs(ours - _share(policy, original.predict(seen)))
    single = float(np.max(predicted)) if table is None else float(np.mean(predicted.max(axis=1) > EXACT))
    if not difference <= EXACT or not single <= (_SINGLE if table is None else 1.0 - _AGREE):
        raise Refused(
            f"{file}: the law differs from the original by {difference:.2g} (in single precision {single:.2g}) over "
            f"{len(seen)} observations; nothing was written"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for part, data in law.files.items():
            (out / part).write_bytes(data)
    except OSError as error:
        raise BadInput(f"{out}: cannot be written ({error.strerror}); give another folder") from None
    report = check_folder(out, robot.ports)
    return Imported(
        folder=out, policy=policy, report=report, observations=len(seen), difference=difference, single=single
    )


def observations(robot: Robot, count: int, seed: int) -> Array:
    """(count, 5 n + 2 m) observations of the robot's environment: ordinary ones, and some far beyond."""
    rng = np.random.default_rng(seed)
    n, m, limits = robot.dof, len(robot.actuators), robot.limits
    low, high = np.array(robot.tasks.low), np.array(robot.tasks.high)
    speed = np.where(np.isfinite(limits.speed), limits.speed, 1.0)
    size = np.where(rng.random((count, 1)) < 0.1, 5.0, 1.0)
    q_ref = rng.uniform(low, high, (count, n))
    width = np.maximum(high - low, 0.1)
    q = q_ref + 0.1 * size * width * rng.normal(size=(count, n))
    qd, qd_ref, qdd_ref = (0.3 * size * speed * rng.normal(size=(count, n)) for _ in range(3))
    effort = 0.3 * size * np.array(limits.effort) * rng.normal(size=(count, m))
    return np.concatenate((q, qd, effort, q_ref, qd_ref, 10.0 * qdd_ref, rng.uniform(-1.0, 1.0, (count, m))), axis=1)


def actions(law: Artefact, robot: Robot, seen: Array, base: Artefact | None, share: float) -> Array:
    """(N, m) what the law makes of each observation, in shares of the command range; `base` is taken off."""
    n, m = robot.dof, len(robot.actuators)
    low, high = np.array(robot.limits.effort_low), np.array(robot.limits.effort_high)
    half = 0.5 * (high - low)
    whole = Controller.from_artefact(law, robot.ports)
    alone = None if base is None else Controller.from_artefact(base, robot.ports)
    ends = np.cumsum([m if name == "tau_meas" else n for name in SEEN])
    made_up = _made_up(robot)
    found = []
    for row in seen:
        parts = np.split(row, ends)
        signals = {**made_up, **{name: part.tolist() for name, part in zip(SEEN, parts[:-1], strict=True)}}
        whole.reset()
        whole.states["net_last"][:] = parts[-1].tolist()
        command = np.array(whole.step(signals))
        if alone is None:
            found.append((command - 0.5 * (low + high)) / half)
            continue
        alone.reset()
        found.append((command - np.array(alone.step(signals))) / (share * half))
    return np.array(found)


def _made_up(robot: Robot) -> dict[str, Any]:
    """A value of ordinary size for every signal: model terms cancel in a difference."""
    signals: dict[str, Any] = {}
    for name, signal in SIGNALS.items():
        shape = robot.ports.shape(signal.shape)
        row = [math.sin(1.0 + k) for k in range(shape[-1] if shape else 0)]
        signals[name] = robot.dt_s if not shape else row if len(shape) == 1 else [list(row) for _ in range(shape[0])]
    return signals


def _share(policy: Policy, told: Array) -> Array:
    """Actions of the library as shares of the command range."""
    if policy.levels is not None:
        return np.asarray(policy.levels[told.astype(int)])
    assert policy.low is not None
    assert policy.high is not None
    return np.clip(2.0 * (told - policy.low) / (policy.high - policy.low) - 1.0, -1.0, 1.0)
