"""Which causes a robot can have, and how likely each is before anything was seen."""

from __future__ import annotations

import numpy as np
import pytest

from sim.faults.catalogue import faults_of
from sim.twin.cause import causes_of
from tests.sim.stretches import robot_named


@pytest.mark.parametrize("name", ["iiwa", "cartpole", "quadrotor", "diffdrive", "quadruped"])
def test_a_fault_is_as_likely_as_none_each_as_any_other_and_all_places_at_once_a_tenth_of_one(name: str) -> None:
    robot = robot_named(name)
    causes = causes_of(robot)
    assert np.exp(next(cause.log_prior for cause in causes if cause.fault == "none")) == pytest.approx(0.5)
    for fault in faults_of(robot):
        mine = [cause for cause in causes if cause.fault == fault]
        if not mine:
            continue
        assert sum(np.exp(cause.log_prior) for cause in mine) == pytest.approx(0.5 / len(faults_of(robot)))
        single = {round(cause.log_prior, 9) for cause in mine if len(cause.places) < 2}
        together = {round(cause.log_prior, 9) for cause in mine if len(cause.places) > 1}
        assert len(single) == 1
        assert not together or together.pop() == pytest.approx(single.pop() + np.log(0.1))
