"""PX4 flight logs (ULog): sensors and estimates are measurements, actuator outputs commands, setpoints references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyulog import ULog

from core.errors import BadInput
from telemetry.channels import Channel, Role
from telemetry.sources import CHUNK_ROWS, SAMPLE_ROWS, Array, Chunk, Clock, Source, rate_of

# Topic -> (fields, role, unit). Fields of an array are `name[i]` in the log. Names and units: PX4's message reference,
# https://docs.px4.io/main/en/msg_docs/
_TOPICS: dict[str, tuple[tuple[str, Role, str], ...]] = {
    "sensor_combined": (("gyro_rad", Role.IMU, "rad/s"), ("accelerometer_m_s2", Role.IMU, "m/s^2")),
    "vehicle_angular_velocity": (("xyz", Role.IMU, "rad/s"),),
    "vehicle_acceleration": (("xyz", Role.IMU, "m/s^2"),),
    "vehicle_attitude": (("q", Role.POSITION, ""),),
    "vehicle_local_position": (
        ("x|y|z", Role.POSITION, "m"),
        ("vx|vy|vz", Role.VELOCITY, "m/s"),
    ),
    "actuator_outputs": (("output", Role.COMMAND, ""),),
    "actuator_motors": (("control", Role.COMMAND, ""),),
    "actuator_servos": (("control", Role.COMMAND, ""),),
    "actuator_controls_0": (("control", Role.COMMAND, ""),),
    "vehicle_attitude_setpoint": (("q_d|thrust_body", Role.REFERENCE, ""),),
    "vehicle_rates_setpoint": (("roll|pitch|yaw", Role.REFERENCE, "rad/s"), ("thrust_body", Role.REFERENCE, "")),
    "vehicle_local_position_setpoint": (
        ("x|y|z", Role.REFERENCE, "m"),
        ("vx|vy|vz", Role.REFERENCE, "m/s"),
    ),
    "battery_status": (("voltage_v", Role.OTHER, "V"), ("current_a", Role.EFFORT, "A")),
    "esc_status": ((r"esc\[\d+\]\.esc_rpm", Role.VELOCITY, "rpm"), (r"esc\[\d+\]\.esc_current", Role.EFFORT, "A")),
}


class UlogSource(Source):
    """One row per sample of a topic, in the order of publication; time is that of the log, since boot.

    The header stamp is `timestamp_sample`, when the sensor was read, where a topic has it. pyulog reads a log whole, so
    memory grows with the topics that are read (about as much as they take in the file).

    Raises:
        BadInput: no ULog, damaged before the first sample, or without any topic that is read.
    """

    clock = Clock.RECEIVED

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.where = str(path)
        try:
            with path.open("rb") as file:
                log: Any = ULog(file, list(_TOPICS))
        except Exception as error:  # pyulog raises whatever a damaged byte leads to
            raise BadInput(
                f"{path}: damaged or not a ULog ({type(error).__name__}: {error}); download it from the vehicle again."
            ) from error
        if log.file_corruption:
            self._notes.append("The log is damaged; what could be read is used.")
        if log.dropouts:
            lost_s = sum(dropout.duration for dropout in log.dropouts) * 1e-3
            self._notes.append(f"The logger dropped out {len(log.dropouts)} times, {lost_s:g} s in all.")
        topics = sorted((d for d in log.data_list if len(d.data["timestamp"])), key=lambda d: (d.name, d.multi_id))
        channels: list[Channel] = []
        self._columns: list[tuple[NDArray[np.int64], list[Array]]] = []  # per topic: columns and their samples
        times, stamps, publishers, samples = [], [], [], []
        for publisher, topic in enumerate(topics):
            data, columns = topic.data, []
            for field, channel in _channels(topic):
                if not np.isnan(data[field]).all():
                    columns.append(data[field])
                    channels.append(channel)
            first = len(channels) - len(columns)
            self._columns.append((np.arange(first, len(channels)), columns))
            time_s = data["timestamp"] * 1e-6
            sampled = data.get("timestamp_sample", data["timestamp"])
            times.append(time_s)
            stamps.append(np.where(sampled > 0, sampled * 1e-6, np.nan))
            publishers.append(np.full(time_s.size, publisher, dtype=np.int16))
            samples.append(np.arange(time_s.size))
        if not channels:
            raise BadInput(f"{path}: none of the topics that are read is in the log; log {', '.join(_TOPICS)}.")
        self.channels = tuple(channels)
        time_s = np.concatenate(times)
        order = np.argsort(time_s, kind="stable")
        self._time_s, self._stamp_s = time_s[order], np.concatenate(stamps)[order]
        self._publisher, self._sample = np.concatenate(publishers)[order], np.concatenate(samples)[order]
        self.rate_hz = rate_of(self._time_s[:SAMPLE_ROWS])

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        for start in range(0, self._time_s.size, rows):
            part = slice(start, start + rows)
            publisher, sample = self._publisher[part], self._sample[part]
            values = np.full((publisher.size, len(self.channels)), np.nan)
            for p in np.unique(publisher).tolist():
                mine = np.flatnonzero(publisher == p)
                columns, data = self._columns[p]
                for c, series in zip(columns.tolist(), data, strict=True):
                    values[mine, c] = series[sample[mine]]
            yield Chunk(stamp_s=self._stamp_s[part], received_s=self._time_s[part], values=values, publisher=publisher)

    def count(self) -> int:
        return int(self._time_s.size)


def _channels(topic: Any) -> Iterator[tuple[str, Channel]]:
    """Fields of a topic that are read, in the order of the log, with their channels."""
    name = topic.name if not topic.multi_id else f"{topic.name}#{topic.multi_id + 1}"
    for field in topic.data:
        for pattern, role, unit in _TOPICS[topic.name]:
            if re.fullmatch(rf"({pattern})(\[\d+\])?", field):
                yield field, Channel(name=f"{name}/{field}", role=role, unit=unit)
                break
