"""The benchmark of residuals compares in pairs, and says when nothing was proposed."""

from __future__ import annotations

import numpy as np
import pytest

from remend.bench import rl
from remend.bench.rl import Cell, Result
from remend.bench.run import NAMES

CELL = Cell(robot="arm2", fault="spring")


def result(changes: tuple[float, ...], note: str = "") -> Result:
    return Result(cell=CELL, seed=1, changes=changes, tuned=(-0.5,) * len(changes), trained_s=60.0, note=note)


def test_a_residual_is_better_when_the_interval_lies_below_zero() -> None:
    assert "rl" in NAMES
    (better,) = rl.shown([result((-0.3, -0.4)), result((-0.35, -0.2))])
    assert better.met
    assert better.n == 4
    assert better.interval is not None
    assert better.interval[0] < better.value < better.interval[1] < 0.0
    assert "0.61 of the incumbent's error" in (better.note or "")
    (worse,) = rl.shown([result((0.3, 0.1), "no residual was proposed")])
    assert not worse.met
    assert "no residual was proposed" in (worse.note or "")


def test_both_laws_meet_the_same_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[list[str]] = []

    class Watched(rl.InProcess):
        def judge(self, pairs):  # type: ignore[no-untyped-def]
            met.append([scenario.sha256 for _, scenario in pairs])
            return super().judge(pairs)

    monkeypatch.setattr(rl, "InProcess", Watched)
    from controllers.library import find_law  # noqa: PLC0415
    from sim.catalogue import find_robot  # noqa: PLC0415

    pole = find_robot("cartpole")
    first, again = (
        rl._errors(Cell(robot="cartpole", fault="stiction"), 2, find_law(pole, pole.controller), 2) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert met[0] == met[1]
    assert len(set(met[0])) == 2
