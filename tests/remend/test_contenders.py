"""The operator sees what else was found, and why it lost."""

from __future__ import annotations

from dataclasses import replace

from patcher.bandit import Asked
from remend.contenders import contender_rows
from remend.report import render_report
from remend.story import Contender
from tests.remend import stories


def contender(patch_id: str, score: float, bound: float, *, dropped: bool = False) -> Contender:
    return Contender(
        patch_id=patch_id,
        result_sha=64 * "a",
        proposer="skills",
        kind="params",
        rationale="Add the load.",
        score=score,
        bound=bound,
        recovery=1.04,
        changes=1,
        dropped=dropped,
    )


def test_each_one_says_what_became_of_it() -> None:
    found = (
        contender("a", 0.1, 0.12),
        contender("b", 0.11, 0.121),
        contender("c", 0.3, 0.5),
        contender("d", 1.1, 1.2, dropped=True),
    )
    assert [row.outcome for row in contender_rows(found, "a")] == [
        "put before the gates",
        "as good as the leader, and a larger change",
        "its score may be as high as 0.5, the leader's 0.12",
        "dropped: it is hardly worth its while",
    ]
    after = contender_rows(found, "b")
    assert [row.outcome for row in after[:2]] == ["put before the gates first, and not passed", "put before the gates"]
    assert (after[0].score, after[0].bound, after[0].recovery) == ("0.1", "0.12", "100 %")


def test_the_report_says_who_was_asked_and_why() -> None:
    why = "it can be expected to gain 0.6 a second"
    turn = Asked(proposer="skills", why=why, rollouts=3, cost_s=0.3, gain=2.0, brought=("a",))
    story = stories.full()
    assert story.patch is not None
    story = replace(story, contenders=(contender(story.patch.id, 0.1, 0.12), contender("<b>", 0.3, 0.5)), asked=(turn,))
    html = render_report(story)
    assert "What else was found" in html
    assert "skills, for it can be expected to gain 0.6 a second: 1 candidate from 3 rollouts" in html
    assert html.count("skills, params: Add the load.") == 2
    assert "What else was found" not in render_report(stories.full())
