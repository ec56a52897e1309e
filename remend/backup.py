"""Backup and restore of a home folder: one archive with everything that could not be made again.

The database is copied by SQLite itself, so the service may go on meanwhile. Everything else in the folder is written
once, or replaced as a whole, and comes after the database: what that names was on disk before it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tarfile
import tempfile
from pathlib import Path

from core.errors import BadInput, Refused
from remend import audit
from remend.database import FILE
from remend.home import make_private

_LEFT_OUT = {audit.FILE, FILE, f"{FILE}-wal", f"{FILE}-shm", "setup.token"}


def back_up(home: Path, file: Path) -> str:
    """Write `home` to an archive; a sentence that says what is in it.

    Raises:
        BadInput: there is nothing to back up, or the file cannot be written.
    """
    if not (home / FILE).is_file():
        raise BadInput(f"{home}: nothing is stored here yet; set REMEND_HOME to the folder of the service")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise BadInput(f"{file}: cannot be written (not a file in a folder that exists); give another path")
    draft = file.with_name(f".{file.name}.tmp")
    try:
        with tempfile.TemporaryDirectory() as aside:
            head = Path(shutil.copy2(home / audit.FILE, aside))  # first: a head must not speak of rows that come later
            copy = _copied(home / FILE, Path(aside))
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
                archive.add(copy, arcname=FILE)
                archive.add(head, arcname=audit.FILE)
                for path in sorted(home.rglob("*")):
                    if path.is_file() and not path.is_symlink() and path.name not in _LEFT_OUT:
                        archive.add(path, arcname=str(path.relative_to(home)))
                count = len(archive.getmembers())
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BadInput(f"{file}: cannot be written ({error.strerror}); give another path, or free the disk") from None
    return f"{file}: {count} files; it holds private keys, so keep it where you keep those"


def put_back(file: Path, home: Path) -> str:
    """Unpack an archive into `home`, which must not be there or be empty; a sentence that says what it verified.

    Raises:
        BadInput: the file is no archive of a home folder, or the folder holds something.
        Refused: the audit log in the archive is broken.
    """
    if home.exists() and any(home.iterdir()):
        raise BadInput(f"{home} is not empty; move it away, or set REMEND_HOME to another folder")
    make_private(home)
    draft = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}."))
    try:
        with tarfile.open(file, "r:gz") as archive:
            archive.extractall(draft, filter="data")  # nothing outside of the folder, no devices, no links out of it
        if not (draft / FILE).is_file():
            raise BadInput(f"{file}: holds no {FILE}; give an archive that `remend backup` wrote")
        for key in (draft / "keys").glob("*.pem"):
            key.chmod(0o600)
        verdict = audit.verify_home(draft)
        if not verdict.ok:
            raise Refused(f"{file}: its audit log is broken at row {verdict.first_bad_seq} ({verdict.why})")
        home.rmdir()
        draft.replace(home)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BadInput(f"{file}: is no archive that can be read ({error}); give another backup") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        make_private(home)
    return f"{home}: restored; the audit log has {verdict.rows} rows and is intact"


def _copied(database: Path, folder: Path) -> Path:
    """A copy of a database in use."""
    copy = folder / FILE
    source, target = sqlite3.connect(f"file:{database}?mode=ro", uri=True), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    return copy
