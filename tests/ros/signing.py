"""A patch that operator and service of a test have signed."""

from __future__ import annotations

from pathlib import Path

from controllers.artefact import Artefact
from controllers.canary import CanaryLimits
from controllers.signature import PatchManifest, artefact_sha, countersign, sign
from core.clock import SystemClock
from core.ids import sha256_of
from remend.keys import KeyRing


def signed(home: Path, artefact: Artefact, limits: CanaryLimits, base_sha: str, robot_id: str = "cart-7") -> bytes:
    now_ns, keys = SystemClock().wall_ns(), KeyRing.load(home)
    manifest = PatchManifest(
        robot_id=robot_id,
        slot="main",
        law=artefact.name,
        version=now_ns,
        base_sha=base_sha,
        result_sha=artefact_sha(artefact.files),
        files={name: sha256_of(data) for name, data in artefact.files.items()},
        report_sha=sha256_of("a report"),
        approver="a test",
        not_before_ns=now_ns - 10**9,
        expires_ns=now_ns + 3600 * 10**9,
        revert_to=base_sha,
        needs_revert_trigger=False,
        canary_sha=limits.sha256,
    )
    once = sign(manifest, keys.operator_id, keys.operator)
    return countersign(once, keys.service_id, keys.service).to_json()
