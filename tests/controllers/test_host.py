"""The robot's side of a deployment: what it accepts, what it runs, what it commits, and what it comes back to."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import sim
from controllers import pointer as pointers
from controllers.artefact import Artefact, artefact_from_files, load_artefact, shipped_laws
from controllers.canary import CanaryLimits
from controllers.host import Host
from controllers.pointer import CommitFolder, Pointer
from controllers.runtime import Command, Stage
from controllers.signature import PatchManifest, SignedManifest, TrustStore, countersign, fingerprint, sign
from core.durable import write_atomically
from core.errors import BadInput, Refused, SignatureInvalid
from core.ids import sha256_of
from core.robot_toml import load_robot
from tests.controllers import candidates

OPERATOR = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
SERVICE = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
TRUST = TrustStore.of([OPERATOR.public_key()], [SERVICE.public_key()])
ROBOT = candidates.quick(load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml"))
SAFETY = load_artefact(shipped_laws()[ROBOT.safety_controller])
BASELINE, GOOD, BETTER = (
    candidates.hold("baseline"),
    candidates.hold("good", kp=310.0),
    candidates.hold("better", kp=320.0),
)
LIMITS = candidates.wide_limits(ROBOT.dof)
NOW_NS = 1_800_000_000 * 10**9
HOUR_NS = 3600 * 10**9
LONG = 200  # ticks; more than a whole quick swap takes


class Robot:
    """A host at a still world, which a test can run, switch off and boot again."""

    def __init__(self, folder: Path, *, wait_for_disk: bool = True, baseline: Artefact = BASELINE) -> None:
        self.world = candidates.StillWorld(ROBOT)
        self.host = Host(
            ROBOT,
            robot_id="arm",
            baseline=baseline,
            safety=SAFETY,
            trust=TRUST,
            folder=folder,
            wait_for_disk=wait_for_disk,
        )

    def tick(self, count: int = 1, until: Callable[[], bool] = lambda: False) -> list[Command]:
        commands = []
        for _ in range(count):
            if until():
                break
            frame = self.world.frame()
            command = self.host.step(frame, self.world.reference(), frame.stamp_ns)
            self.world.seq += 1
            self.world.tau_cmd = list(command.tau)
            commands.append(command)
        return commands

    def until(self, stage: Stage) -> None:
        self.tick(LONG, lambda: self.host.runtime.stage is stage)
        assert self.host.runtime.stage is stage

    def swap(self, signed: SignedManifest, artefact: Artefact, limits: CanaryLimits = LIMITS) -> None:
        """Stage, shadow and canary, to its end."""
        self.host.stage(signed.to_json(), artefact.files, NOW_NS)
        self.host.begin_shadow(limits)
        self.tick(5)
        self.host.runtime.begin_canary()
        self.until(Stage.COMMITTED)

    @property
    def running(self) -> str:
        return self.host.status(None).active_sha


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Callable[..., Robot]]:
    """Boots a robot from the one disk of the test; the one before is switched off."""
    with ExitStack() as stack:

        def start(**options: bool) -> Robot:
            stack.close()
            robot = Robot(tmp_path, **options)
            stack.callback(robot.host.close)
            return robot

        yield start


def patch(artefact: Artefact, base: Artefact = BASELINE, **changes: object) -> SignedManifest:
    """A patch with both signatures."""
    values: dict[str, object] = {
        "robot_id": "arm",
        "slot": "main",
        "law": artefact.name,
        "version": 1,
        "base_sha": base.sha256,
        "result_sha": artefact.sha256,
        "files": {name: sha256_of(data) for name, data in artefact.files.items()},
        "report_sha": "c" * 64,
        "approver": "ada",
        "not_before_ns": NOW_NS,
        "expires_ns": NOW_NS + HOUR_NS,
        "revert_to": base.sha256,
        "needs_revert_trigger": False,
        "canary_sha": LIMITS.sha256,
    }
    signed = sign(PatchManifest(**{**values, **changes}), fingerprint(OPERATOR.public_key()), OPERATOR)  # type: ignore[arg-type]
    return countersign(signed, fingerprint(SERVICE.public_key()), SERVICE)


# -- what is accepted -------------------------------------------------------------------------------------------------


def stranger_signed() -> SignedManifest:
    signed = patch(GOOD)
    return countersign(SignedManifest(manifest=signed.manifest), fingerprint(STRANGER.public_key()), STRANGER)


@pytest.mark.parametrize(
    ("signed", "sentence"),
    [
        (patch(GOOD, robot_id="leg"), "for robot leg"),
        (patch(GOOD, slot="gripper"), "for slot gripper"),
        (patch(GOOD, base=BETTER), "builds on"),
        (patch(GOOD, version=0), "not newer"),
        (patch(GOOD, expires_ns=NOW_NS - HOUR_NS), "expired"),
        (patch(GOOD, not_before_ns=NOW_NS + HOUR_NS), "not valid yet"),
        (patch(GOOD, result_sha=BETTER.sha256), "judged"),
        (patch(BETTER), "is not the file"),
        (stranger_signed(), "not trusted"),
    ],
)
def test_a_patch_for_anything_else_is_refused_and_leaves_no_trace(
    boot: Callable[..., Robot], tmp_path: Path, signed: SignedManifest, sentence: str
) -> None:
    robot = boot()
    with pytest.raises(SignatureInvalid, match=sentence):
        robot.host.stage(signed.to_json(), GOOD.files, NOW_NS)
    with pytest.raises(Refused, match="no staged patch"):
        robot.host.begin_shadow(LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["robot.json"]
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)  # the right one is still welcome


@pytest.mark.parametrize("file", sorted(GOOD.files))
def test_a_file_that_was_changed_after_signing_is_refused(boot: Callable[..., Robot], file: str) -> None:
    robot = boot()
    tampered = {**GOOD.files, file: GOOD.files[file] + b"\n"}
    with pytest.raises(SignatureInvalid, match=f"{file} is not the file"):
        robot.host.stage(patch(GOOD).to_json(), tampered, NOW_NS)


def test_bytes_that_are_no_patch_are_refused(boot: Callable[..., Robot]) -> None:
    with pytest.raises(SignatureInvalid):
        boot().host.stage(b"{}", GOOD.files, NOW_NS)


def test_a_signed_law_outside_the_language_is_refused_and_its_version_stays_free(boot: Callable[..., Robot]) -> None:
    wild = replace(GOOD, files={**GOOD.files, "law.py": b"import os\n"})
    robot = boot()
    with pytest.raises(BadInput, match=r"law\.py"):
        robot.host.stage(patch(wild).to_json(), wild.files, NOW_NS)
    with pytest.raises(Refused, match="no staged patch"):
        robot.host.begin_shadow(LIMITS)
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)


def test_a_version_is_accepted_once_even_over_a_restart(boot: Callable[..., Robot]) -> None:
    robot = boot()
    robot.host.stage(patch(GOOD, version=4).to_json(), GOOD.files, NOW_NS)
    for again in (robot, boot()):
        for version in (3, 4):
            with pytest.raises(SignatureInvalid, match="not newer than 4"):
                again.host.stage(patch(GOOD, version=version).to_json(), GOOD.files, NOW_NS)
    again.host.stage(patch(GOOD, version=5).to_json(), GOOD.files, NOW_NS)


def test_a_second_patch_during_a_swap_is_refused(boot: Callable[..., Robot]) -> None:
    robot = boot()
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    robot.host.begin_shadow(LIMITS)
    second = patch(BETTER, version=2).to_json()
    with pytest.raises(Refused, match="middle of a swap"):
        robot.host.stage(second, BETTER.files, NOW_NS)
    robot.host.runtime.begin_canary()
    robot.tick(10)
    assert robot.host.runtime.stage is Stage.CANARY
    with pytest.raises(Refused, match="middle of a swap"):
        robot.host.stage(second, BETTER.files, NOW_NS)
    with pytest.raises(Refused, match="no staged patch"):
        robot.host.begin_shadow(LIMITS)
    robot.host.runtime.roll_back("enough", 0)
    robot.host.stage(second, BETTER.files, NOW_NS)


# -- what runs --------------------------------------------------------------------------------------------------------


def test_a_staged_patch_does_nothing_until_its_shadow_begins(boot: Callable[..., Robot], tmp_path: Path) -> None:
    plain, staged = Robot(tmp_path / "plain"), boot()
    staged.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    assert [c.tau for c in staged.tick(40)] == [c.tau for c in plain.tick(40)]
    status = staged.host.status(None)
    assert status.stage is Stage.COMMITTED
    assert status.stages_run == ()
    assert status.active_sha == BASELINE.sha256
    assert staged.host.runtime.b is None
    plain.host.close()


def test_a_good_patch_is_committed_and_boots(boot: Callable[..., Robot], tmp_path: Path) -> None:
    robot = boot()
    assert robot.running == BASELINE.sha256
    robot.swap(patch(GOOD), GOOD)
    status = robot.host.status(3)
    assert status.active_sha == robot.running == GOOD.sha256
    assert status.rollback_reason is None
    assert status.stages_run == ("shadow", "canary 10%", "canary 30%", "canary 100%", "commit")
    assert status.missed_deadlines == 3
    assert status.ticks == robot.host.ticks > status.canary_ticks > 0
    pointer = CommitFolder(tmp_path).read()
    assert (pointer.committed, pointer.previous, pointer.version) == (GOOD.sha256, BASELINE.sha256, 1)
    assert boot().running == GOOD.sha256


def test_a_patch_on_a_patch_keeps_the_way_back(boot: Callable[..., Robot], tmp_path: Path) -> None:
    robot = boot()
    robot.swap(patch(GOOD), GOOD)
    robot.swap(patch(BETTER, base=GOOD, version=2), BETTER)
    assert robot.running == BETTER.sha256
    for file in (tmp_path / BETTER.sha256).iterdir():
        file.unlink()
    assert boot().running == GOOD.sha256
    for file in (tmp_path / GOOD.sha256).iterdir():
        file.unlink()
    assert boot().running == BASELINE.sha256


@pytest.mark.parametrize("stage", ["staged", "shadow", "canary", "ready"])
def test_nothing_uncommitted_is_ever_booted(boot: Callable[..., Robot], stage: str) -> None:
    robot = boot()
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    if stage != "staged":
        robot.host.begin_shadow(LIMITS)
        robot.tick(5)
    if stage in ("canary", "ready"):
        robot.host.runtime.begin_canary()
        robot.tick(10)
        assert robot.host.runtime.stage is Stage.CANARY
    if stage == "ready":  # passed, and the power goes in the tick before the commit
        world = robot.world
        while robot.host.runtime.stage is not Stage.READY:
            robot.host.runtime.tick(world.frame(), world.reference(), world.frame().stamp_ns)
            world.seq += 1
    assert boot().running == BASELINE.sha256


def test_a_candidate_that_fails_its_canary_leaves_everything_as_it_was(
    boot: Callable[..., Robot], tmp_path: Path
) -> None:
    robot = boot()
    bad = candidates.hold("bad", wrong="nan", start=20)
    robot.swap(patch(bad), bad)
    status = robot.host.status(None)
    assert status.active_sha == BASELINE.sha256
    assert status.rollback_reason is not None
    assert status.rollback_reason.startswith("envelope")
    assert status.notes[-1].what.startswith("rolled back: envelope")
    assert CommitFolder(tmp_path).read().committed is None
    assert boot().running == BASELINE.sha256


# -- commits that fail or come too late -------------------------------------------------------------------------------


def _failing(pointer_write: int, *, after_replace: bool) -> Callable[..., None]:
    """`write_atomically` whose write number `pointer_write` of the pointer meets a broken disk."""
    count = 0

    def write(path: Path, data: bytes, **options: int) -> None:
        nonlocal count
        count += path.name == "committed.json"
        broken = path.name == "committed.json" and count == pointer_write
        if not broken or after_replace:
            write_atomically(path, data, **options)
        if broken:
            raise OSError(5, "Input/output error")

    return write


@pytest.mark.parametrize("after_replace", [False, True], ids=["nothing written", "written but not flushed"])
def test_a_commit_that_the_disk_refuses_is_rolled_back(
    boot: Callable[..., Robot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_replace: bool
) -> None:
    robot = boot()
    monkeypatch.setattr(pointers, "write_atomically", _failing(2, after_replace=after_replace))
    robot.swap(patch(GOOD), GOOD)
    status = robot.host.status(None)
    assert status.active_sha == BASELINE.sha256
    assert status.rollback_reason == "commit failed: [Errno 5] Input/output error"
    assert "commit" not in status.stages_run
    assert CommitFolder(tmp_path).read().committed in (None, BASELINE.sha256)
    robot.swap(patch(GOOD, version=2), GOOD)  # the disk is well again
    assert robot.running == GOOD.sha256
    assert boot().running == GOOD.sha256


def test_a_patch_that_could_not_be_stored_is_not_staged(
    boot: Callable[..., Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = boot()
    monkeypatch.setattr(pointers, "write_atomically", _failing(1, after_replace=False))
    with pytest.raises(OSError, match="Input/output error"):
        robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    with pytest.raises(Refused, match="no staged patch"):
        robot.host.begin_shadow(LIMITS)


class SlowDisk:
    """`write_atomically` that waits in the pointer's second write until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go, self.writes = threading.Event(), threading.Event(), 0

    def __call__(self, path: Path, data: bytes, **options: int) -> None:
        self.writes += path.name == "committed.json"
        if path.name == "committed.json" and self.writes == 2:
            self.begun.set()
            assert self.go.wait(timeout=30)
        write_atomically(path, data, **options)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk()
    monkeypatch.setattr(pointers, "write_atomically", disk)
    yield disk
    disk.go.set()  # or a failed test would wait for the writer for ever


def begin_slow_commit(robot: Robot, disk: SlowDisk) -> None:
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    robot.host.begin_shadow(LIMITS)
    robot.host.runtime.begin_canary()
    robot.until(Stage.READY)
    robot.tick(3)
    assert disk.begun.wait(timeout=30)


def test_the_loop_goes_on_while_the_disk_is_slow(boot: Callable[..., Robot], slow_disk: SlowDisk) -> None:
    robot = boot(wait_for_disk=False)
    begin_slow_commit(robot, slow_disk)
    commands = robot.tick(50)
    assert robot.host.runtime.stage is Stage.READY
    assert {command.source for command in commands} == {"b"}
    slow_disk.go.set()
    robot.host.clerk.writer.submit(int).result(timeout=30)
    robot.tick(1)
    assert robot.running == GOOD.sha256
    assert robot.host.runtime.stage is Stage.COMMITTED


def test_a_candidate_that_falls_while_its_commit_is_written_is_not_booted(
    boot: Callable[..., Robot], slow_disk: SlowDisk
) -> None:
    robot = boot(wait_for_disk=False)
    begin_slow_commit(robot, slow_disk)
    robot.host.runtime.roll_back("it went wrong in the last moment", robot.world.seq)
    robot.tick(2)
    slow_disk.go.set()
    robot.host.clerk.writer.submit(int).result(timeout=30)
    robot.tick(2)
    assert robot.running == BASELINE.sha256
    robot = boot()
    assert robot.running == BASELINE.sha256
    robot.swap(patch(BETTER, version=2), BETTER)
    assert boot().running == BETTER.sha256


def test_the_patch_after_a_fallen_one_is_written_before_it_is_committed(
    boot: Callable[..., Robot], slow_disk: SlowDisk
) -> None:
    robot = boot(wait_for_disk=False)
    begin_slow_commit(robot, slow_disk)
    robot.host.runtime.roll_back("it went wrong in the last moment", robot.world.seq)
    robot.tick(2)
    slow_disk.go.set()
    robot.host.wait_for_disk = True
    robot.swap(patch(BETTER, version=2), BETTER)
    assert robot.running == BETTER.sha256
    assert boot().running == BETTER.sha256


# -- the armed revert -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("armed", [True, False])
def test_an_armed_revert_moves_the_pointer_back_and_an_unarmed_one_stays(
    boot: Callable[..., Robot], tmp_path: Path, armed: bool
) -> None:
    robot = boot()
    robot.swap(patch(GOOD, needs_revert_trigger=armed), GOOD)
    assert CommitFolder(tmp_path).read().committed == GOOD.sha256
    robot.tick(2500)  # in its first seconds any patch would go for this
    robot.world.error_rad = 0.5  # the fault is gone, and the patch with it
    robot.tick(20)
    expected = BASELINE.sha256 if armed else GOOD.sha256
    status = robot.host.status(None)
    assert status.active_sha == expected
    assert (status.rollback_reason is not None) == armed
    pointer = CommitFolder(tmp_path).read()
    assert pointer.committed == expected
    assert pointer.version == 1
    assert boot().running == expected


def test_a_rollback_by_hand_after_the_commit_moves_the_pointer_back(boot: Callable[..., Robot]) -> None:
    robot = boot()
    robot.swap(patch(GOOD), GOOD)
    robot.host.runtime.roll_back("asked for", robot.world.seq)
    robot.tick(1)
    assert robot.running == BASELINE.sha256
    assert boot().running == BASELINE.sha256


def test_a_patch_staged_for_a_controller_that_was_reverted_goes_with_it(boot: Callable[..., Robot]) -> None:
    robot = boot()
    robot.swap(patch(GOOD, needs_revert_trigger=True), GOOD)
    robot.host.stage(patch(BETTER, base=GOOD, version=2).to_json(), BETTER.files, NOW_NS)
    robot.world.error_rad = 0.5
    robot.tick(20)
    assert robot.running == BASELINE.sha256
    with pytest.raises(Refused, match="no staged patch"):
        robot.host.begin_shadow(LIMITS)


def test_a_committed_law_that_the_language_no_longer_accepts_gives_way_to_the_one_before(
    boot: Callable[..., Robot], tmp_path: Path
) -> None:
    """As after an upgrade of the checker: the files are what their hash says, and are refused all the same."""
    files = {**GOOD.files, "law.py": b"def control(tau):\n    import os\n"}
    refused = artefact_from_files("refused", files)
    disk = CommitFolder(tmp_path)
    for artefact in (refused, GOOD):
        disk.keep(artefact)
    disk.write(Pointer(committed=refused.sha256, previous=GOOD.sha256, version=3))
    assert boot().running == GOOD.sha256
    disk.write(Pointer(committed=refused.sha256, previous=refused.sha256, version=3))
    assert boot().running == BASELINE.sha256


def test_limits_that_nobody_approved_are_refused(boot: Callable[..., Robot]) -> None:
    """A signed patch with canary limits of somebody else's choosing would be a patch without a canary."""
    host = boot().host
    host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    for loose in (replace(LIMITS, variation_nm=1e9), replace(LIMITS, settled_error=(math.inf,) * 7)):
        with pytest.raises(SignatureInvalid, match="limits are not those"):
            host.begin_shadow(loose)
    assert host.runtime.stage is Stage.COMMITTED
    host.begin_shadow(LIMITS)
    assert host.runtime.stage is Stage.SHADOW


@pytest.mark.parametrize("nobody", ["simulated-operator", "demo"])
def test_a_real_robot_takes_no_patch_that_no_person_approved(boot: Callable[..., Robot], nobody: str) -> None:
    host = boot().host
    with pytest.raises(SignatureInvalid, match="nobody's name"):
        host.stage(patch(GOOD, approver=nobody).to_json(), GOOD.files, NOW_NS)
    with pytest.raises(Refused, match="no staged patch"):
        host.begin_shadow(LIMITS)


def test_a_return_that_the_disk_refuses_is_said_tried_again_and_blocks_new_patches(
    boot: Callable[..., Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = boot()
    robot.swap(patch(GOOD, needs_revert_trigger=True), GOOD)
    write = CommitFolder.write
    full = True

    def refuse(folder: CommitFolder, pointer: Pointer) -> None:
        if full:
            raise OSError("no space left")
        write(folder, pointer)

    monkeypatch.setattr(CommitFolder, "write", refuse)
    robot.host.runtime.roll_back("asked to", 0)
    robot.tick(3)
    assert robot.running == BASELINE.sha256
    assert [note.what for note in robot.host.status(None).notes if "no space left" in note.what]
    with pytest.raises(Refused, match="free its disk"):
        robot.host.stage(patch(BETTER, version=9).to_json(), BETTER.files, NOW_NS)
    full = False
    robot.tick(501)
    robot.host.stage(patch(BETTER, version=9).to_json(), BETTER.files, NOW_NS)
    assert boot().running == BASELINE.sha256


def test_a_patch_on_its_way_to_the_disk_says_so_and_leaves_the_loop_alone(
    boot: Callable[..., Robot], slow_disk: SlowDisk
) -> None:
    robot = boot(wait_for_disk=False)
    slow_disk.writes = 1  # so that the very next write of the pointer waits
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    assert slow_disk.begun.wait(timeout=30)
    assert robot.host.is_staging
    assert {command.source for command in robot.tick(20)} == {"a"}  # the loop goes on meanwhile
    with pytest.raises(Refused, match="in the middle"):
        robot.host.stage(patch(BETTER).to_json(), BETTER.files, NOW_NS)
    slow_disk.go.set()
    robot.host.finish_staging()
    assert not robot.host.is_staging
    robot.host.begin_shadow(LIMITS)
    assert robot.host.runtime.stage is Stage.SHADOW
