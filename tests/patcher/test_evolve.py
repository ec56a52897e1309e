"""Evolution finds a remedy that no skill has, simulates nothing twice, and keeps to its budget."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from controllers.library import find_law
from patcher.llm.answer import normal_form
from patcher.llm.recording import recorded
from patcher.llm.settings import LlmSettings
from patcher.propose.base import Proposal, Situation
from patcher.propose.evolve import Evolve, _front, _Law
from patcher.propose.llm import Llm
from patcher.race import mean_error
from patcher.skill import shipped_skills
from remend.console import Console
from remend.validation import twin_of_fault
from sim.catalogue import find_robot
from sim.evidence import draw_scenarios
from sim.workers.in_process import InProcess
from tests.patcher.llm.test_llm import RECORDED

ARM = find_robot("arm2")


def situation(fault: str, law: str, budget: int) -> Situation:
    incumbent = find_law(ARM, law)
    twin, _, _ = twin_of_fault(ARM, incumbent, fault, 1, 0.7, Console(file=io.StringIO()))
    return Situation(incident_id=fault, twin=twin, incumbent=incumbent, budget=budget, seed=1)


class Watched(InProcess):
    """Workers that remember whom they met."""

    def roll(self, pairs, lockstep=None):  # type: ignore[no-untyped-def]
        self.met = [*getattr(self, "met", []), *pairs]
        return super().roll(pairs, lockstep)


def recovery(proposal: Proposal, incident: Situation) -> float:
    """Share of the lost tracking that comes back on scenarios that no search has met."""
    workers = InProcess(ARM, trusting=True)
    faulty, healthy = (draw_scenarios(incident.twin, 6, 991, severity=severity) for severity in (1.0, 0.0))
    jobs = [(incident.incumbent, faulty), (proposal.artefact, faulty), (incident.incumbent, healthy)]
    lost, patched, nominal = (mean_error(workers.judge([(law, each) for each in drawn])) for law, drawn in jobs)
    return (lost - patched) / (lost - nominal)


def test_a_fault_that_no_skill_answers_is_healed_and_the_law_can_be_read() -> None:
    assert not any("spring" in skill.answers for skill in shipped_skills())
    incident, workers = situation("spring", "computed_torque", 150), Watched(ARM, trusting=True)
    (proposal,) = Evolve().propose(incident, workers)
    assert workers.rollouts <= 150
    assert recovery(proposal, incident) > 0.5
    text = proposal.artefact.files["law.py"].decode()
    assert re.search(r"tau\[i\] \+= on_\w+\[i\] \* .*q_ref\[i\]", text)
    assert len(text.splitlines()) < 30
    assert "the law adds it ahead" in proposal.candidate.rationale
    assert proposal.candidate.kind == "code"
    laws = {law.sha256: law for law, _ in workers.met}
    first_met = [law for law in laws.values() if law.sha256 != incident.incumbent.sha256]
    said = [normal_form(law) + str(law.files["params.toml"]) for law in first_met]
    assert len(said) == len(set(said))


@pytest.mark.parametrize("budget", [0, 11, 12, 15, 30])
def test_a_small_budget_is_kept(budget: int) -> None:
    incident, workers = situation("friction", "computed_torque", budget), InProcess(ARM, trusting=True)
    found = Evolve().propose(incident, workers)
    assert workers.rollouts <= budget
    assert bool(found) == (budget >= 12)


def test_one_seed_finds_one_law() -> None:
    incident = situation("spring", "joint_pd", 40)
    found = [Evolve().propose(incident, InProcess(ARM, trusting=True))[0].artefact for _ in range(2)]
    assert found[0] == found[1]


def test_without_a_fault_nothing_is_evolved() -> None:
    incident = situation("friction", "computed_torque", 100)
    healthy = replace(incident.twin.causes[0], cause="none")
    workers = InProcess(ARM, trusting=True)
    assert Evolve().propose(replace(incident, twin=replace(incident.twin, causes=(healthy,))), workers) == []
    assert workers.rollouts == 0


def test_parents_are_those_that_nobody_beats_everywhere() -> None:
    artefact = find_law(ARM, "joint_pd")
    a, b, c = (_Law(artefact=artefact, neutral={}, terms=(), scores=s) for s in ([0.2, 0.9], [0.8, 0.4], [0.9, 0.9]))
    assert _front([c, b, a]) == [a, b]
    assert a.mean == pytest.approx(0.55)


def test_a_recorded_answer_of_a_small_model_heals_friction() -> None:
    incident = situation("friction", "joint_pd", 160)
    llm = Llm(LlmSettings(model="qwen2.5-coder-1.5b"), recorded(RECORDED / "arm2_friction.jsonl"))
    (proposal,) = llm.propose(incident, InProcess(ARM, trusting=True))
    assert "tau[i] += drag[i] * qd_ref[i]" in proposal.artefact.files["law.py"].decode()
    assert recovery(proposal, incident) > 0.4
    assert llm.spent.calls == 1
