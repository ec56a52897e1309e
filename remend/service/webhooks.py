"""Other systems are told of what is added to the audit log: names and ids, in order, at least once.

Each address has a thread and a place of its own in the log, so one that does not answer holds up nobody. What could not
be delivered is tried again, later and later, also after a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import threading
from pathlib import Path

import httpx2 as httpx

from core.durable import write_atomically
from core.errors import RemendError
from core.ids import canonical_json, sha256_of
from remend import ledger
from remend.store import Store

_LOOK_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 300.0
_TIMEOUT_S = 10.0
_LOG = logging.getLogger("remend.webhooks")


class Webhook:
    """One address that is told.

    Args:
        folder: where its place in the log is kept.
        secret: signs the body (HMAC-SHA256, header `Remend-Signature`); empty for none.
    """

    def __init__(self, url: str, store: Store, folder: Path, secret: str = "") -> None:
        self._url, self._store, self._secret = url, store, secret.encode()
        self._file = folder / f"{sha256_of(url.encode())[:16]}.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_telling, daemon=True)

    def start(self) -> None:
        """Begin; an address that is new is told of what comes from now on."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            with self._store.reading() as connection:
                rows = ledger.audit_rows(connection, 1)
            self._keep(int(rows[0]["seq"]) if rows else 0)
        self._thread.start()

    def stop(self) -> None:
        """End; what is not delivered yet is after the next start."""
        self._stop.set()
        self._thread.join(_TIMEOUT_S + 1.0)

    def _keep_telling(self) -> None:
        wait_s = _LOOK_S
        with httpx.Client(timeout=_TIMEOUT_S) as http:
            while not self._stop.wait(wait_s):
                try:
                    wait_s = _LOOK_S if self._tell(http) else min(max(2.0 * wait_s, _FIRST_WAIT_S), _LONGEST_WAIT_S)
                except (RemendError, OSError, ValueError) as error:  # the database is held; the disk is full
                    _LOG.warning("webhook %s: %s", self._url, error)

    def _tell(self, http: httpx.Client) -> bool:
        """Deliver what is new; False if the address did not take it."""
        seq = int(json.loads(self._file.read_text(encoding="ascii"))["seq"])
        with self._store.reading() as connection:
            rows = ledger.audit_after(connection, seq)
        for row in rows:
            shown = {name: row[name] for name in ("seq", "at_ns", "actor", "verb", "subject")}
            body = canonical_json(shown).encode()
            headers = {"Content-Type": "application/json", "Idempotency-Key": str(row["seq"])}
            if self._secret:
                headers["Remend-Signature"] = f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"
            try:
                answer = http.post(self._url, content=body, headers=headers)
            except httpx.HTTPError as error:
                _LOG.warning("webhook %s does not answer: %s", self._url, error)
                return False
            if not answer.is_success:
                _LOG.warning("webhook %s answered %s", self._url, answer.status_code)
                return False
            self._keep(int(row["seq"]))
            if self._stop.is_set():
                break
        return True

    def _keep(self, seq: int) -> None:
        write_atomically(self._file, json.dumps({"url": self._url, "seq": seq}).encode())


def webhooks(urls: tuple[str, ...], store: Store, home: Path, variable: str) -> list[Webhook]:
    """One for each address; `variable` names the environment variable that holds their secret."""
    secret = os.environ.get(variable, "") if variable else ""
    return [Webhook(url, store, home / "webhooks", secret) for url in urls]
