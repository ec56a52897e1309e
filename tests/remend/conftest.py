"""Homes for the tests, and the sample records."""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from argon2 import PasswordHasher

from core.clock import ManualClock
from remend.service import accounts
from remend.store import Store


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """`samples.py` of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location("remend_samples", Path(__file__).with_name("samples.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000 * 10**9)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def store(home: Path, clock: ManualClock) -> Iterator[Store]:
    with Store.open(home, clock) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """argon2id as cheap as it gets: many tests make users, and none tries to break in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Gives URLs of empty databases on a PostgreSQL server of its own, which listens at a socket in a folder alone."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'remend[postgres]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    programs = found[-1].parent if found else Path(shutil.which("initdb") or "").parent
    if not (programs / "initdb").is_file():
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket has 107 characters
    if os.geteuid() == 0:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments], check=True, capture_output=True, timeout=120, user=user, cwd=folder
        )

    data, numbers = folder / "data", iter(range(1000))

    def empty_database() -> str:
        name = f"remend_{next(numbers)}"
        run("createdb", "-h", str(folder), "-U", "remend", name)
        return f"postgresql://remend@/{name}?host={folder}"

    try:
        run("initdb", "-D", str(data), "-U", "remend", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        subprocess.run(  # its output goes to a file: a pipe would be held open by the server
            [programs / "pg_ctl", "start", "-w", "-D", data, "-o", options, "-l", folder / "log"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, user=user, cwd=folder,
        )  # fmt: skip
        try:
            yield empty_database
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data))
    finally:
        shutil.rmtree(folder)
