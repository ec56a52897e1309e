"""PX4 logs: topics with rates of their own, roles, two clocks, damage; the logs are written here, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput
from telemetry.channels import Role
from telemetry.sources import Clock, open_source
from telemetry.ulog_source import UlogSource

_FORMATS = {
    "vehicle_angular_velocity": ("uint64_t timestamp;uint64_t timestamp_sample;float[3] xyz;", "<QQ3f"),
    "actuator_motors": ("uint64_t timestamp;float[3] control;", "<Q3f"),
    "vehicle_status": ("uint64_t timestamp;uint8_t nav_state;", "<QB"),
}
Sample = tuple[str, int, tuple[float, ...]]  # topic, instance, fields


def _message(kind: str, data: bytes) -> bytes:
    return struct.pack("<HB", len(data), ord(kind)) + data


def _ulog(path: Path, samples: list[Sample], end: bytes = b"") -> Path:
    # Layout: https://docs.px4.io/main/en/dev_log/ulog_file_format.html
    parts = [b"ULog\x01\x12\x35\x01", struct.pack("<Q", 1_000_000), _message("B", bytes(40))]
    parts += [_message("F", f"{name}:{fields}".encode()) for name, (fields, _) in _FORMATS.items()]
    streams = list(dict.fromkeys((topic, instance) for topic, instance, _ in samples))
    parts += [
        _message("A", struct.pack("<BH", instance, i) + topic.encode()) for i, (topic, instance) in enumerate(streams)
    ]
    for topic, instance, fields in samples:
        data = struct.pack(_FORMATS[topic][1], *fields)
        parts.append(_message("D", struct.pack("<H", streams.index((topic, instance))) + data))
    parts.append(_message("O", struct.pack("<H", 120)))
    path.write_bytes(b"".join(parts) + end)
    return path


def _flight() -> list[Sample]:
    samples: list[Sample] = []
    for i in range(400):
        now = 2_000_000 + 4000 * i
        samples.append(("vehicle_angular_velocity", 0, (now, now - 700, 0.1 * i, 0.2, 0.3)))
        if i % 2:
            samples.append(("actuator_motors", 0, (now + 100, 0.5, 0.6, float("nan"))))
        if i % 100 == 0:
            samples.append(("vehicle_angular_velocity", 1, (now + 200, 0, 9.0, 9.0, 9.0)))
            samples.append(("vehicle_status", 0, (now + 300, 2)))
    return samples


def test_topics_are_rows_in_the_order_of_publication_with_roles_and_units(tmp_path: Path) -> None:
    source = open_source(_ulog(tmp_path / "flight.ulg", _flight()))
    assert isinstance(source, UlogSource)
    chunk = source.read()
    names = ("actuator_motors/control[0]", "actuator_motors/control[1]")
    assert source.names[:2] == names  # the motor that is not there says nothing and is no channel
    assert source.names[2:] == tuple(
        f"vehicle_angular_velocity{again}/xyz[{i}]" for again in ("", "#2") for i in range(3)
    )
    assert [channel.role for channel in source.channels] == [Role.COMMAND] * 2 + [Role.IMU] * 6
    assert source.channels[2].unit == "rad/s"
    assert len(chunk) == source.count() == 400 + 200 + 4
    assert (np.diff(chunk.received_s) >= 0.0).all()
    assert source.clock is Clock.RECEIVED
    assert source.times(chunk)[0] == pytest.approx(2.0)
    gyro = np.isfinite(chunk.values[:, 2])
    assert (chunk.received_s - chunk.stamp_s)[gyro] == pytest.approx(0.0007)
    assert chunk.values[gyro, 2] == pytest.approx(0.1 * np.arange(400))
    assert np.isnan(chunk.values[gyro, 0]).all()
    assert source.notes == ("The logger dropped out 1 times, 0.12 s in all.",)
    assert source.rate_hz == pytest.approx(375.0, rel=0.05)


def test_chunks_give_the_rows_of_the_whole(tmp_path: Path) -> None:
    source = open_source(_ulog(tmp_path / "flight.ulg", _flight()))
    whole = source.read()
    for name in ("stamp_s", "received_s", "values", "publisher"):
        parts = b"".join(getattr(part, name).tobytes() for part in source.chunks(13))
        assert parts == getattr(whole, name).tobytes()


def test_log_that_was_cut_off_is_read_and_other_files_are_refused(tmp_path: Path) -> None:
    path = _ulog(tmp_path / "cut.ulg", _flight(), end=struct.pack("<HB", 36, ord("D")) + b"\0\0")
    assert open_source(path).count() == 604
    (tmp_path / "bad.ulg").write_bytes(b"ULog\x01\x12\x35")
    with pytest.raises(BadInput, match="not a ULog"):
        open_source(tmp_path / "bad.ulg")
    with pytest.raises(BadInput, match="none of the topics"):
        open_source(_ulog(tmp_path / "status.ulg", [("vehicle_status", 0, (1, 2))]))
