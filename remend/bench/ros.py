"""What a swap costs a robot over ROS 2, as somebody else on the graph sees it: rate, gaps and delays of its commands.

A simulated robot in real time, its host, and a listener (`remend.bench.ros_ear`), each a process of its own on a domain
of its own. Times with swaps and times without take turns in the same processes; each swap is a whole one, over the link
that a service has: signed, staged, shadow, canary in stages, commit.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.canary import CanaryLimits
from controllers.controller import Controller
from controllers.library import find_law
from controllers.runtime import Stage
from controllers.signature import PatchManifest, TrustStore, countersign, fingerprint, sign
from core.clock import SystemClock
from core.errors import RobotFault
from core.ids import sha256_of
from core.robot import Robot
from core.robot_toml import load_robot
from remend.bench import ros_ear
from remend.bench.figure import Figure, median_interval
from remend.bench.heard import Heard, read_heard
from remend.links.link import RobotLink
from sim.catalogue import robot_file

KEPT = 0.99  # share of the rate that has to be left in a swap
_ROBOT, _ID = "cartpole", "bench"
_HOLDS = ("hold_s = [0.1, 0.1, 8.0]", "hold_s = [0.1, 0.1, 0.3]")  # the stages of a real canary, over sooner
_WARM_S = 3.0  # start-up is no steady state
_SPAN_S = 1.0  # at least, of what is looked at around a swap
_PATIENCE_S = 60.0
_GAIN, _STIFFER = "cart_kp", 1.1
_OPERATOR, _SERVICE = (Ed25519PrivateKey.from_private_bytes(bytes([k]) * 32) for k in (1, 2))  # keys of a bench


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A time on the machine's monotonic clock, and the swaps in it: from staging to commit [ns]."""

    start_ns: int
    end_ns: int
    swaps: tuple[tuple[float, float], ...] = ()
    inconclusive: int = 0


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    if find_spec("rclpy") is None:
        why = "rclpy is not installed; source a ROS 2 setup, or pip install 'remend[ros]'"
        yield Figure(bench="ros", figure="rate kept in a swap", value=None, unit="1", interval=None, n=0, note=why)
        return
    rounds, swaps = (2, 6) if quick else (6, 20)
    with tempfile.TemporaryDirectory(prefix="remend-bench-") as name:
        heard, spells, rate_hz = _measure(Path(name), rounds, swaps)
    yield from figures(heard, spells, rate_hz)


def figures(heard: Heard, spells: Sequence[Spell], rate_hz: float) -> Iterator[Figure]:
    """Figures from what was heard during `spells`; `rate_hz` is the nominal rate of control [Hz]."""
    with_swaps = [spell for spell in spells if spell.swaps]
    without = [spell for spell in spells if not spell.swaps]
    around = [_around(swap) for spell in with_swaps for swap in spell.swaps]
    beside = [span for spell in without for span in _slices(spell)]
    in_swaps, plain = heard.rates_hz(around), heard.rates_hz(beside)
    kept, interval = median_interval([rate / rate_hz for rate in in_swaps])
    held = sum(spell.inconclusive for spell in with_swaps)
    yield Figure(
        bench="ros",
        figure="rate of commands around a swap, of the nominal one",
        value=kept,
        unit="1",
        interval=interval,
        n=len(in_swaps),
        target=KEPT,
        peer="without swaps",
        peer_value=float(np.median(plain)) / rate_hz,
        note=f"lowest {min(in_swaps) / rate_hz:.3f}, without swaps {min(plain) / rate_hz:.3f}; "
        f"{held} swaps inconclusive because the machine was late",
    )
    swapping, quiet = _joined(heard, around), _joined(heard, beside)
    yield Figure.share("ros", "measurements that a command answered, around swaps", *_answered(swapping), target=KEPT)
    yield Figure.share("ros", "measurements that a command answered, without swaps", *_answered(quiet), target=KEPT)
    for what, of in (("from measurement to command", _delays_ms), ("between two commands", _gaps_ms)):
        ours, theirs = np.concatenate([of(each) for each in swapping]), np.concatenate([of(each) for each in quiet])
        for name, share in (("median", 50.0), ("99th percentile", 99.0)):
            yield Figure(
                bench="ros",
                figure=f"{what}, around swaps: {name}",
                value=float(np.percentile(ours, share)),
                unit="ms",
                interval=None,
                n=len(ours),
                peer="without swaps",
                peer_value=float(np.percentile(theirs, share)),
                note=f"longest {ours.max():.1f} ms, without swaps {theirs.max():.1f} ms",
            )


def _around(swap: tuple[float, float]) -> tuple[float, float]:
    """A swap, and what comes just before and after it, so that a span has enough commands to count."""
    missing = max(_SPAN_S * 1e9 - (swap[1] - swap[0]), 0.0)
    return swap[0] - 0.5 * missing, swap[1] + 0.5 * missing


def _slices(spell: Spell) -> list[tuple[float, float]]:
    """A spell in spans of `_SPAN_S`."""
    count = int((spell.end_ns - spell.start_ns) * 1e-9 / _SPAN_S)
    return [(spell.start_ns + k * _SPAN_S * 1e9, spell.start_ns + (k + 1) * _SPAN_S * 1e9) for k in range(count)]


def _joined(heard: Heard, spans: Sequence[tuple[float, float]]) -> list[Heard]:
    return [heard.between(*span) for span in spans]


def _answered(parts: Sequence[Heard]) -> tuple[int, int]:
    total = sum(map(len, parts))
    return total - sum(part.unanswered for part in parts), total


def _delays_ms(heard: Heard) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 1e3 * heard.delays_s


def _gaps_ms(heard: Heard) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 1e3 * heard.gaps_s


# -- the graph --------------------------------------------------------------------------------------------------------


def _measure(folder: Path, rounds: int, swaps: int) -> tuple[Heard, list[Spell], float]:
    """Spells with and without swaps in turn, and what the listener heard of them."""
    from remend.links.ros_link import RosLink  # noqa: PLC0415 an extra

    toml = _quick_robot(folder)
    robot, file = load_robot(toml), folder / "heard"
    with (
        _graph(folder, toml, file) as said,
        RosLink(robot, robot_id=_ID, simulated=True, connect_s=_PATIENCE_S) as link,
    ):
        _wait_for(lambda: bool(said()), "the first command")
        list(link.read(_WARM_S))
        spells: list[Spell] = []
        for _ in range(rounds):
            spells.append(_swaps(robot, link, swaps))
            seconds = (spells[-1].end_ns - spells[-1].start_ns) * 1e-9
            start_ns = time.monotonic_ns()
            list(link.read(seconds))
            spells.append(Spell(start_ns=start_ns, end_ns=time.monotonic_ns()))
        time.sleep(1.0)  # until the listener has written the last of it
        heard = read_heard(file)
    return heard, spells, robot.control_rate_hz


def _quick_robot(folder: Path) -> Path:
    """The robot with a canary that is over sooner."""
    shipped = robot_file(_ROBOT)
    copied = shutil.copytree(shipped.parent, folder / _ROBOT) / shipped.name
    text = copied.read_text(encoding="utf-8")
    if text.count(_HOLDS[0]) != 1:
        raise AssertionError(f"{shipped} has another canary than this bench expects")
    copied.write_text(text.replace(*_HOLDS), encoding="utf-8")
    return copied


@contextmanager
def _graph(folder: Path, toml: Path, file: Path) -> Iterator[Callable[[], str]]:
    """Robot, host and listener, until the end; yields what the listener has written."""
    domain = {"ROS_DOMAIN_ID": str(secrets.randbelow(101) + 1), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    os.environ.update(domain)  # the link is in this process
    trust = folder / "trust.json"
    trust.write_bytes(TrustStore.of([_OPERATOR.public_key()], [_SERVICE.public_key()]).to_json())
    ros = ("-m", "remend", "ros")
    path = "/remend_host/joint_trajectory"
    flags = ("--robot-id", _ID, "--trust", str(trust), "--folder", str(folder / "host"), "--simulated", "--sim-time")
    started = []
    try:
        for name, command in (
            ("ear", (str(Path(ros_ear.__file__)), str(file))),
            ("host", (*ros, "host", "--robot", str(toml), *flags)),
            ("sim", (*ros, "sim", "--robot", str(toml), "--work", path)),
        ):
            started.append(_start(folder / f"{name}.log", command, {"REMEND_HOME": str(folder), **domain}))
        yield lambda: file.read_text() if file.exists() else ""
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(log: Path, command: Sequence[str], more: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 our own commands
            [sys.executable, *command],
            env={**os.environ, **more},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )


def _wait_for(met: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not met():
        if time.monotonic() > until:
            raise RobotFault(f"the bench waited in vain for {what}")
        time.sleep(0.05)


# -- swaps ------------------------------------------------------------------------------------------------------------


def _swaps(robot: Robot, link: RobotLink, count: int) -> Spell:
    start_ns, done, inconclusive = time.monotonic_ns(), [], 0
    laws = _versions(robot)
    for number in range(count):
        began_ns = float(time.monotonic_ns())
        inconclusive += _swap(robot, link, laws[number % 2])
        done.append((began_ns, float(time.monotonic_ns())))
    return Spell(start_ns=start_ns, end_ns=time.monotonic_ns(), swaps=tuple(done), inconclusive=inconclusive)


def _swap(robot: Robot, link: RobotLink, law: Artefact) -> bool:
    """One whole swap; whether the machine was too late for it to count."""
    base_sha, now_ns = link.status().active_sha, SystemClock().wall_ns()
    artefact = _anew(law, now_ns)
    wide = (9.0,) * robot.dof
    limits = CanaryLimits(
        offset=(0.0,) * robot.dof, ramp_error=wide, settled_error=wide, settle_s=0.1, variation_nm=1e3
    )
    manifest = PatchManifest(
        robot_id=_ID,
        slot="main",
        law=artefact.name,
        version=now_ns,
        base_sha=base_sha,
        result_sha=artefact.sha256,
        files={name: sha256_of(data) for name, data in artefact.files.items()},
        report_sha="0" * 64,
        approver="demo",
        not_before_ns=now_ns,
        expires_ns=now_ns + 3600 * 10**9,
        revert_to=base_sha,
        needs_revert_trigger=False,
        canary_sha=limits.sha256,
    )
    signed = sign(manifest, fingerprint(_OPERATOR.public_key()), _OPERATOR)
    signed = countersign(signed, fingerprint(_SERVICE.public_key()), _SERVICE)
    link.stage(signed.to_json(), artefact.files, now_ns)
    link.begin_shadow(limits)
    list(link.read(robot.canary.shadow_s))
    link.begin_canary()
    until = time.monotonic() + _PATIENCE_S
    while (status := link.status()).stage is not Stage.COMMITTED:
        if time.monotonic() > until:
            raise RobotFault(f"a swap of the bench does not end: {status}")
        link.drain()
        time.sleep(0.05)
    if status.rollback_reason is not None and not status.inconclusive:
        raise RobotFault(f"a swap of the bench was rolled back: {status.rollback_reason}")
    return status.rollback_reason is not None


def _versions(robot: Robot) -> tuple[Artefact, Artefact]:
    """The shipped law with one gain a little higher, and as it is."""
    law = find_law(robot, robot.controller)
    gain = Controller.from_artefact(law, robot.ports).params[_GAIN]
    assert isinstance(gain, float)
    return with_params(law, {_GAIN: _STIFFER * gain}), law


def _anew(law: Artefact, number: int) -> Artefact:
    """The same law in a text of its own, so that nothing of it has been compiled before."""
    text = law.files["law.py"] + f"\n# {number}\n".encode()
    return artefact_from_files(law.name, {**law.files, "law.py": text})
