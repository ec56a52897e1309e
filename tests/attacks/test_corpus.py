"""The corpus of hostile candidates and settings: refused in one sentence, or harmless, and never promoted."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers.artefact import Artefact, artefact_from_files
from controllers.controller import Controller
from controllers.library import find_law
from core.errors import BadInput, RemendError
from core.robot_toml import load_robot
from core.status import Verdict
from remend.console import Console
from remend.settings import load_settings
from remend.validation import twin_of_fault
from sim.policy_toml import SHIPPED, load_policy, shipped_policy
from sim.trial import draw_trial
from sim.twin.twin import Twin
from sim.validate import validate
from sim.workers.answer import write_answer
from sim.workers.job import Job
from sim.workers.outcome import Lost
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings
from tests.attacks.corpus import ARM, CANDIDATES, ROBOTS, policies

HONEST = find_law(ARM, ARM.controller)
TRIAL = draw_trial(ARM, seed=1, robot_seed=1, duration_s=0.4)
POLICIES = dict(policies(SHIPPED.read_text()))
SETTINGS = {
    "is no TOML": "[[",
    "asks for a thousand million workers": "[workers]\ncount = 1000000000\n",
    "asks for no time": "[workers]\ntimeout_s = 0.0\n",
    "asks for time of no number": "[workers]\ntimeout_s = nan\n",
    "asks for endless memory": "[workers]\nmemory_mb = inf\n",
    "has a key too many": "[workers]\ntrust = true\n",
    "nests without end": "a = " + "[" * 20000 + "]" * 20000,
}
INSIDE = frozenset(  # the law language: arithmetic is total there, so these run, and have to prove themselves
    {
        "commands from limit to limit",
        "commands more than there is",
        "commands no number",
        "commands nothing",
        "commands the opposite",
        "commands too little",
        "computes with tiny numbers",
        "declares another encoding",
        "divides by nothing",
        "divides by what may be nothing",
        "overflows",
        "overflows an exponential",
        "takes the root of less than nothing",
    }
)


def require_one_sentence(error: RemendError, most: int = 400) -> None:
    said = str(error)
    assert "\n" not in said
    assert len(said) <= most
    assert "Traceback" not in said


def test_the_corpus_is_large_enough() -> None:
    assert len(CANDIDATES) + len(ROBOTS) + len(POLICIES) + len(SETTINGS) >= 120


def artefact(name: str) -> Artefact | None:
    try:
        return artefact_from_files("hostile", CANDIDATES[name])
    except RemendError as error:
        require_one_sentence(error)
        return None


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_is_refused_in_one_sentence_unless_it_is_inside_the_language(name: str) -> None:
    found = artefact(name)
    if name in INSIDE:
        assert found is not None
        Controller.from_artefact(found, ARM.ports)
    elif found is not None:
        with pytest.raises(RemendError) as refusal:
            Controller.from_artefact(found, ARM.ports)
        require_one_sentence(refusal.value)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(ARM, WorkerSettings(count=2, timeout_s=30.0)) as found:
        yield found


def test_none_has_an_effect_outside_its_worker_or_on_another_score(pool: Pool, tmp_path: Path) -> None:
    """All of them, also those that the check refuses, go to workers, with an honest law between any two."""
    if pool.layers().open_doors:
        pytest.skip("new laws are refused here")
    watched = tmp_path / "watched"
    watched.write_text("as it was")
    os.utime(watched, ns=(10**9, 10**9))
    named = [(name, found) for name in CANDIDATES if (found := artefact(name)) is not None]
    hostile = [Job(robot=ARM, artefact=found, scenarios=(TRIAL,)) for _, found in named]
    honest = Job(robot=ARM, artefact=HONEST, scenarios=(TRIAL,))
    (before,) = pool.run([honest])
    assert not isinstance(before, Lost)
    answers = pool.run([job for one in hostile for job in (one, honest)])
    for (name, _), answer, own in zip(named, answers[::2], answers[1::2], strict=True):
        assert not isinstance(own, Lost), name
        assert write_answer(own) == write_answer(before), name
        assert isinstance(answer, Lost) == (name not in INSIDE), name
        if isinstance(answer, Lost):
            assert "\n" not in answer.what
    assert watched.read_text() == "as it was"
    assert watched.stat().st_mtime_ns == 10**9
    assert [path.name for path in tmp_path.iterdir()] == ["watched"]


@pytest.fixture(scope="module")
def incident() -> tuple[Twin, float]:
    twin, _, repeated = twin_of_fault(ARM, HONEST, "payload:mass=0.3", 1, 0.7, Console(file=io.StringIO()))
    return twin, repeated


@pytest.mark.parametrize("name", sorted(INSIDE))
def test_who_is_inside_the_language_has_to_prove_itself_and_cannot(
    name: str, pool: Pool, incident: tuple[Twin, float]
) -> None:
    twin, repeated = incident
    found = artefact(name)
    assert found is not None
    report = validate(pool, twin, incumbent=HONEST, candidate=found, fidelity=repeated)
    assert report.verdict is not Verdict.PASS
    assert report.rollouts <= 12


@pytest.mark.parametrize("name", ROBOTS)
def test_a_robot_file_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    file = tmp_path / "robot.toml"
    content = ROBOTS[name]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / ARM.urdf.name).write_bytes(ARM.urdf.read_bytes())
    with pytest.raises(BadInput) as refusal:
        load_robot(file)
    require_one_sentence(refusal.value)
    assert "root:" not in str(refusal.value)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_that_would_let_anything_pass_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    content = POLICIES[name]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput) as refusal:
        load_policy(file)
    require_one_sentence(refusal.value)
    file.write_bytes(SHIPPED.read_bytes())
    assert load_policy(file) == shipped_policy()


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_are_none_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "remend.toml").write_text(SETTINGS[name])
    with pytest.raises(BadInput) as refusal:
        load_settings(tmp_path)
    require_one_sentence(refusal.value)
