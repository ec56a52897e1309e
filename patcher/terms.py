"""Terms: a coefficient times something that the law can read, added to each command.

Which terms are worth trying is read off the loop itself. Under a fault the feedback has to command what it does not
without: the difference, along the same reference, is roughly what a feed-forward would have to add. Regressing it on
what a law can read says which terms there may be, and how large (feedback error learning, Kawato 1990, without the
network).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact, with_params
from controllers.params import Value
from core.metrics import Array
from core.robot import Robot
from patcher.curves import Curves
from patcher.graft import graft, neutral
from patcher.skill import Skill, SkillParam
from sim.effect import NO_EFFECT

_ROOM = 4.0  # bounds of a coefficient, in multiples of its first estimate
_RIDGE = 1e-9
_SECOND, _EXOTIC = 0.02, 0.02  # the same, for a second term and for one that is harder to read
_WORTH = 0.05  # share of what the feedback adds that a term must explain to be tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Something that a term can be made of; `j` is a coordinate."""

    name: str
    text: str  # in the law language
    per: str  # its unit, that a coefficient is "command per"
    signals: tuple[str, ...]
    price: float = 0.0  # share of what is to be explained that it must explain on top, for being harder to read


KINDS = (
    Kind(name="place", text="q_ref[j]", per="coordinate", signals=("q_ref",)),
    Kind(name="rate", text="qd_ref[j]", per="coordinate/s", signals=("qd_ref",)),
    Kind(name="direction", text="tanh(qd_ref[j] / 0.02)", per="1", signals=("qd_ref",)),
    Kind(name="acceleration", text="qdd_ref[j]", per="coordinate/s^2", signals=("qdd_ref",)),
    Kind(name="constant", text="1.0", per="1", signals=()),
    Kind(name="sine", text="sin(q_ref[j])", per="1", signals=("q_ref",), price=_EXOTIC),
    Kind(name="cosine", text="cos(q_ref[j])", per="1", signals=("q_ref",), price=_EXOTIC),
    Kind(name="drag", text="abs(qd_ref[j]) * qd_ref[j]", per="(coordinate/s)^2", signals=("qd_ref",), price=_EXOTIC),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A kind at a coordinate (None: the one that each actuator drives), with a coefficient for each actuator."""

    kind: Kind
    coordinate: int | None
    coefficients: tuple[float, ...]  # (m,) command per unit of the kind

    @property
    def name(self) -> str:
        return f"on_{self.kind.name}" + ("" if self.coordinate is None else f"_{self.coordinate + 1}")

    @property
    def text(self) -> str:
        """What its coefficient is multiplied by, as the law says it."""
        return self.kind.text if self.coordinate is None else re.sub(r"\bj\b", str(self.coordinate), self.kind.text)


def columns(curves: Curves, robot: Robot) -> Iterator[tuple[Kind, int | None, Array]]:
    """Every kind at every place, with its (N, m) values along a run: one column for each actuator."""
    drives = robot.drives
    direct = all(joint is not None for joint in drives)
    for kind in KINDS:
        if direct:
            yield kind, None, np.stack([_values(kind, curves, int(joint or 0)) for joint in drives], axis=1)
            continue
        places = robot.tracked if kind.text != "1.0" else robot.tracked[:1]
        for joint in places:
            yield kind, joint, np.repeat(_values(kind, curves, joint)[:, None], len(drives), axis=1)


def _values(kind: Kind, curves: Curves, joint: int) -> Array:
    """(N,) of one kind, as the law would read it."""
    place, rate, acceleration = (a[:, joint] for a in (curves.q_ref, curves.qd_ref, curves.qdd_ref))
    return {
        "place": place,
        "rate": rate,
        "direction": np.tanh(rate / 0.02),
        "acceleration": acceleration,
        "constant": np.ones(len(place)),
        "sine": np.sin(place),
        "cosine": np.cos(place),
        "drag": np.abs(rate) * rate,
    }[kind.name]


def explain(added: Array, curves: Curves, robot: Robot, most: int) -> list[tuple[Term, ...]]:
    """Sets of one or two terms that explain what the feedback adds, those that explain most first.

    Args:
        added: (N, m) commands under the fault minus commands without it.
    """
    known = list(columns(curves, robot))
    whole = float(np.sum(np.square(added)))
    if not whole > 0.0:
        return []
    found: list[tuple[float, tuple[Term, ...]]] = []
    for a in range(len(known)):
        for b in range(a, len(known)):
            chosen = [known[a]] if a == b else [known[a], known[b]]
            terms, left = _fitted(added, chosen)
            price = _SECOND * (len(chosen) - 1) + sum(kind.price for kind, _, _ in chosen)
            found.append((left / whole + price, terms))
    ranked = sorted(found, key=lambda each: each[0])
    return [terms for left, terms in ranked if left < 1.0 - _WORTH][:most]


def _fitted(added: Array, chosen: list[tuple[Kind, int | None, Array]]) -> tuple[tuple[Term, ...], float]:
    """Least squares for each actuator, and what is left over all of them."""
    coefficients, left = np.zeros((len(chosen), added.shape[1])), 0.0
    for i in range(added.shape[1]):
        columns_ = np.stack([values[:, i] for _, _, values in chosen], axis=1)
        gram = columns_.T @ columns_
        gram += _RIDGE * (np.trace(gram) + 1e-12) * np.eye(len(chosen))
        solved = np.linalg.solve(gram, columns_.T @ added[:, i])
        rest, before = float(np.sum(np.square(added[:, i] - columns_ @ solved))), float(np.sum(np.square(added[:, i])))
        if before - rest < _WORTH * float(np.sum(np.square(added))) / added.shape[1]:
            rest = before  # this actuator has nothing to do with it
        else:
            coefficients[:, i] = solved
        left += rest
    terms = tuple(
        Term(kind=kind, coordinate=place, coefficients=tuple(coefficients[k].tolist()))
        for k, (kind, place, _) in enumerate(chosen)
    )
    return terms, left


def law_with(terms: tuple[Term, ...], incumbent: Artefact, robot: Robot) -> tuple[Artefact, dict[str, Value]]:
    """The incumbent with the terms in it, and the values at which they vanish.

    Raises:
        BadInput: they do not fit this law.
    """
    skill = Skill(
        name="evolved",
        title="found terms",
        sentence="Add what the feedback had to add under the fault.",
        answers=(),
        modes=(),
        kinds=(),
        signals=tuple(dict.fromkeys(signal for term in terms for signal in term.kind.signals)),
        reads={},
        before="",
        totals={},
        after="\n".join(f"command[i] += {term.name}[i] * {term.text}" for term in terms),
        params=tuple(_param(term) for term in terms),
        states={},
        model_offset=None,
        replace=None,
    )
    law = graft(incumbent, robot, skill, NO_EFFECT)
    values: Mapping[str, Value] = {term.name: list(term.coefficients) for term in terms}
    return with_params(law, values), neutral(skill, robot)


def _param(term: Term) -> SkillParam:
    reach = _ROOM * max(map(abs, term.coefficients)) or 1.0
    return SkillParam(
        name=term.name,
        size="m",
        unit="command" if term.kind.per == "1" else f"command/({term.kind.per})",
        low=-reach,
        high=reach,
        of_effort=False,
        effect=f"Command added for each unit of {term.text}.",
        role="feedforward",
        answers=None,
        field=None,
        rule="add",
        neutral=0.0,
        start=0.0,
    )
