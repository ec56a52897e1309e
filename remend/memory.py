"""The store as a memory of results in past incidents, so that no rollout is computed twice."""

from __future__ import annotations

from collections.abc import Mapping

from remend.runs import Runs
from remend.store import Store
from sim.judge import Judgement


class StoredRuns:
    """Results under one world; see `sim.regressions.Memory`."""

    def __init__(self, store: Store, world_sha: str) -> None:
        self._store, self._world_sha = store, world_sha

    def recall(self, artefact_sha: str) -> Mapping[str, Judgement]:
        known: dict[str, Judgement] = {}
        for runs in self._store.runs(artefact_sha, self._world_sha):
            known |= runs.judged
        return known

    def keep(self, artefact_sha: str, judged: Mapping[str, Judgement]) -> None:
        self._store.add_runs(Runs(artefact_sha=artefact_sha, world_sha=self._world_sha, judged=dict(judged)))
