"""What a decision page shows beyond the records: figures, pictures, and what else the search found.

Made once, when the evidence is complete, and kept beside the report as files; a page never waits for a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.durable import write_atomically
from core.errors import BadInput
from core.ids import canonical_json
from patcher.bandit import Asked
from remend import figures, report, views
from remend.codec import read_record
from remend.story import Contender, Plots, Story
from remend.views import StripRow

REPORT = "report.html"
_FILE = "exhibit.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure as text."""

    name: str  # "ratio", "course", "overlay", "motion" or "canary"
    svg: str
    title: str
    caption: str
    legend: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...] = ()  # the same as a table, headings first


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """Everything of one patch that is to be seen."""

    robot_title: str
    units: tuple[str, ...]  # per coordinate
    command_unit: str
    drawings: tuple[Drawing, ...] = ()
    strips: tuple[StripRow, ...] = ()
    contenders: tuple[Contender, ...] = ()
    asked: tuple[Asked, ...] = ()


def exhibit_of(story: Story) -> Exhibit:
    """The exhibit of a story."""
    return Exhibit(
        robot_title=story.robot_title,
        units=story.units,
        command_unit=story.command_unit,
        drawings=() if story.plots is None else tuple(_drawings(story.plots)),
        strips=tuple(map(views.strip_rows, story.strips)),
        contenders=story.contenders,
        asked=story.asked,
    )


def keep(home: Path, patch_id: str, story: Story) -> None:
    """Write report and exhibit of a patch, replacing what is there."""
    folder = folder_of(home, patch_id)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / REPORT, report.render_report(story).encode())
    write_atomically(folder / _FILE, canonical_json(exhibit_of(story)).encode())


def read(home: Path, patch_id: str) -> Exhibit | None:
    """The exhibit of a patch; None if it has none, or a damaged one: a page without pictures is still a page."""
    try:
        return read_record(Exhibit, (folder_of(home, patch_id) / _FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, BadInput):
        return None


def folder_of(home: Path, patch_id: str) -> Path:
    """Where the files of a patch are."""
    return home / "patches" / patch_id


def _drawings(plots: Plots) -> list[Drawing]:
    found = {
        "ratio": figures.ratio_figure(plots),
        "course": figures.course_figure(plots),
        "overlay": figures.overlay_figure(plots),
        "motion": figures.motion_figure(plots),
        "canary": figures.canary_figure(plots),
    }
    return [
        Drawing(
            name=name,
            svg=str(figure.svg),
            title=figure.title,
            caption=figure.caption,
            legend=figure.legend,
            rows=figure.rows,
        )
        for name, figure in found.items()
        if figure is not None
    ]
