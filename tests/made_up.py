"""A made-up twin and made-up workers: evidence and proposers without a simulator, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import sim
from controllers.artefact import Artefact, artefact_from_files, load_artefact, shipped_laws
from controllers.controller import Controller
from core.metrics import Array
from core.records import Seal
from core.robot_toml import load_robot
from patcher.propose.base import Situation
from sim.effect import NO_EFFECT, Effect
from sim.judge import Judgement
from sim.lockstep import Exchange
from sim.scenario import Scenario
from sim.sealing import signed
from sim.twin.twin import RankedCause, Twin
from sim.workers.answer import Rolled
from sim.workers.outcome import Lost
from sim.workers.progress import Progress
from sim.workers.reruns import RerunJob
from telemetry.calibration import Calibration

IIWA = load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")
N = IIWA.dof
COMPUTED_TORQUE = load_artefact(shipped_laws()["computed_torque"])
JOINT_PD = load_artefact(shipped_laws()["joint_pd"])

_CALIBRATION = Calibration(
    correction=np.zeros(12 * N),
    covariance=1e-8 * np.eye(12 * N),
    noise_nm=np.full(N, 0.1),
    inflation=np.ones(N),
    dry_rad_s=np.full(N, 0.01),
    trust=np.zeros(N),
    cutoff_hz=10.0,
    samples=1000,
)
_HEALTHY = NO_EFFECT


def _on(joint: int, value: float) -> tuple[float, ...]:
    return tuple(value if i == joint else 0.0 for i in range(N))


_EFFECTS: dict[str, Callable[[float], Effect]] = {
    "payload": lambda x: replace(_HEALTHY, payload_kg=x),
    "friction": lambda x: replace(_HEALTHY, viscous=_on(1, x)),
    "coulomb": lambda x: replace(_HEALTHY, coulomb=_on(1, x)),
    "actuator_loss": lambda x: replace(_HEALTHY, gain_loss=_on(2, x)),
    "sensor_bias": lambda x: replace(_HEALTHY, offset=_on(3, x)),
    "delay": lambda x: replace(_HEALTHY, delay_s=x),
    "none": lambda x: _HEALTHY,
}
_DESCRIPTIONS: dict[str, Callable[[float], dict[str, float]]] = {
    "payload": lambda x: {"mass": x},
    "friction": lambda x: {"joint": 2.0, "scale": 1.0 + x / IIWA.limits.damping[1], "viscous": x},
    "coulomb": lambda x: {"joint": 2.0, "share": x / IIWA.limits.effort[1]},
    "actuator_loss": lambda x: {"joint": 3.0, "gain": 1.0 - x},
    "sensor_bias": lambda x: {"joint": 4.0, "rad": x},
    "delay": lambda x: {"ms": 1000.0 * x},
    "none": lambda x: {},
}


def cause(name: str, value: float = 0.0, probability: float = 0.9, spread: float = 0.0) -> RankedCause:
    """A cause of the catalogue with its one unknown at `value`."""
    unknowns = 0 if name == "none" else 1
    return RankedCause(
        cause=name,
        label=f"{name}, made up",
        probability=probability,
        theta=np.full(unknowns, value),
        covariance=np.full((unknowns, unknowns), spread**2),
        effect=lambda theta: _EFFECTS[name](float(theta[0]) if len(theta) else 0.0),
        describe=lambda theta: _DESCRIPTIONS[name](float(theta[0]) if len(theta) else 0.0),
    )


def twin(*causes: RankedCause) -> Twin:
    """A twin of the arm; by default it carries 5 kg, give or take 50 g."""
    return Twin(robot=IIWA, calibration=_CALIBRATION, causes=causes or (cause("payload", 5.0, spread=0.05),))


def situation(
    *causes: RankedCause, incumbent: Artefact = COMPUTED_TORQUE, budget: int = 300, seed: int = 1
) -> Situation:
    return Situation(incident_id="inc_made_up", twin=twin(*causes), incumbent=incumbent, budget=budget, seed=seed)


def params(artefact: Artefact) -> dict[str, Any]:
    """Parameter name -> value."""
    return Controller.from_artefact(artefact, IIWA.ports).params


def judged(error: float, *, broken: bool = False, peak: Sequence[float] | float = 0.01, **metrics: float) -> Judgement:
    """A judgement with this tracking error [rad]; the other metrics are ordinary unless given."""
    return Judgement(
        metrics={
            "rms_tracking_error": error,
            "max_tracking_error": 3.0 * error,
            "rms_effort": 40.0,
            "torque_variation": 1.0,
            **metrics,
        },
        peak_error=tuple(peak) if not isinstance(peak, float) else (peak,) * N,
        peak_variation_nm=2.0,
        diverged=False,
        safety_share=0.0,
        clipped_share=0.0,
        limit_broken=broken,
    )


Formula = Callable[[Artefact, Scenario], Judgement]


def seal(attempt: int = 1, result_sha: str = "c" * 64, seed: int = 1) -> Seal:
    """A genuine seal on made-up hashes."""
    unsigned = Seal(
        patch_id="pat_1",
        incident_id="inc_1",
        robot_id="iiwa",
        telemetry_sha="e" * 64,
        base_sha="b" * 64,
        result_sha=result_sha,
        policy_sha="d" * 64,
        attempt=attempt,
        alpha=0.025,
        at_ns=7,
        public_key="",
        signature="",
    )
    return signed(unsigned, Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32)))


class FakeWorkers:
    """FAKE: judges by a formula instead of a simulation. Counts and remembers its jobs like the real one."""

    def __init__(self, formula: Formula) -> None:
        self.robot, self.rollouts, self.progress = IIWA, 0, Progress()
        self.jobs: list[tuple[Artefact, Scenario]] = []
        self._formula = formula

    def judge(self, jobs: Sequence[tuple[Artefact, Scenario]]) -> list[Judgement]:
        self.rollouts += len(jobs)
        self.jobs += jobs
        return [self._formula(*job) for job in jobs]

    def roll(self, pairs: Sequence[tuple[Artefact, Scenario]], lockstep: Artefact | None = None) -> list[Rolled]:
        """The formula's judgement, and of the runs of `lockstep` an exchange of one tick: shown a number, said it."""
        judged = self.judge(pairs)
        return [
            Rolled(judgement=judgement, command=_said(k), exchange=_exchange(k) if law is lockstep else None)
            for k, ((law, _), judgement) in enumerate(zip(pairs, judged, strict=True))
        ]

    def rerun(self, jobs: Sequence[RerunJob]) -> list[tuple[Array, ...] | Lost]:
        return [tuple(self.said_again(shown) for shown in job.shown) for job in jobs]

    def said_again(self, shown: Array) -> Array:
        """What the law says when it is asked again; a test may say something else."""
        return _said(shown[0, 0])


def _said(number: float) -> Array:
    return np.full((1, len(IIWA.actuators)), float(number))


def _exchange(number: float) -> Exchange:
    return Exchange(shown=np.full((1, 5 * N + len(IIWA.actuators)), float(number)), said=_said(number))


def load_cancelled(artefact: Artefact, scenario: Scenario) -> Judgement:
    """Tracking as it would be under a load: the error grows with what the law's mass leaves uncancelled."""
    missed = abs(scenario.effect.payload_kg - params(artefact).get("mass", 0.0))
    return judged(0.004 + 0.01 * missed)


def law(name: str, gains: int, remedy: bool, max_step: float = 0.5) -> Artefact:
    """A law with so many scalar gains `g1`, `g2`, ... of nominal 1, and maybe a `mass` that answers a payload."""
    names = [f"g{k + 1}" for k in range(gains)] + (["mass"] if remedy else [])
    total = " + ".join(names) if names else "1.0"
    manifest = [f'name = "{name}"', 'version = "1"', 'summary = "Made up"', 'signals = ["q"]']
    for each in names:
        high, role = (10.0, "feedforward") if each == "mass" else (4.0, "gain")
        manifest += [f"[params.{each}]", 'unit = "1"', "low = 0.0", f"high = {high}", f"max_step = {max_step}"]
        manifest += ['effect = "Made up."', f'role = "{role}"']
        manifest += ['answers = "payload"'] if each == "mass" else []
    manifest += ["[outputs.tau]", 'unit = "N*m"', f"size = {N}"]
    arguments = ", ".join(["q", *names, "tau"])
    files = {
        "law.py": f"def control({arguments}):\n    for i in range(7):\n        tau[i] = q[i] * ({total})\n".encode(),
        "manifest.toml": "\n".join(manifest).encode(),
        "params.toml": "".join(f"{n} = {0.0 if n == 'mass' else 1.0}\n" for n in names).encode(),
    }
    return artefact_from_files(name, files)
