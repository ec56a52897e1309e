"""Workers on a real Ray cluster of two nodes on loopback: the bits of this machine, and a lost node costs its jobs."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.library import find_law
from core.errors import BadInput, RobotFault
from core.robot_toml import load_robot
from remend import workers_check
from remend.finding import Status
from sim.catalogue import robot_file
from sim.workers import parcel as parcel_
from sim.workers.answer import Rolled
from sim.workers.cluster import Cluster
from sim.workers.confirm import confirm
from sim.workers.job import Job, sample_job
from sim.workers.layers import Door, Layer, Layers, combined
from sim.workers.opening import open_workers
from sim.workers.outcome import Lost, Reason
from sim.workers.parcel import pack
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings
from sim.workers.station import Station
from tests.sim.workers.test_pool import ARM, LAW, TRIALS, new_law, softer

if importlib.util.find_spec("ray") is None:  # not imported here: it reads its settings once, and gets them below
    pytest.skip("the extra 'cluster' is not installed", allow_module_level=True)

HEAD, NODES = "127.0.0.2", ("127.0.0.3", "127.0.0.4")
PATIENCE_S = 120.0
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


class Nodes:
    """Ray as a user starts it, one process for each node; what it writes goes to `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind((HEAD, 0))
            self.address = f"{HEAD}:{free.getsockname()[1]}"
        self._started: list[subprocess.Popen[bytes]] = []
        port = self.address.split(":")[1]
        self.start(HEAD, "--head", f"--port={port}", "--include-dashboard=false", "--num-cpus=0")

    def start(self, ip: str, *options: str) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", *options, f"--node-ip-address={ip}", "--block"]
        command += ["--object-store-memory=80000000", "--disable-usage-stats"]
        node = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._started.append(node)
        assert node.stdout is not None
        assert any(b"Ray runtime started" in line for line in node.stdout)

    def add(self, ip: str) -> None:
        self.start(ip, f"--address={self.address}", "--num-cpus=1")

    def wait(self, *, processors: int) -> None:
        """Until the cluster has so many."""
        import ray  # noqa: PLC0415 see above

        ray.init(self.address, log_to_driver=False)
        self.until(processors=processors)
        ray.shutdown()

    def until(self, *, processors: int) -> None:
        """The same, for who is connected."""
        import ray  # noqa: PLC0415 see above

        deadline_s = time.monotonic() + PATIENCE_S
        while ray.cluster_resources().get("CPU", 0) != processors and time.monotonic() < deadline_s:
            time.sleep(0.1)
        assert ray.cluster_resources().get("CPU", 0) == processors

    def kill(self, ip: str) -> None:
        """End a node as a loss of power does."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                said = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if Path(said[0].decode(errors="replace")).name == "raylet" and f"--node_ip_address={ip}".encode() in said:
                os.kill(int(folder.name), signal.SIGKILL)

    def stop(self) -> None:
        for process in reversed(self._started):
            process.terminate()
        for process in self._started:
            process.communicate()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    # A short name: Ray has sockets below it, whose paths must be short. Ray's own default is a folder of all users.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray-") as folder:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_AUTH_MODE", "token")  # Ray listens on all addresses of a machine
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Nodes(Path(folder))
        try:
            for ip in NODES:
                nodes.add(ip)
            nodes.wait(processors=len(NODES))
            yield nodes
        finally:
            nodes.stop()


@pytest.fixture
def settings(nodes: Nodes) -> WorkerSettings:
    return WorkerSettings(address=nodes.address)


def assert_equal(some: list[Rolled], others: list[Rolled]) -> None:
    assert [each.judgement for each in some] == [each.judgement for each in others]
    assert [each.command.tobytes() for each in some] == [each.command.tobytes() for each in others]


def test_a_cluster_gives_the_bits_of_this_machine(settings: WorkerSettings) -> None:
    pairs = [(law, trial) for trial in TRIALS for law in (LAW, softer(), new_law())]
    with open_workers(ARM, settings) as there, Pool(ARM) as here:
        assert isinstance(there, Cluster)
        assert there.count == 2
        assert there.layers().active == here.layers().active
        assert_equal(there.roll(pairs), here.roll(pairs))
        assert there.rollouts == here.rollouts == len(pairs)
        runs = there.roll(pairs[1::3], lockstep=softer())
        assert_equal(runs, here.roll(pairs[1::3], lockstep=softer()))
        assert confirm(there, softer(), list(zip(TRIALS, runs, strict=True))) == ()
    assert not sys.modules["ray"].is_initialized()


def test_a_cluster_writes_into_no_folder_but_a_temporary_one(nodes: Nodes, settings: WorkerSettings) -> None:
    before = set(os.listdir())
    with Cluster(ARM, settings) as there:
        there.roll([(LAW, TRIALS[0])])
    assert set(os.listdir()) == before
    assert (nodes.folder / "ray" / "session_latest").exists()


def test_doctor_counts_the_processors_of_a_cluster(settings: WorkerSettings) -> None:
    finding = workers_check.cluster(settings)
    assert finding.status is Status.OK
    assert finding.what == f"2 processors of {settings.address} give the bits of this machine"
    assert workers_check.cluster(WorkerSettings(address="127.0.0.2:1")).status is Status.FAIL


def test_a_node_that_gives_other_bits_is_left_out(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Cluster(ARM, settings) as there:
        (other,) = there._here.run([Job(robot=ARM, artefact=LAW, scenarios=(TRIALS[0],))])
        monkeypatch.setattr(there._here, "run", lambda jobs: [other])
        with pytest.raises(RobotFault, match="no processor of it can be used"):
            there.layers()
    assert caplog.text.count("a rollout gives other bits there") == 2


def test_a_lost_node_costs_the_jobs_that_run_on_it(nodes: Nodes, settings: WorkerSettings) -> None:
    jobs = [Job(robot=ARM, artefact=softer(), scenarios=(replace(trial, duration_s=4.0),)) for trial in TRIALS * 4]
    with Cluster(ARM, settings) as there, Pool(ARM) as here:
        assert there.count == 2
        alarm = threading.Timer(0.5, nodes.kill, (NODES[1],))
        alarm.start()
        answers = there.run(jobs)
        alarm.join()
        lost = [answer for answer in answers if isinstance(answer, Lost)]
        assert [answer.reason for answer in lost] == [Reason.MACHINE]
        assert "node was lost" in lost[0].what
        kept = [(job, answer) for job, answer in zip(jobs, answers, strict=True) if not isinstance(answer, Lost)]
        for job, answer in kept[:3] + kept[-3:]:
            (expected,) = here.run([job])
            assert not isinstance(expected, Lost)
            assert_equal(list(answer), list(expected))
        assert there.count == 1
        (again,) = there.roll([(LAW, TRIALS[0])])
        assert_equal([again], here.roll([(LAW, TRIALS[0])]))
        nodes.kill(NODES[0])
        nodes.until(processors=0)
        with pytest.raises(RobotFault, match=f"{settings.address}: no .* 'ray start'"):
            there.roll([(LAW, TRIALS[0])])


def test_a_node_that_is_added_later_is_taken_on(nodes: Nodes, settings: WorkerSettings) -> None:
    with Cluster(ARM, settings) as there:
        with pytest.raises(RobotFault, match="ray start"):
            there.layers()
        nodes.add("127.0.0.5")
        nodes.until(processors=1)
        assert there.count == 1


# without a cluster


def test_an_address_where_nobody_answers_is_said_at_once() -> None:
    with Cluster(ARM, WorkerSettings(address="127.0.0.2:1")) as there, pytest.raises(RobotFault, match="ray start"):
        there.layers()


def test_without_ray_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match=r"remend\[cluster\]"):
        open_workers(ARM, WorkerSettings(address="127.0.0.2:6379"))


def test_a_robot_arrives_with_its_files(tmp_path: Path) -> None:
    for name in ("iiwa", "arm2"):
        robot = load_robot(robot_file(name))
        there = pack(robot).unpack(tmp_path / name)
        assert there.urdf.read_bytes() == robot.urdf.read_bytes()
        assert there.urdf.is_relative_to(tmp_path)
        job = sample_job(robot)
        assert replace(job, robot=there).sha256 == job.sha256
        assert find_law(there, there.controller).sha256 == find_law(robot, robot.controller).sha256


def test_a_urdf_outside_of_the_robots_folder_arrives_too(tmp_path: Path) -> None:
    apart = tmp_path / "meshes" / "arm.urdf"
    apart.parent.mkdir()
    apart.write_bytes(ARM.urdf.read_bytes())
    there = pack(replace(ARM, urdf=apart)).unpack(tmp_path / "there")
    assert there.urdf.read_bytes() == ARM.urdf.read_bytes()
    assert there.urdf.is_relative_to(tmp_path / "there")


def test_a_folder_with_more_than_a_robot_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel_, "MOST_BYTES", 10)
    with pytest.raises(BadInput, match="a folder of their own"):
        pack(ARM)


def test_a_station_refuses_a_job_about_another_robot() -> None:
    station = Station(pack(ARM), WorkerSettings())
    job = sample_job(replace(ARM, control_rate_hz=ARM.control_rate_hz // 2))
    answer = station.run(job.to_bytes(), job.sha256)
    assert isinstance(answer, Lost)
    assert answer.reason is Reason.MACHINE


def test_layers_of_several_machines_are_those_that_all_have() -> None:
    on, off = ((Layer(name="landlock", active=flag), Layer(name="seccomp", active=True)) for flag in (True, False))
    both = combined([Layers(found=on), Layers(found=off, breached=(Door.NETWORK,))])
    assert both.active == ("seccomp",)
    assert both.breached == (Door.NETWORK,)
