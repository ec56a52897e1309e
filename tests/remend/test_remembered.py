"""What helped is found again by cause; what cannot be read is no help and no harm."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from controllers.artefact import with_params
from core.errors import Refused
from patcher.propose.base import params_proposal
from remend.remembered import remembered
from tests import made_up
from tests.made_up import COMPUTED_TORQUE


def test_only_readable_patches_of_the_same_cause_come_back() -> None:
    kept, files = [], {}
    for mass in (5.0, 4.0, 3.0, 2.0, 1.0):
        proposal = params_proposal(made_up.situation(), "tune", {"mass": mass}, "", 0)
        assert proposal is not None
        kept.append(("payload" if mass != 4.0 else "friction", proposal.candidate))
        files[proposal.candidate.result_sha] = proposal.artefact.files
    damaged = kept[2][1].result_sha

    def read(sha: str) -> Any:
        if sha == damaged:
            raise Refused("the stored files are damaged")
        return files[sha]

    store: Any = SimpleNamespace(kept=lambda base_sha: kept if base_sha == COMPUTED_TORQUE.sha256 else ())
    versions: Any = SimpleNamespace(read=read)
    found = remembered(store, versions, COMPUTED_TORQUE, "payload")
    assert [made_up.params(each.artefact)["mass"] for each in found] == [5.0, 2.0]
    assert {each.cause for each in found} == {"payload"}
    assert remembered(store, versions, COMPUTED_TORQUE, "wind") == ()
    assert remembered(store, versions, with_params(COMPUTED_TORQUE, {"mass": 1.0}), "payload") == ()
