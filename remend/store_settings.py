"""The table `[store]` of `remend.toml`: where records are kept, and how much of the disk telemetry may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.toml_file import read_toml
from core.toml_table import Table

SETTINGS = "remend.toml"
_SERVERS = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where records are kept, and for how long telemetry is."""

    url: str = ""  # of a database server; without one records are in the home folder
    telemetry_days: float = 365.0  # recordings that are older are dropped
    telemetry_mb: int = 20_000  # of recordings at most [MB]
    reserve_mb: int = 200  # of the disk that recordings leave free [MB]


def read_store_settings(table: Table) -> StoreSettings:
    """Settings from a table of which only the keys that differ from the defaults need be there.

    Raises:
        BadInput: a key is not known, or a value is out of range.
    """
    url = table.text("url") if table.has("url") else ""
    if url:
        parts = urlsplit(url)
        if parts.scheme not in _SERVERS:
            raise table.fail(
                "url",
                f"begins with {parts.scheme or 'nothing'}:; it takes postgresql://USER@HOST/DATABASE, or no url at all "
                "for SQLite in the home folder",
            )
        if parts.password:
            raise table.fail("url", "holds a password; put it into ~/.pgpass, where PostgreSQL's library looks for it")
    default = StoreSettings()
    read = StoreSettings(
        url=url,
        telemetry_days=(
            table.number("telemetry_days", 0.1, 36_500.0) if table.has("telemetry_days") else default.telemetry_days
        ),
        telemetry_mb=table.whole("telemetry_mb", 0, 10**9) if table.has("telemetry_mb") else default.telemetry_mb,
        reserve_mb=table.whole("reserve_mb", 0, 10**9) if table.has("reserve_mb") else default.reserve_mb,
    )
    table.close()
    return read


def stored_at(home: Path) -> str:
    """URL of the database of a home folder, as its own settings name it; empty if it is in the folder.

    Raises:
        BadInput: the settings cannot be read.
    """
    file = home / SETTINGS
    if not file.is_file():
        return ""
    table = Table(file, read_toml(file, what="the settings"))
    return read_store_settings(table.table("store")).url if table.has("store") else ""
