"""Health: what is wrong with the data is said before anything is said about the robot."""

from __future__ import annotations

import numpy as np

from telemetry.health import HealthKind, check_health

RNG = np.random.default_rng(0)


def test_healthy_telemetry_has_no_findings() -> None:
    assert check_health(np.arange(200) / 100.0, RNG.standard_normal((200, 3)), "abc", np.arange(200)) == []


def test_clock_and_sequence_defects_are_told_apart() -> None:
    values = RNG.standard_normal((6, 1))
    t_s = np.array([0.0, 0.1, 0.1, 0.2, 0.15, 0.9])
    kinds = {f.kind: f.detail for f in check_health(t_s, values, "a")}
    assert set(kinds) == {HealthKind.GAP, HealthKind.STALE, HealthKind.BACKWARDS}
    assert "row 2" in kinds[HealthKind.STALE]
    assert "row 4" in kinds[HealthKind.BACKWARDS]
    by_seq = check_health(np.arange(6) / 10.0, values, "a", np.array([0, 1, 2, 6, 6, 7]))
    assert [f.kind for f in by_seq] == [HealthKind.GAP, HealthKind.STALE]
    assert by_seq[0].detail.startswith("3 rows were lost")


def test_missing_infinite_and_frozen_channels_are_named() -> None:
    values = RNG.standard_normal((200, 4))
    values[10:20, 1] = np.nan
    values[7, 2] = np.inf
    values[100:160, 3] = 0.25
    found = check_health(np.arange(200) / 100.0, values, "abcd")
    assert [(f.kind, f.channel) for f in found] == [
        (HealthKind.MISSING, "b"),
        (HealthKind.INFINITE, "c"),
        (HealthKind.FROZEN, "d"),
    ]
    assert found[0].detail.startswith("10 of 200")
    assert "60 rows" in found[2].detail


def test_missing_values_are_no_freeze_and_a_robot_at_rest_is_none_either() -> None:
    values = np.zeros((200, 2))
    assert check_health(np.arange(200) / 100.0, values, "ab") == []
    values[:, 0] = np.nan
    values[:, 1] = np.arange(200)
    assert [f.kind for f in check_health(np.arange(200) / 100.0, values, "ab")] == [HealthKind.MISSING]
