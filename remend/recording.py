"""The files of an incident, from what is on the tape by now."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.records import Incident
from core.robot import Robot
from remend.tape import Tape
from telemetry.incident_files import write_incident
from telemetry.incidents import Severity, recording_window


def write_recording(home: Path, robot: Robot, tape: Tape, incident: Incident, how_bad: Severity) -> None:
    """Write what `tape` holds of an incident's window, with test ratio and event, into the folder of its id.

    Args:
        home: the installation's folder; incidents have a folder each in it.
        incident: its id names the folder; files that are there already are written anew.
    """
    folder = home / "incidents" / incident.id
    folder.mkdir(parents=True, exist_ok=True)
    kept = tape.all().between(*recording_window(incident.event))
    times, ratios = tape.scores()
    scores = np.interp(kept.t_s, times, ratios, left=np.nan, right=np.nan) if len(times) else None
    about = {"incident": incident.id, "robot": incident.robot_id, "severity": how_bad.value}
    write_incident(folder, robot, kept.rows(), scores, (incident.event,), about)
