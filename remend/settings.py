"""The settings of an installation: `remend.toml` in the home folder. What is not in it has its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BadInput
from core.toml_file import read_toml
from core.toml_table import Table
from patcher.llm.settings import LlmSettings, read_llm_settings
from remend.service.settings import ServiceSettings, read_service_settings
from remend.store_settings import SETTINGS as FILE
from remend.store_settings import StoreSettings, read_store_settings, stored_at
from sim.workers.settings import WorkerSettings, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an installation can be told; one field for each table of the file."""

    workers: WorkerSettings = field(default_factory=WorkerSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    service: ServiceSettings = field(default_factory=ServiceSettings)
    store: StoreSettings = field(default_factory=StoreSettings)


def load_settings(home: Path, config: Path | None = None) -> Settings:
    """The settings of the home folder `home`, which need not be there; or those of the file `config`, which has to be.

    Raises:
        BadInput: the file is not TOML, a key is not known, or a value is out of range.
    """
    file = config or home / FILE
    if config is None and not file.exists():
        return Settings()
    table = Table(file, read_toml(file, what="the settings"))
    workers = read_settings(table.table("workers")) if table.has("workers") else WorkerSettings()
    llm = read_llm_settings(table.table("llm")) if table.has("llm") else LlmSettings()
    service = read_service_settings(table.table("service")) if table.has("service") else ServiceSettings()
    store = read_store_settings(table.table("store")) if table.has("store") else StoreSettings()
    if store.url not in (
        "",
        stored_at(home),
    ):  # every command finds the records of a home, whatever file it is started with
        raise BadInput(f"{file}: store.url names another database than {home / FILE}; it stands there and nowhere else")
    table.close()
    return Settings(workers=workers, llm=llm, service=service, store=store)
