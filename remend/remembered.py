"""Patches that robots have kept before, for the next incident of the same cause."""

from __future__ import annotations

from itertools import islice

from controllers.artefact import Artefact, artefact_from_files
from core.errors import RemendError
from patcher.propose.base import Remembered
from remend.store import Store
from remend.versions import Versions

_MOST = 3  # newest ones


def remembered(store: Store, versions: Versions, incumbent: Artefact, cause: str) -> tuple[Remembered, ...]:
    """The newest patches of this controller after this cause; one whose files are damaged is no help, and left out."""
    found = []
    for _, candidate in islice((each for each in store.kept(incumbent.sha256) if each[0] == cause), _MOST):
        try:
            artefact = artefact_from_files(incumbent.name, versions.read(candidate.result_sha))
        except RemendError:
            continue
        found.append(Remembered(cause=cause, candidate=candidate, artefact=artefact))
    return tuple(found)
