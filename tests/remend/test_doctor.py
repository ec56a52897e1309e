"""The doctor finds what is broken, says what to do, and changes nothing."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from core.errors import RobotFault
from patcher.llm.settings import LlmSettings
from remend import doctor, model_check, workers_check
from remend import home as homes
from remend.doctor import Library
from remend.finding import Finding, Status
from remend.store import Store
from sim.workers.layers import LAYERS, Door, no_layers
from sim.workers.self_test import Attempt


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_sound_installation_has_no_failure_and_nothing_is_created(tmp_path: Path) -> None:
    home = tmp_path / "home"
    findings = doctor.examine({"REMEND_HOME": str(home)})
    assert [finding for finding in findings if finding.status is Status.FAIL] == []
    assert {"python", "packages", "libgomp", "pin", "pybullet", "home", "audit log"} <= set(by_name(findings))
    assert list(tmp_path.iterdir()) == []


def test_every_warning_and_failure_says_what_to_do(tmp_path: Path) -> None:
    broken = [
        doctor.python_version((3, 9, 2)),
        doctor.openmp("libnothing.so.7"),
        doctor.processors(1),
        doctor.clock(0.016),
        doctor.scheduler(may_fifo=False),
        doctor.library(Library(module="no_such_module", distribution="none", extra="", use="anything")),
        doctor.library(Library(module="no_such_module", distribution="none", extra="sim", use="anything")),
    ]
    assert all(finding.status is not Status.OK and finding.hint for finding in broken)
    assert doctor.worst(broken) is Status.FAIL


def test_worst_status_decides() -> None:
    fine, slow = doctor.processors(4), doctor.processors(1)
    assert doctor.worst([fine]) is Status.OK
    assert doctor.worst([fine, slow]) is Status.WARN
    assert doctor.worst([slow, doctor.python_version((3, 10, 0)), fine]) is Status.FAIL


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 14), Status.FAIL), ((3, 11, 0), Status.OK), ((4, 0, 0), Status.OK)]
)
def test_python_before_3_11_is_a_failure(version: tuple[int, ...], status: Status) -> None:
    assert doctor.python_version(version).status is status


def test_missing_library_of_an_extra_is_a_warning_and_of_the_base_a_failure() -> None:
    missing = Library(module="no_such_module", distribution="none", extra="", use="x")
    assert doctor.library(missing).status is Status.FAIL
    extra = doctor.library(Library(module="no_such_module", distribution="none", extra="sim", use="x"))
    assert extra.status is Status.WARN
    assert extra.hint == "pip install 'remend[sim]'"


def test_library_that_fails_to_load_is_a_finding_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> ModuleType:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", fail)
    finding = doctor.library(Library(module="pinocchio", distribution="pin", extra="", use="the rigid-body model"))
    assert finding.status is Status.FAIL
    assert "cannot open shared object file" in finding.what


def test_foreign_package_of_the_same_name_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec | None:
        if name == "controllers":
            return importlib.util.spec_from_file_location(name, tmp_path / "controllers" / "__init__.py")
        return real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    (finding,) = doctor.own_packages()
    assert finding.status is Status.FAIL
    assert str(tmp_path) in finding.what


def test_distribution_that_mixes_its_files_with_ours_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"telemetry": ["remend", "telemetry"]})
    (finding,) = doctor.own_packages()
    assert finding.status is Status.FAIL
    assert finding.what.startswith("telemetry is telemetry, at ")


def test_missing_package_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[str], importlib.machinery.ModuleSpec | None] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "patcher" else real(name))
    (finding,) = doctor.own_packages()
    assert finding.what.startswith("patcher is missing")


@pytest.mark.parametrize("variables", ["REMEND_HOME", "XDG_DATA_HOME", "HOME", "relative"])
def test_doctor_looks_where_remend_writes(variables: str, tmp_path: Path) -> None:
    environ = {variables: str(tmp_path / "place")}
    if variables == "relative":
        environ = {"XDG_DATA_HOME": "relative/place", "HOME": str(tmp_path)}
    looked_at = doctor.home_path(environ)
    assert not looked_at.exists()
    assert homes.home_folder(environ) == looked_at


def test_home_that_others_can_enter_is_a_warning(home: Path) -> None:
    home.chmod(0o755)
    finding = doctor.home_folder(home)
    assert finding.status is Status.WARN
    assert "0755" in finding.what
    home.chmod(0o700)
    assert doctor.home_folder(home).status is Status.OK


def test_home_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert doctor.home_folder(tmp_path / "file").status is Status.FAIL
    assert doctor.home_folder(tmp_path / "file" / "home").status is Status.FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_home_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert doctor.home_folder(tmp_path).status is Status.FAIL
    assert doctor.home_folder(tmp_path / "home").status is Status.FAIL
    tmp_path.chmod(0o700)


def test_home_without_database_has_no_log_to_verify(home: Path) -> None:
    assert doctor.audit_log(home).status is Status.OK
    (home / "audit.head").write_text("{}")
    assert doctor.audit_log(home).status is Status.WARN


def test_audit_log_is_verified_and_an_edit_found(home: Path) -> None:
    with Store.open(home):
        pass
    assert doctor.audit_log(home).status is Status.OK
    (home / "audit.head").write_text("{}")
    finding = doctor.audit_log(home)
    assert finding.status is Status.FAIL
    assert finding.hint


def test_damaged_database_is_a_finding_and_no_crash(home: Path) -> None:
    with Store.open(home):
        pass
    (home / "remend.db").write_bytes(b"not a database" * 100)
    assert doctor.audit_log(home).status is Status.FAIL


def test_doctor_names_every_layer_and_what_became_of_the_attacks(tmp_path: Path) -> None:
    findings = by_name(list(workers_check.confinement(tmp_path)))
    assert [f"layer {name}" for name in LAYERS] == [name for name in findings if name.startswith("layer ")]
    assert findings["self-test"].status is Status.OK
    assert findings["self-test"].what.startswith("5 attacks")


def test_doctor_says_what_a_machine_without_layers_cannot_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    through = Attempt(attack="read a file", door=Door.FILES, stopped=False, how="reached")
    monkeypatch.setattr("sim.workers.self_test.examine", lambda _: (no_layers("a test"), (through,)))
    findings = by_name(list(workers_check.confinement(tmp_path)))
    assert findings["layer seccomp"].status is Status.WARN
    assert findings["self-test"].status is Status.FAIL
    assert "read a file" in findings["self-test"].what
    assert "only known laws" in findings["workers"].what


def test_doctor_reports_workers_that_do_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RobotFault("no process")

    monkeypatch.setattr("sim.workers.self_test.examine", fail)
    (finding,) = workers_check.confinement(tmp_path)
    assert finding.status is Status.FAIL
    assert finding.what == "no process"


def test_doctor_reports_settings_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "remend.toml").write_text("[workers]\ncounts = 2\n")
    (finding,) = workers_check.confinement(tmp_path)
    assert finding.name == "settings"
    assert "counts" in finding.what


class _Endpoint(BaseHTTPRequestHandler):
    """A list of models as an endpoint of OpenAI's chat API has it. For tests."""

    def do_GET(self) -> None:
        model = {"id": "small-coder", "object": "model", "created": 1, "owned_by": "tests"}
        body = json.dumps({"object": "list", "data": [model]}).encode()
        found = self.path == "/v1/models"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the tests' console."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_doctor_asks_the_endpoint_of_the_model_for_its_list(tmp_path: Path, endpoint: str) -> None:
    (tmp_path / "remend.toml").write_text(f'[llm]\nmodel = "small-coder"\nbase_url = "{endpoint}"\n')
    (finding,) = model_check.language_model(tmp_path)
    assert finding.status is Status.OK
    assert finding.what == f"{endpoint} has small-coder"


def test_a_model_that_the_endpoint_does_not_have_is_a_warning_with_those_it_has(endpoint: str) -> None:
    finding = model_check.endpoint(LlmSettings(model="large-coder", base_url=endpoint))
    assert finding.status is Status.WARN
    assert "no large-coder, but small-coder" in finding.what


def test_an_endpoint_that_is_down_or_another_service_is_a_warning(endpoint: str) -> None:
    for url in ("http://127.0.0.1:9/v1", f"{endpoint}/elsewhere"):
        finding = model_check.endpoint(LlmSettings(model="small-coder", base_url=url))
        assert finding.status is Status.WARN
        assert "the other proposers go on" in finding.what


def test_a_key_that_is_not_in_the_environment_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    finding = model_check.endpoint(LlmSettings(model="m", provider="anthropic", key_variable="NO_SUCH_KEY"))
    assert finding.status is Status.WARN
    assert "NO_SUCH_KEY" in finding.what


def test_no_model_is_nothing_to_mend_and_unreadable_settings_are_said_once(tmp_path: Path) -> None:
    (finding,) = model_check.language_model(tmp_path)
    assert finding.status is Status.OK
    (tmp_path / "remend.toml").write_text("[llm]\nmodels = 2\n")
    assert list(model_check.language_model(tmp_path)) == []
