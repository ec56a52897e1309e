"""Settings are read key by key; what is not there has its default, and what is not known is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadInput
from remend.settings import Settings, load_settings
from sim.workers.settings import WorkerSettings


def load(home: Path, text: str) -> Settings:
    (home / "remend.toml").write_text(text)
    return load_settings(home)


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == load(tmp_path, "") == load(tmp_path, "[workers]\n") == Settings()


def test_what_is_there_is_read(tmp_path: Path) -> None:
    text = "[workers]\ncount = 3\nmemory_mb = 512\ntimeout_s = 30\nbubblewrap = false\n"
    expected = WorkerSettings(count=3, memory_mb=512, timeout_s=30.0, bubblewrap=False)
    assert load(tmp_path, text).workers == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[worker]\n", "worker is not known"),
        ("[workers]\ncounts = 1\n", "workers.counts is not known"),
        ("[workers]\ncount = -1\n", "workers.count must be"),
        ("[workers]\ncount = 65\n", "workers.count must be"),
        ("[workers]\ncount = 1.5\n", "workers.count must be a whole number"),
        ("[workers]\nmemory_mb = 1\n", "workers.memory_mb must be"),
        ("[workers]\ntimeout_s = 0\n", "workers.timeout_s must be"),
        ("[workers]\ntimeout_s = true\n", "workers.timeout_s must be"),
        ("[workers]\nbubblewrap = 1\n", "workers.bubblewrap must be true or false"),
        ("workers = 1\n", "workers must be a table"),
        ("[workers\n", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(text: str, names: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=names) as found:
        load(tmp_path, text)
    assert str(tmp_path / "remend.toml") in str(found.value)
