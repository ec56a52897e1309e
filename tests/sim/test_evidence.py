"""Evidence is drawn so that nobody can tune to it, paired so that it compares, and kept to limits that never loosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import Artefact, with_params
from core.block import Block
from core.ids import sha256_of
from core.metrics import Array
from core.records import Gate
from core.status import Verdict
from sim.canary_limits import canary_limits, canary_peaks
from sim.effect import NO_EFFECT
from sim.evidence import Evidence, Pair, draw_scenarios
from sim.gather import run_sealed, run_the_rest
from sim.judge import Judgement
from sim.policy_toml import shipped_policy
from sim.scenario import Scenario
from sim.sealing import seed_of
from sim.validate import held, validate
from sim.visited import Visited, stretch
from sim.workers.answer import Rolled
from sim.workers.forgery import Forged, Forgery
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, IIWA, FakeWorkers, N, judged

TWIN = made_up.twin()
REMEDY = with_params(COMPUTED_TORQUE, {"mass": 5.0})
POLICY = shipped_policy()


def hashes(scenarios: list[Scenario]) -> list[str]:
    return [scenario.sha256 for scenario in scenarios]


def collect(workers: FakeWorkers, candidate: Artefact = REMEDY, seed: int = 3) -> Evidence:
    fake: Any = workers
    sealed = run_sealed(fake, TWIN, COMPUTED_TORQUE, candidate, POLICY, seed)
    return run_the_rest(fake, TWIN, COMPUTED_TORQUE, candidate, POLICY, seed, sealed)


def gate_of(report: Any, name: str) -> Gate:
    (found,) = (gate for gate in report.gates if gate.name == name)
    return found


def seed_of_laws(candidate: Artefact) -> int:
    """Without a seal the scenarios follow from the laws."""
    return int(sha256_of(COMPUTED_TORQUE.sha256 + candidate.sha256)[:13], 16)


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_one_seed_draws_the_same_scenarios_and_another_seed_others() -> None:
    first = hashes(draw_scenarios(TWIN, 6, 3))
    assert first == hashes(draw_scenarios(TWIN, 6, 3))
    assert not set(first) & set(hashes(draw_scenarios(TWIN, 6, 4)))
    assert len(set(first)) == 6


def test_fewer_scenarios_of_a_seed_are_the_first_of_more() -> None:
    assert hashes(draw_scenarios(TWIN, 8, 3))[:5] == hashes(draw_scenarios(TWIN, 5, 3))


def test_scenarios_differ_in_robot_task_and_noise() -> None:
    drawn = draw_scenarios(TWIN, 6, 3)
    assert len({scenario.effect.payload_kg for scenario in drawn}) == 6
    assert len({scenario.physics.inertials.tobytes() for scenario in drawn}) == 6
    assert len({scenario.task_seed for scenario in drawn}) == len({scenario.noise_seed for scenario in drawn}) == 6
    assert len({scenario.task_kind for scenario in drawn}) == 3
    assert all(4.7 < scenario.effect.payload_kg < 5.3 for scenario in drawn)


def test_severity_zero_has_no_fault() -> None:
    for scenario in draw_scenarios(TWIN, 6, 3, severity=0.0):
        assert scenario.effect == NO_EFFECT
        assert "no fault" in scenario.name


@pytest.mark.parametrize("severity", [0.5, 1.5])
def test_severity_scales_the_fault_and_leaves_the_rest(severity: float) -> None:
    whole, part = draw_scenarios(TWIN, 4, 3), draw_scenarios(TWIN, 4, 3, severity=severity)
    for one, other in zip(whole, part, strict=True):
        assert other.effect.payload_kg == severity * one.effect.payload_kg
        assert (other.task_kind, other.task_seed, other.noise_seed) == (one.task_kind, one.task_seed, one.noise_seed)
        assert np.array_equal(other.physics.inertials, one.physics.inertials)
        assert f"{severity:g} x the diagnosed fault" in other.name


def test_added_delay_comes_on_top_of_the_faults_own() -> None:
    slow = made_up.twin(made_up.cause("delay", 0.006))
    assert [s.effect.delay_s for s in draw_scenarios(slow, 2, 3, added_delay_s=0.004)] == [0.010, 0.010]
    (scenario,) = draw_scenarios(TWIN, 1, 3, added_delay_s=0.008)
    assert scenario.effect.delay_s == 0.008
    assert "8 ms more delay" in scenario.name


@pytest.mark.parametrize("factor", [0.8, 2.0])
def test_another_loop_gain_scales_what_the_fault_has_left_of_every_drive(factor: float) -> None:
    weak = made_up.twin(made_up.cause("actuator_loss", 0.4))
    for scenario in draw_scenarios(weak, 2, 3, loop_gain=factor):
        left = 1.0 - scenario.effect.vector("gain_loss", N)
        assert left == pytest.approx([factor * (0.6 if i == 2 else 1.0) for i in range(N)])
        assert f"{factor:g} x the loop gain" in scenario.name
    assert hashes(draw_scenarios(weak, 2, 3, loop_gain=1.0)) == hashes(draw_scenarios(weak, 2, 3))


# -- gathering --------------------------------------------------------------------------------------------------------


def test_incumbent_and_candidate_meet_the_same_worlds() -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    collect(workers)
    met: dict[str, list[str]] = {COMPUTED_TORQUE.sha256: [], REMEDY.sha256: []}
    for artefact, scenario in workers.jobs:
        met[artefact.sha256].append(scenario.sha256)
    assert met[COMPUTED_TORQUE.sha256] == met[REMEDY.sha256]
    assert workers.rollouts == 2 * (59 + 3 * 6 + 2 * 4 + 2 * 4)


def test_every_pair_holds_the_answers_of_its_own_scenario() -> None:
    found = collect(FakeWorkers(made_up.load_cancelled))
    groups = [found.sealed, *found.severities.values(), *found.delays.values(), *found.gains.values()]
    for pair in (pair for group in groups for pair in group):
        assert pair.before == made_up.load_cancelled(COMPUTED_TORQUE, pair.scenario)
        assert pair.after == made_up.load_cancelled(REMEDY, pair.scenario)


def test_all_that_the_gates_ask_about_is_run() -> None:
    found = collect(FakeWorkers(made_up.load_cancelled))
    assert len(found.sealed) == POLICY.sealed.scenarios == 59
    assert {severity: len(pairs) for severity, pairs in found.severities.items()} == {0.0: 6, 0.5: 6, 1.5: 6}
    assert {delay_s: len(pairs) for delay_s, pairs in found.delays.items()} == {0.004: 4, 0.008: 4}
    assert {factor: len(pairs) for factor, pairs in found.gains.items()} == {0.8: 4, 2.0: 4}
    for severity, pairs in found.severities.items():
        for sealed, pair in zip(found.sealed, pairs, strict=False):
            assert pair.scenario.task_seed == sealed.scenario.task_seed
            assert pair.scenario.effect.payload_kg == severity * sealed.scenario.effect.payload_kg
    for delay_s, pairs in found.delays.items():
        for sealed, pair in zip(found.sealed, pairs, strict=False):
            assert pair.scenario.task_seed == sealed.scenario.task_seed
            assert pair.scenario.effect.delay_s == sealed.scenario.effect.delay_s + delay_s
    for factor, pairs in found.gains.items():
        for sealed, pair in zip(found.sealed, pairs, strict=False):
            assert pair.scenario.task_seed == sealed.scenario.task_seed
            assert pair.scenario.effect.vector("gain_loss", N) == pytest.approx([1.0 - factor] * N)


def test_a_candidate_that_changes_nothing_is_dropped_after_a_few_pairs() -> None:
    report = report_of(FakeWorkers(lambda artefact, scenario: judged(0.02)))
    assert report.rollouts == 2 * 6  # the bet is won after five; looks are at 3, 6, 12, ...
    assert report.verdict is Verdict.FAIL
    assert "hopeless after 6 of 59" in gate_of(report, "superior_tracking").why
    assert {gate_of(report, name).verdict for name in ("delay_margin", "gain_margin", "healthy_plant", "severity")} == {
        Verdict.INCONCLUSIVE
    }


def test_a_candidate_that_breaks_a_limit_or_has_no_number_is_dropped_at_the_next_look() -> None:
    bad = draw_scenarios(TWIN, 59, seed_of_laws(REMEDY))[7].sha256

    def breaks(artefact: Artefact, scenario: Scenario) -> Judgement:
        error = 0.01 if artefact is REMEDY else 0.02
        return judged(error, broken=artefact is REMEDY and scenario.sha256 == bad)

    def no_number(artefact: Artefact, scenario: Scenario) -> Judgement:
        wrong = artefact is REMEDY and scenario.sha256 == bad
        return judged(0.01 if artefact is REMEDY else 0.02, **({"rms_effort": math.nan} if wrong else {}))

    for formula, gate in ((breaks, "limits"), (no_number, "superior_tracking")):
        report = report_of(FakeWorkers(formula))
        assert report.rollouts == 2 * 12
        assert gate_of(report, gate).verdict is Verdict.FAIL
        assert report.verdict is Verdict.FAIL
        assert report.sha256 == sha256_of(report)  # it can be written down


def test_what_is_not_superior_enough_costs_no_further_runs() -> None:
    """Sealed runs that are all done and leave the verdict open: the rest could not turn it into a pass."""

    def wobbly(artefact: Artefact, scenario: Scenario) -> Judgement:
        number = int(scenario.name.split(",")[0].split()[1])
        return judged(0.02 * (1.0 if artefact is COMPUTED_TORQUE else math.exp(-0.06 + 0.1 * (-1) ** number)))

    report = report_of(FakeWorkers(wobbly))
    assert gate_of(report, "superior_tracking").verdict is Verdict.INCONCLUSIVE
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.rollouts == 2 * 59


# -- what becomes of it -----------------------------------------------------------------------------------------------


def report_of(workers: FakeWorkers, candidate: Artefact = REMEDY, fidelity: float = 0.9, **more: Any) -> Any:
    fake: Any = workers
    return validate(
        fake, TWIN, incumbent=COMPUTED_TORQUE, candidate=candidate, patch_id="pat_1", fidelity=fidelity, **more
    )


def test_a_patch_that_cancels_the_load_passes_every_gate() -> None:
    report = report_of(FakeWorkers(made_up.load_cancelled))
    assert report.verdict is Verdict.PASS
    assert {gate.verdict for gate in report.gates} == {Verdict.PASS}
    assert [gate.name for gate in report.gates] == [
        "superior_tracking",
        "non_inferior_effort",
        "non_inferior_torque_variation",
        "non_inferior_max_tracking_error",
        "limits",
        "worst_decile",
        "delay_margin",
        "gain_margin",
        "healthy_plant",
        "severity",
        "law_cost",
        "fidelity",
        "replay",
    ]
    assert (report.base_sha, report.result_sha) == (COMPUTED_TORQUE.sha256, REMEDY.sha256)
    assert (report.rollouts, report.seed, report.patch_id) == (186, seed_of_laws(REMEDY), "pat_1")
    assert report.policy_sha == POLICY.sha256
    assert report.needs_revert_trigger  # without the load it cancels what is not there
    tracking = report.deltas[0]
    assert tracking.metric == "rms_tracking_error"
    assert tracking.ci_low < tracking.delta < tracking.ci_high < 0
    assert tracking.delta == pytest.approx(tracking.after - tracking.before)
    assert len(report.scenarios) == tracking.n_pairs == 59
    assert report.sha256 == sha256_of(report)


def test_a_worker_that_lied_about_a_patch_is_found_out_and_the_patch_refused() -> None:
    class Liars(FakeWorkers):
        def said_again(self, shown: Array) -> Array:
            return np.nextafter(super().said_again(shown), np.inf)

    report = report_of(Liars(made_up.load_cancelled))
    assert [gate.name for gate in report.gates if gate.verdict is not Verdict.PASS] == ["replay"]
    assert "the law commands something else at tick 0" in gate_of(report, "replay").why
    assert report.verdict is Verdict.FAIL


@pytest.mark.parametrize("runs", [0, 118])
def test_a_law_that_breaks_off_a_run_is_refused_at_once(runs: int) -> None:
    """At the first sealed scenarios, and at the first of the others."""

    class Breaking(FakeWorkers):
        def roll(self, pairs: Sequence[tuple[Artefact, Scenario]], lockstep: Artefact | None = None) -> list[Rolled]:
            rolled = super().roll(pairs, lockstep)
            if self.rollouts > runs:
                raise Forged(Forgery(scenario=pairs[0][1], what="no answer in time"))
            return rolled

    workers = Breaking(made_up.load_cancelled)
    report = report_of(workers)
    assert [(gate.name, gate.verdict) for gate in report.gates] == [("replay", Verdict.FAIL)]
    assert "no answer in time" in gate_of(report, "replay").why
    assert (report.verdict, report.needs_revert_trigger) == (Verdict.FAIL, True)
    assert len(report.scenarios) == runs // 2
    assert report.rollouts == workers.rollouts


def test_only_the_candidate_is_run_in_lockstep() -> None:
    class Watching(FakeWorkers):
        def roll(self, pairs: Sequence[tuple[Artefact, Scenario]], lockstep: Artefact | None = None) -> list[Rolled]:
            assert lockstep is REMEDY
            return super().roll(pairs, lockstep)

    assert report_of(Watching(made_up.load_cancelled)).verdict is Verdict.PASS


def test_nothing_is_replayed_of_a_patch_that_is_refused_anyway() -> None:
    report = report_of(FakeWorkers(lambda artefact, scenario: judged(0.02)))
    assert "replay" not in {gate.name for gate in report.gates}


@pytest.mark.parametrize(
    ("spoil", "gate", "verdict"),
    [
        ({"rms_effort": 60.0}, "non_inferior_effort", Verdict.FAIL),
        ({"torque_variation": 50.0}, "non_inferior_torque_variation", Verdict.FAIL),
        ({"rms_tracking_error": 0.5}, "superior_tracking", Verdict.FAIL),
        ({"max_tracking_error": 0.5}, "non_inferior_max_tracking_error", Verdict.FAIL),
        ({"broken": True}, "limits", Verdict.FAIL),
    ],
)
def test_every_gate_can_stop_a_patch(spoil: dict[str, Any], gate: str, verdict: Verdict) -> None:
    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        error = made_up.load_cancelled(artefact, scenario).metrics["rms_tracking_error"]
        return judged(error, **(spoil if artefact is REMEDY else {}))

    report = report_of(FakeWorkers(formula))
    assert {found.name: found.verdict for found in report.gates}[gate] is verdict
    assert report.verdict is Verdict.FAIL


def test_the_incumbent_as_its_own_patch_fails() -> None:
    assert report_of(FakeWorkers(made_up.load_cancelled), COMPUTED_TORQUE).verdict is Verdict.FAIL


def test_a_twin_that_repeats_little_of_the_incident_holds_the_patch() -> None:
    assert report_of(FakeWorkers(made_up.load_cancelled), fidelity=0.5).verdict is Verdict.INCONCLUSIVE
    lost = report_of(FakeWorkers(made_up.load_cancelled), fidelity=math.nan)
    assert lost.verdict is Verdict.FAIL
    assert lost.sha256 == sha256_of(lost)


def test_an_incident_outside_of_what_was_visited_holds_the_patch() -> None:
    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        return replace(made_up.load_cancelled(artefact, scenario), visited=Visited(low=(-1.0,) * 21, high=(1.0,) * 21))

    rows = np.zeros((20, 2 + 7 * N))
    calm = Block(data=rows, actuators=N)
    fast = Block(data=rows.copy(), actuators=N)
    fast.group("qd")[10:, 3] = 2.0
    for block, verdict in ((calm, Verdict.PASS), (fast, Verdict.INCONCLUSIVE)):
        report = report_of(FakeWorkers(formula), incident=stretch(IIWA, block))
        assert gate_of(report, "novelty").verdict is report.verdict is verdict
    assert "speed of joint_4 was 0 to 2 rad/s" in gate_of(report, "novelty").why


def test_alpha_is_a_gate_where_there_is_a_seal() -> None:
    report = report_of(FakeWorkers(made_up.load_cancelled), seal=made_up.seal(attempt=2))
    assert gate_of(report, "alpha_budget").verdict is Verdict.PASS
    assert report.seal == made_up.seal(attempt=2)
    assert report.seed == seed_of(report.seal)
    beyond = report_of(FakeWorkers(made_up.load_cancelled), seal=made_up.seal(attempt=3))
    assert beyond.verdict is Verdict.INCONCLUSIVE


def test_a_candidate_without_alpha_is_held_and_nothing_is_run() -> None:
    candidate: Any = SimpleNamespace(id="pat_1", base_sha="b", result_sha="c")
    report = held(TWIN, "there is none before noon", candidate=candidate, fidelity=0.9, policy=POLICY)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [(gate.name, gate.why) for gate in report.gates] == [("alpha_budget", "there is none before noon")]
    assert (report.rollouts, report.scenarios, report.deltas, report.canary_limit) == (0, (), (), {})
    assert report.sha256 == sha256_of(report)


def test_the_worst_scenario_is_the_one_with_the_largest_growth() -> None:
    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        unlucky = artefact is REMEDY and scenario.name.startswith("weave 5,")  # within the worst decile's margin
        return judged(0.02 if unlucky else made_up.load_cancelled(artefact, scenario).metrics["rms_tracking_error"])

    assert report_of(FakeWorkers(formula)).worst.startswith("weave 5, 1 x the diagnosed fault, load ")


peaks = st.lists(st.floats(0.0, 1.0), min_size=N, max_size=N)


@settings(max_examples=25)
@given(peaks, peaks)
def test_canary_never_allows_more_than_a_fifth_beyond_the_incumbents_peak(
    before: list[float], after: list[float]
) -> None:
    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        return judged(0.01 if artefact is REMEDY else 0.02, peak=after if artefact is REMEDY else before)

    limits = canary_limits(report_of(FakeWorkers(formula)), N)
    for i in range(N):
        floor_rad = 0.002  # for what the sensors add to a perfect loop
        assert limits.ramp_error[i] <= 1.2 * before[i] + floor_rad
        assert limits.settled_error[i] <= limits.ramp_error[i]
        assert limits.settled_error[i] <= 2.0 * after[i] + floor_rad
        assert limits.settled_error[i] >= floor_rad > 0.0
    assert limits.variation_nm == pytest.approx(1.5 * 2.0)


def test_canary_judges_after_the_diagnosed_offset() -> None:
    biased = made_up.twin(made_up.cause("sensor_bias", 0.05))
    fake: Any = FakeWorkers(lambda artefact, scenario: judged(0.01 if artefact is REMEDY else 0.02))
    report = validate(fake, biased, incumbent=COMPUTED_TORQUE, candidate=REMEDY, patch_id="pat_1", fidelity=0.9)
    assert canary_limits(report, N).offset == (0.0, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0)


def test_peaks_are_the_largest_over_all_pairs_joint_by_joint() -> None:
    rows = [(0.1 * k + 0.01 * np.arange(N)).tolist() for k in (1, 3, 2)]
    (scenario,) = draw_scenarios(TWIN, 1, 3)
    pairs = tuple(
        Pair(scenario=scenario, before=judged(1.0, peak=row), after=judged(1.0, peak=row[::-1])) for row in rows
    )
    before, after, variation = canary_peaks(IIWA, pairs)
    assert before == rows[1]
    assert after == rows[1][::-1]
    assert variation == 2.0
