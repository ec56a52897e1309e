"""A model proposes, is corrected, and is left alone when it does not help; nothing is simulated that did not pass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import RequestUsage

from core.errors import BadInput
from core.toml_table import Table
from patcher.llm.recording import recorded, recording
from patcher.llm.settings import LlmSettings, read_llm_settings
from patcher.llm.writer import NoAnswer, SpentUp, Writer, live_model
from patcher.propose.base import Ranked
from patcher.propose.llm import Llm
from sim.judge import Judgement
from sim.scenario import Scenario
from tests import made_up
from tests.made_up import JOINT_PD, FakeWorkers, judged
from tests.patcher.llm.test_answer import PD, said

MODEL = LlmSettings(model="made-up")
RECORDED = Path(__file__).parent / "recorded"


def speaks(*texts: str, heard: list[str] | None = None) -> Any:
    """FAKE model: says these texts, one after the other."""

    def make(_: LlmSettings) -> FunctionModel:
        answers: Iterator[str] = iter(texts)

        def answer(messages: list[Any], _: Any) -> ModelResponse:
            if heard is not None:
                heard.append(str(messages[-1].parts[-1].content))
            text = next(answers, None)
            if text is None:
                raise ModelAPIError("made-up", "connection refused")
            return ModelResponse(parts=[TextPart(text)], usage=RequestUsage(input_tokens=1000, output_tokens=100))

        return FunctionModel(answer)

    return make


def drag_helps(artefact: Any, scenario: Scenario) -> Judgement:
    drag = made_up.params(artefact).get("drag", [0.0] * 7)[1]
    return judged(0.01 + 0.01 * abs(drag - 3.5))


def propose(llm: Llm, budget: int = 300, workers: FakeWorkers | None = None) -> tuple[Sequence[Any], FakeWorkers]:
    fake: Any = workers or FakeWorkers(drag_helps)
    situation = made_up.situation(made_up.cause("friction", 3.5), incumbent=JOINT_PD, budget=budget)
    return llm.propose(situation, fake), fake


def test_a_law_of_a_model_is_proposed_with_its_numbers_tuned() -> None:
    llm = Llm(MODEL, speaks(said()))
    (proposal,), workers = propose(llm)
    assert made_up.params(proposal.artefact)["drag"][1] == pytest.approx(3.5, abs=0.3)
    assert proposal.candidate.kind == "code"
    assert proposal.candidate.proposer == "llm"
    assert proposal.candidate.rationale.startswith("made-up (law@1:")
    assert 'says: "Viscous friction has grown. Feeds the drag forward."' in proposal.candidate.rationale
    assert {change.name for change in proposal.candidate.changes} == {f"drag[{k}]" for k in range(7)}
    assert workers.rollouts <= 300
    assert (llm.spent.calls, llm.spent.tokens_in, llm.spent.tokens_out) == (1, 1000, 100)


def test_refusals_go_back_and_nothing_refused_is_simulated() -> None:
    heard: list[str] = []
    bad = said(PD + "    tau[0] += q.sum()\n")
    llm = Llm(MODEL, speaks(bad, said(PD), said(), heard=heard))
    (proposal,), workers = propose(llm)
    assert "an attribute (a dot) is not part of the law language" in heard[1]
    assert "this is the law that the robot has" in heard[2]
    assert len(llm.refused) == 2
    laws = {artefact.files["law.py"] for artefact, _ in workers.jobs}
    assert laws == {JOINT_PD.files["law.py"], proposal.artefact.files["law.py"]}


def test_after_three_repairs_it_is_left_alone() -> None:
    llm = Llm(LlmSettings(model="made-up", calls=10), speaks(*[said(PD)] * 9))
    found, workers = propose(llm)
    assert found == []
    assert len(llm.refused) == 4
    assert workers.rollouts == 1


@pytest.mark.parametrize(
    ("settings", "texts", "why"),
    [
        (MODEL, [], "connection refused"),
        (MODEL, ["I do not know.", "I still do not."], "retries"),
        (LlmSettings(model="m", calls=2), [said(PD)] * 3, "2 calls are made"),
        (LlmSettings(model="m", tokens=2500, answer_tokens=500), [said(PD)] * 3, "may pass 2500 tokens"),
        (LlmSettings(model="m", usd_per_mtok_in=900.0, usd=1.0), [said(PD)] * 3, "1 USD are spent"),
    ],
)
def test_without_an_answer_the_others_go_on(settings: LlmSettings, texts: list[str], why: str) -> None:
    llm = Llm(settings, speaks(*texts))
    found, _ = propose(llm)
    assert found == []
    assert why in llm.refused[-1]


def test_without_a_model_nobody_is_asked() -> None:
    found, workers = propose(Llm())
    assert found == []
    assert workers.rollouts == 0


def test_a_law_that_was_tried_is_not_tried_again() -> None:
    (first,), _ = propose(Llm(MODEL, speaks(said())))
    llm = Llm(MODEL, speaks(said()))
    situation = made_up.situation(made_up.cause("friction", 3.5), incumbent=JOINT_PD)
    tried = (Ranked(proposal=first, score=0.5, bound=0.6, recovery=0.4),)
    fake: Any = FakeWorkers(drag_helps)
    assert llm.propose(replace(situation, tried=tried), fake) == []
    assert "was tried already" in llm.refused[0]


def test_what_a_model_said_can_be_kept_and_given_again(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    (first,), _ = propose(Llm(MODEL, recording(file, speaks(said(PD), said()))))
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["text"] for each in kept] == [said(PD), said()]
    assert all(each["tokens_in"] == 1000 and len(each["prompt_sha"]) == 64 for each in kept)
    llm = Llm(MODEL, recorded(file))
    (again,), _ = propose(llm)
    assert again.artefact == first.artefact
    assert llm.spent.calls == 2
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(NoAnswer, match="no further answer"):
        Writer(MODEL, recorded(empty)).write("x")


def test_a_missing_key_is_said_before_anybody_is_asked() -> None:
    with pytest.raises(BadInput, match="there is no REMEND_NO_SUCH_KEY in the environment"):
        live_model(LlmSettings(model="x", key_variable="REMEND_NO_SUCH_KEY"))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_key_comes_from_the_environment(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMEND_TEST_KEY", "sk-made-up")
    settings = LlmSettings(model="some-model", provider=provider, key_variable="REMEND_TEST_KEY", base_url="")
    assert live_model(settings).model_name == "some-model"


def test_an_endpoint_that_is_down_is_one_sentence() -> None:
    settings = LlmSettings(model="x", base_url="http://127.0.0.1:9/v1", timeout_s=5.0)
    with pytest.raises(NoAnswer) as none:
        Writer(settings).write("hello")
    assert "\n" not in str(none.value)
    assert not isinstance(none.value, SpentUp)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"provider": "oracle"}, "llm.provider must be one of openai, anthropic"),
        ({"form": "song"}, "llm.form must be one of text, json"),
        ({"calls": 0}, "llm.calls must be a number between 1"),
        ({"api_key": "sk-123"}, "api_key"),
    ],
)
def test_settings_are_checked(table: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_llm_settings(Table(Path("remend.toml"), table, "llm."))
    read = read_llm_settings(Table(Path("remend.toml"), {"model": "m", "usd": 0.5}, "llm."))
    assert (read.model, read.usd, read.wanted) == ("m", 0.5, True)
