"""A healing as a story: what report, picture and dashboard are told of it."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from core.block import Array, Block
from core.robot import Robot
from remend.healing import Healing
from remend.pipeline import Pipeline
from remend.story import CanaryTrack, Story, TruthRow, contender, plots_of
from sim.canary_limits import canary_limits


def story_of(pipeline: Pipeline, healing: Healing, tape: Block, ratio: Array, *, fault: str | None) -> Story:
    """All there is to tell by now.

    Args:
        tape: telemetry from shortly before the alarm on.
        ratio: (N,) test ratio per row of `tape`.
        fault: what was injected, in simulation; None on a robot of which nobody knows.
    """
    swap, event, patch = healing.swap, healing.event, healing.patch
    plots = plots_of(
        tape,
        ratio,
        pipeline.robot.joints,
        pipeline.robot.units,
        fault_s=healing.fault_s,
        onset_s=event.onset_s if event else None,
        alarm_s=event.alarm_s if event else None,
        swap_s=swap.swap_s if swap else None,
        commit_s=swap.commit_s if swap else None,
        rollback_s=swap.rollback_s if swap else None,
        canary=_canary_track(pipeline.robot, healing, tape),
    )
    rows = tuple(
        TruthRow(metric=name, unit=t.unit, nominal=t.nominal, faulted=t.faulted, patched=t.patched)
        for name, t in healing.truth.items()
    )
    return Story(
        robot_id=pipeline.link.robot_id,
        robot_title=pipeline.robot.title,
        units=pipeline.robot.units,
        command_unit=pipeline.robot.command_unit,
        fault=fault,
        seed=healing.seed,
        created_ns=pipeline.clock.wall_ns(),
        incident=healing.incident,
        diagnosis=healing.diagnosis,
        candidates=healing.candidates,
        contenders=tuple(map(contender, healing.ranked)),
        asked=tuple(healing.asked),
        report=healing.report,
        approval=healing.approval,
        outcome=swap.outcome if swap else None,
        diff=pipeline.versions.diff(patch.base_sha, patch.result_sha) if patch else "",
        truth=rows,
        recovery_ratio=healing.recovery,
        plots=plots,
        strips=healing.strips,
        versions=_versions(),
    )


def _canary_track(robot: Robot, healing: Healing, tape: Block) -> CanaryTrack | None:
    """The canary's view of the joint that came closest to its limit."""
    swap, report = healing.swap, healing.report
    if swap is None or swap.swap_s is None or report is None:
        return None
    limits = canary_limits(report, robot.dof)
    end_s = swap.commit_s or swap.rollback_s or tape.t_s[-1]
    rows = tape.between(swap.swap_s, end_s + robot.dt_s)
    if not len(rows):
        return None
    error = np.abs(rows.group("q_ref") - rows.group("q") + np.array(limits.offset))
    settled = rows.t_s - swap.swap_s > robot.canary.full_authority_s + limits.settle_s
    allowed = np.where(settled[:, None], limits.settled_error, limits.ramp_error)
    joint = int(np.argmax(np.max(error / allowed, axis=0)))
    return CanaryTrack(
        observable=f"tracking error of joint {joint + 1}",
        unit=robot.units[joint],
        t_s=rows.t_s,
        value=error[:, joint],
        limit=allowed[:, joint],
    )


def _versions() -> tuple[tuple[str, str], ...]:
    """What made the figures: package -> version."""
    return tuple((name, version(name)) for name in ("remend", "pybullet", "pin", "numpy", "scipy"))
