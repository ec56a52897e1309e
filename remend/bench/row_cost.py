"""What one row of telemetry costs: the detector over files against river's, 24 channels, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from core.block import Array
from remend.bench.peers import HalfSpaceTrees
from telemetry.autoregressive import AutoregressiveResidual
from telemetry.detector import Detector

CHANNELS, RATE_HZ, CHUNK = 24, 250.0, 4096
_HEAD, _ROWS, _SINGLE = 5000, 20 * CHUNK, 4000


def costs_us(rounds: int) -> Mapping[str, Sequence[float]]:
    """CPU time per row [us], `rounds` times each: "chunks" and "row by row" of ours, and "river"."""
    stream = _stream(_HEAD + _ROWS)
    head, rows = stream[:_HEAD], stream[_HEAD:]
    t_s = np.arange(len(stream)) / RATE_HZ
    names = [f"{kind}_{j}" for kind in ("error", "speed", "effort", "speed_cmd") for j in range(CHANNELS // 4)]
    model = AutoregressiveResidual(names, RATE_HZ)
    residuals = model.fit(t_s[:_HEAD], head)
    detector = Detector(model.residual_channels, RATE_HZ, raw_channels=[names[i] for i in model.watched])
    detector.calibrate(residuals)
    trees = HalfSpaceTrees(head)

    def judge(size: int, count: int) -> Callable[[], None]:
        def run() -> None:
            for a in range(0, count, size):
                detector.watch(model.residuals(t_s[a : a + size], rows[a : a + size]))

        return run

    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "chunks": (judge(CHUNK, _ROWS), _ROWS),
        "row by row": (judge(1, _SINGLE), _SINGLE),
        "river": (lambda: trees.scores(rows[:_SINGLE]), _SINGLE),
    }
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, (job, count) in jobs.items():
            began = time.process_time()
            job()
            found[name].append(1e6 * (time.process_time() - began) / count)
    return found


def _stream(rows: int) -> Array:
    """(rows, 24) coloured noise about swings: six joints that move."""
    rng = np.random.default_rng(5)
    t_s = np.arange(rows)[:, None] / RATE_HZ
    swings = np.sin(2.0 * np.pi * rng.uniform(0.1, 1.0, CHANNELS) * t_s + rng.uniform(0.0, 6.0, CHANNELS))
    return np.asarray(swings + 0.05 * rng.standard_normal((rows, CHANNELS)))
