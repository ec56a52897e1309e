"""Records as rows of text: what belongs to one joint stands in its row, in the unit of the robot's joints."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from remend import figures, views

LIMITS = {
    "variation_nm": 12.0,
    "settle_s": 0.25,
    **{f"offset_{k}": 0.0 for k in (1, 2)},
    **{f"ramp_error_{k}": 0.04 * k for k in (1, 2)},
    **{f"settled_error_{k}": 0.01 * k for k in (1, 2)},
}


@pytest.fixture(scope="module")
def stories() -> ModuleType:
    spec = importlib.util.spec_from_file_location("remend_stories", Path(__file__).with_name("stories.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_canarys_limits_have_one_row_per_joint() -> None:
    headings, rows = views.limit_table(LIMITS)
    assert headings[:4] == ("Where", "Variation [N·m]", "Settle [s]", "Offset [rad]")
    assert headings[4:] == ("Ramp error [mrad]", "Settled error [mrad]")
    assert rows == (
        ("robot", "12", "0.25", "", "", ""),
        ("joint 1", "", "", "0", "40", "10"),
        ("joint 2", "", "", "0", "80", "20"),
    )


def test_limits_of_a_slide_are_in_metres_and_newtons() -> None:
    headings, _ = views.limit_table(LIMITS, ["m", "m"], "N")
    assert headings[1:] == ("Variation [N]", "Settle [s]", "Offset [m]", "Ramp error [mm]", "Settled error [mm]")
    assert views.limit_table(LIMITS, ["m", "rad"], "N*m or N")[0][4] == "Ramp error [mrad or mm]"


def test_the_figures_of_a_slide_are_in_metres(stories: ModuleType) -> None:
    plots = stories.plots()
    units = ["rad"] * len(plots.joints)
    units[plots.worst] = "m"
    sliding = replace(plots, units=tuple(units))
    assert "mrad" in figures.course_figure(plots).caption
    for figure in (figures.course_figure(sliding), figures.overlay_figure(sliding)):
        assert figure is not None
        assert "rad" not in figure.caption
        assert " mm" in figure.caption
    assert figures.joint_rows(sliding)[0] == "mrad or mm"
