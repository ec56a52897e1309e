"""The benchmark of the detector compares like with like, and says what a run of it really showed."""

from __future__ import annotations

import numpy as np
import pytest

from core.block import Array
from core.robot_toml import load_robot
from remend.bench import detect
from remend.bench.healthy import Shift, keep_watch
from remend.bench.matched import alarms_s, matched_threshold
from remend.bench.peers import peers
from remend.bench.row_cost import costs_us
from remend.bench.watching import OURS, Meeting, Work, watch
from sim.catalogue import shipped_robots
from sim.faults.catalogue import CATALOGUE, faults_of

T_S = np.arange(30_000) / 100.0


def bumps(*at_s: float, height: float = 2.0) -> Array:
    """A score of 0.1 that is `height` for a fifth of a second."""
    score = np.full(len(T_S), 0.1)
    for begin in at_s:
        score[round(100.0 * begin) : round(100.0 * begin) + 20] = height
    return score


def test_an_alarm_that_comes_back_soon_is_the_same_one() -> None:
    assert alarms_s((T_S, bumps(20.0, 25.0, 50.0)), 1.0) == pytest.approx([20.0, 50.0])
    assert alarms_s((T_S, bumps(20.0)), 2.5) == []
    lasting = np.where(T_S > 20.0, 1.5, 0.1)
    assert alarms_s((T_S, lasting), 1.0) == pytest.approx([20.01])


def test_the_matched_threshold_is_the_lowest_that_keeps_the_rate() -> None:
    series = [(T_S, bumps(50.0) + bumps(100.0, height=3.0) + bumps(200.0, height=5.0))]
    assert len(alarms_s(series[0], matched_threshold(series, 1.0))) == 1
    assert 3.2 < matched_threshold(series, 1.0) < 3.4
    assert 2.2 < matched_threshold(series, 2.0) < 2.3
    assert matched_threshold(series, 0.0) > 5.2


def test_a_score_that_is_always_high_gets_no_threshold_below_it() -> None:
    assert matched_threshold([(T_S, np.ones(len(T_S)))], 1.0) > 1.0


def test_peers_see_a_shift_of_what_they_watch() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((9000, 6))
    rows[:, 5] = rows[:, 0] + 0.1 * rng.standard_normal(9000)
    after = rows[6000:].copy()
    after[1500:, 2] += 4.0
    found = {peer.name: peer.scores(after) for peer in peers(rows[:6000])}
    assert set(found) == {"EWMA chart", "PCA T2+Q", "VAR T2-CUSUM", "river HalfSpaceTrees"}
    for name in ("EWMA chart", "PCA T2+Q", "VAR T2-CUSUM"):
        assert found[name][1600:].mean() > 2.0 * found[name][:1500].mean(), name
    broken = rows[6000:].copy()
    broken[:, 5] = rng.standard_normal(3000)  # every channel as before, but two no longer agree
    pca = next(peer for peer in peers(rows[:6000]) if peer.name == "PCA T2+Q")
    assert np.median(pca.scores(broken)) > 3.0 * np.median(pca.scores(rows[6000:]))


def test_a_peer_gives_the_same_scores_twice() -> None:
    rows = np.random.default_rng(4).standard_normal((1500, 4))
    for peer in peers(rows[:1000]):
        np.testing.assert_array_equal(peer.scores(rows[1000:]), peer.scores(rows[1000:]))


def test_every_fault_is_met_twenty_times() -> None:
    times: dict[str, int] = {}
    for case in detect._cases(20, quick=False):
        for fault, severity in case.faults:
            times[fault] = times.get(fault, 0) + (severity == 1.0)
    known = {fault for file in shipped_robots().values() for fault in faults_of(load_robot(file))}
    assert set(times) == known <= set(CATALOGUE)
    assert min(times.values()) >= 20


def test_a_fault_is_met_as_it_happened() -> None:
    file = shipped_robots()["cartpole"]
    todo = Work(file=file, seed=1, faults=(("velocity_bias", 1.0),), rate_per_h=12.0, healthy_s=20.0)
    watched = watch(todo)
    (meeting,) = watched.meetings
    assert meeting.alarm_s is not None
    assert 0.0 <= meeting.delay_s < 1.0
    assert meeting.place_right
    assert meeting.kind_right
    assert set(watched.healthy) == set(meeting.scores) == {OURS, *(name for name in meeting.scores if name != OURS)}
    assert all(len(t_s) == len(score) for t_s, score in meeting.scores.values())
    assert watched.healthy[OURS][0][-1] > 20.0


def test_healthy_hours_are_counted_for_every_rate() -> None:
    shift = Shift(file=shipped_robots()["cartpole"], seed=1, hours=4.0 / 60.0, rates_per_h=(6.0, 0.1))
    often, rare = keep_watch(shift)
    assert often.hours == rare.hours == pytest.approx(4.0 / 60.0, rel=0.01)
    assert len(rare.alarms) <= len(often.alarms) <= 2


def meeting(alarm_s: float | None, **more: object) -> Meeting:
    given: dict[str, object] = {"robot": "r", "fault": "freeze", "spec": "freeze", "severity": 1.0}
    return Meeting(**{**given, "onset_s": 5.0, "lost": False, "early": 0, "alarm_s": alarm_s, **more})  # type: ignore[arg-type]


def test_what_is_missed_counts_as_late() -> None:
    met = [meeting(5.05), meeting(5.07), meeting(None), meeting(None), meeting(None)]
    (delay,) = detect._delays(met)
    assert delay.value is None
    assert not delay.met
    (delay,) = detect._delays([*met[:2], meeting(5.06), *met[2:4]])
    assert delay.value == pytest.approx(0.07)
    share = detect._detected("all robots", met, 0.95)
    assert share.value == pytest.approx(0.4)
    assert not share.met


def test_cost_of_a_row_is_measured_for_each_way() -> None:
    found = costs_us(1)
    assert set(found) == {"chunks", "row by row", "river"}
    assert found["chunks"][0] < found["row by row"][0]
