"""A chart as a table says the same as its lines."""

from __future__ import annotations

import numpy as np

from remend.chart import Chart, Line
from remend.chart_table import chart_table
from remend.codec import read_record
from remend.service.exhibit import Drawing

T = np.linspace(0.0, 10.0, 1001)


def chart(*lines: Line) -> Chart:
    return Chart(alt="a chart", y_label="|error|", unit="rad", lines=lines)


def test_each_stretch_has_the_ends_of_each_line_in_one_unit() -> None:
    y = np.where((T > 4.2) & (T < 4.4), 0.04, 0.01)
    band = (np.zeros_like(T), 2 * y)
    rows = chart_table(
        chart(Line(look="before", x=T, y=y), Line(look="after", x=T, y=y / 2, band=band)), {"before": "before"}
    )
    assert rows[0] == (
        "Time [s]",
        "Before, lowest [mrad]",
        "Before, highest [mrad]",
        "|error|, lowest [mrad]",
        "|error|, highest [mrad]",
    )
    assert len(rows) == 11
    assert [row[2] for row in rows[1:]] == ["10"] * 4 + ["40"] + ["10"] * 5, "no peak is lost"
    assert rows[5][3:] == ("0", "80"), "the band counts"


def test_gaps_are_said_and_a_chart_of_nothing_has_no_table() -> None:
    y = np.where(T < 2.0, np.nan, 0.5)
    rows = chart_table(chart(Line(look="plain", x=T, y=y)), {})
    assert rows[1][1:] == ("not measured", "not measured")
    assert rows[5][1:] == ("0.5", "0.5")
    assert chart_table(chart(Line(look="plain", x=T, y=np.full_like(T, np.nan))), {}) == ()


def test_a_drawing_that_was_kept_before_there_were_tables_is_still_read() -> None:
    text = '{"caption":"c","legend":[],"name":"ratio","svg":"<svg/>","title":"t"}'
    assert read_record(Drawing, text).rows == ()
