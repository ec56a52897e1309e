"""The policy file: read as it stands, derived from its own margins, and refused with one sentence where it is wrong."""

from __future__ import annotations

import math
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from core.errors import BadInput
from core.stats import paired_sample_size
from sim.policy import Policy
from sim.policy_toml import SHIPPED, load_policy, shipped_policy

TEXT = SHIPPED.read_text(encoding="utf-8")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def edited(file: Path, **changes: Any) -> Path:
    """A copy of the shipped policy with values at `table__key` changed; `...` takes a key away."""
    data = tomllib.loads(TEXT)
    for place, value in changes.items():
        *tables, key = place.split("__")
        table = data[tables[0]] if tables else data
        if value is ...:
            del table[key]
        else:
            table[key] = value
    file.write_text(tomli_w.dumps(data), encoding="utf-8")
    return file


def complaint(file: Path) -> str:
    with pytest.raises(BadInput) as caught:
        load_policy(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    assert not message.endswith(".")
    return message


def numbers(policy: Policy) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for spec in fields(policy):
        value = getattr(policy, spec.name)
        if is_dataclass(value):
            found.update({f"{spec.name}.{inner.name}": getattr(value, inner.name) for inner in fields(value)})
    return found


def test_the_shipped_policy_is_read() -> None:
    policy = shipped_policy()
    assert policy.version == 1
    assert (policy.alpha.per_incident, policy.alpha.attempts, policy.alpha.each) == (0.05, 2, 0.025)
    assert (policy.superiority.margin, policy.power.worth_finding, policy.power.chance) == (0.05, 0.10, 0.95)
    assert (policy.limits.bound, policy.limits.confidence, policy.sealed.scenarios) == (0.05, 0.95, 59)
    assert (policy.elsewhere.severities, policy.elsewhere.broken_limit) == ((0.5, 1.5), "arm")
    assert policy.racing.stages == (3, 8, 16)
    assert policy is shipped_policy()


def test_the_number_of_scenarios_follows_from_margins_and_power() -> None:
    policy = shipped_policy()
    needed = policy.needed_scenarios()
    assert needed["limits.bound"] == max(needed.values()) == policy.sealed.scenarios
    # from -5 % to -10 % in logarithms is 0.0541
    assert needed["superiority.margin"] == paired_sample_size(0.05407, 0.10, 0.025, 0.95) == 47
    assert needed["non_inferiority.effort"] == paired_sample_size(0.10, 0.10, 0.025, 0.95)
    wider = replace(policy, power=replace(policy.power, spread=0.2)).needed_scenarios()
    assert wider["superiority.margin"] > 3 * needed["superiority.margin"]
    assert wider["limits.bound"] == 59


def test_a_file_that_asks_for_more_than_it_runs_is_refused_with_the_number(file: Path) -> None:
    message = complaint(edited(file, sealed__scenarios=58))
    assert "sealed.scenarios must be at least 59, as limits.bound asks for, not 58" in message
    message = complaint(edited(file, power__spread=0.2))
    assert "sealed.scenarios must be at least 180, as superiority.margin asks for, not 59" in message
    assert "non_inferiority.effort asks for" in complaint(edited(file, non_inferiority__effort=0.01))
    assert load_policy(edited(file, sealed__scenarios=200)).sealed.scenarios == 200


def test_the_hash_is_that_of_what_was_read(file: Path) -> None:
    assert load_policy(edited(file)).sha256 == shipped_policy().sha256  # without the comments
    assert load_policy(edited(file, superiority__margin=0.04)).sha256 != shipped_policy().sha256


@pytest.mark.parametrize("key", list(numbers(shipped_policy())))
def test_every_key_is_needed_and_takes_no_nonsense(file: Path, key: str) -> None:
    place = key.replace(".", "__")
    assert f"{key} is missing" in complaint(edited(file, **{place: ...}))
    for nonsense in (math.nan, -1, 1e12, "much", True):
        assert f" {key} must be" in complaint(edited(file, **{place: nonsense}))
        assert f" {key} must be" in complaint(edited(file, **{place: [nonsense]}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"superiority__level": 0.9}, "superiority.level is not known here"),
        ({"more": {"x": 1}}, "more is not known here"),
        ({"twin": 3}, "twin must be a table"),
        ({"twin": ...}, "twin is missing"),
        ({"version": 2}, "version is 2, and this Remend reads version 1"),
        ({"version": math.nan}, "version must be a number"),
        ({"version": ...}, "version is missing"),
        ({"power__worth_finding": 0.05}, "power.worth_finding must be above superiority.margin"),
        ({"alpha__per_day": 0.02}, "alpha.per_day must pay for one attempt"),
        ({"hopeless__clip": 0.05}, "hopeless.clip must be above hopeless.worth"),
        ({"elsewhere__severities": [1.5, 0.5]}, "elsewhere.severities must be a list of rising numbers"),
        ({"racing__stages": [3.5]}, "racing.stages must be whole numbers"),
        ({"racing__stages": []}, "racing.stages must be a list of rising numbers, at least one"),
        ({"elsewhere__broken_limit": "ignore"}, "elsewhere.broken_limit must be one of arm, fail"),
        ({"elsewhere__scenarios": 60}, "sealed.scenarios must be at least 60: the other runs repeat"),
        (
            {"alpha__per_incident": 0.5, "alpha__attempts": 1, "alpha__per_day": 1.0, "power__chance": 0.5},
            "power.chance must be above",
        ),
    ],
)
def test_a_mistake_is_named(file: Path, changes: dict[str, Any], said: str) -> None:
    assert said in complaint(edited(file, **changes))


def test_a_file_that_is_not_there_or_no_file_is_refused(file: Path, tmp_path: Path) -> None:
    assert "no such file" in complaint(file)
    assert "cannot be read" in complaint(tmp_path)
    file.write_text("version = = 1")
    assert "cannot be read as TOML" in complaint(file)


def test_every_key_is_explained() -> None:
    page = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    for key in ("version", *numbers(shipped_policy())):
        assert f"`{key}`" in page, f"docs/evidence.md does not explain {key}"
