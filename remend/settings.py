"""The settings of an installation: `remend.toml` in the home folder. What is not in it has its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.toml_file import read_toml
from core.toml_table import Table
from patcher.llm.settings import LlmSettings, read_llm_settings
from sim.workers.settings import WorkerSettings, read_settings

FILE = "remend.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an installation can be told; one field for each table of the file."""

    workers: WorkerSettings = field(default_factory=WorkerSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)


def load_settings(home: Path) -> Settings:
    """The settings of the home folder `home`, which need not be there.

    Raises:
        BadInput: the file is not TOML, a key is not known, or a value is out of range.
    """
    file = home / FILE
    if not file.exists():
        return Settings()
    table = Table(file, read_toml(file, what="the settings"))
    workers = read_settings(table.table("workers")) if table.has("workers") else WorkerSettings()
    llm = read_llm_settings(table.table("llm")) if table.has("llm") else LlmSettings()
    table.close()
    return Settings(workers=workers, llm=llm)
