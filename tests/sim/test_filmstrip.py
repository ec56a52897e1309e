"""Pictures of a rollout show what the commands did, at the moments they say."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from controllers.library import find_law
from sim.catalogue import find_robot, shipped_robots
from sim.filmstrip import filmstrip
from sim.replay import retrace
from sim.rollout import rollout
from sim.sketch import HEIGHT, WIDTH
from sim.trial import draw_trial

ARM = find_robot("arm2")
LAW = find_law(ARM, ARM.controller)


@pytest.mark.parametrize("name", sorted(shipped_robots()))
def test_every_robot_has_pictures_and_they_are_small(name: str) -> None:
    robot = find_robot(name)
    trial = draw_trial(robot, seed=2, duration_s=1.0)
    command = rollout(robot, find_law(robot, robot.controller), trial).command
    strip = filmstrip(robot, trial, command)
    assert [round(picture.t_s, 3) for picture in strip] == [0.167, 0.333, 0.5, 0.667, 0.833, 1.0]
    assert not any(picture.lost for picture in strip)
    for picture in strip:
        assert Image.open(io.BytesIO(picture.png)).size == (WIDTH, HEIGHT)
        assert len(picture.png) < 8_000
    assert strip == filmstrip(robot, trial, command)


def test_a_picture_belongs_to_its_commands() -> None:
    trial = draw_trial(ARM, fault="payload:mass=1", seed=4, duration_s=1.0)
    command = rollout(ARM, LAW, trial).command
    weak = filmstrip(ARM, trial, 0.5 * command)
    strong = filmstrip(ARM, trial, command)
    assert all(a.png != b.png and a.error > b.error for a, b in zip(weak, strong, strict=True))
    trace = retrace(ARM, trial, command)
    share = trace.error[-1] / np.array(ARM.lost_error)
    assert strong[-1].error == pytest.approx(float(np.sqrt(np.mean(share**2))))


def test_commands_of_another_length_have_no_pictures() -> None:
    with pytest.raises(ValueError, match="commands for a rollout of"):
        filmstrip(ARM, draw_trial(ARM, seed=1, duration_s=1.0), np.zeros((17, 2)))


def test_after_a_rollout_broke_down_its_last_moment_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = draw_trial(ARM, seed=4, duration_s=1.0)
    whole = retrace(ARM, trial, rollout(ARM, LAW, trial).command)
    cut = replace(whole, error=whole.error[:300], q_true=whole.q_true[:300], command=whole.command[:300])
    monkeypatch.setattr("sim.filmstrip.retrace", lambda *_: cut)
    strip = filmstrip(ARM, trial, cut.command)
    assert [picture.lost for picture in strip] == [picture.t_s > 300 * ARM.dt_s for picture in strip]
    assert strip[-1].png == strip[-2].png != strip[0].png
