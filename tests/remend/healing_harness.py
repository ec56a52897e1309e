"""Runs whole healings in this process, and lets a test put a harmful patch past the gates."""

from __future__ import annotations

import io
from dataclasses import replace

from controllers.artefact import artefact_from_files
from core.records import Diagnosis, Gate, ValidationReport
from core.status import Verdict
from patcher.propose.base import Proposal, Ranked
from remend.console import Console
from remend.decision import Decision
from remend.healing import Healing
from remend.pipeline import Pipeline
from remend.simulation import Request, Run, run
from sim.twin.twin import Twin


def approve(proposal: Proposal, diagnosis: Diagnosis, report: ValidationReport) -> Decision:
    return Decision(approve=True, actor="simulated-operator", reason="test")


def heal(fault: str, seed: int = 1, pipeline_type: type[Pipeline] = Pipeline, decide=approve, budget: int = 300) -> Run:
    request = Request(robot="iiwa", fault=fault, seed=seed, budget=budget, proposer="auto", real_time=False)
    return run(request, decide, Console(file=io.StringIO()), pipeline_type=pipeline_type)


def forging(old: str, new: str) -> type[Pipeline]:
    """A pipeline whose best candidate has `old` replaced by `new` in its law, and whose gates all say pass.

    The canary's limits come from honest evidence for the honest candidate: what a liar would promise.
    """

    class Forging(Pipeline):
        def propose(self, twin: Twin, healing: Healing) -> list[Ranked]:
            honest = super().propose(twin, healing)[0]
            self.honest = honest.proposal
            files = dict(honest.proposal.artefact.files)
            assert old.encode() in files["law.py"]
            files["law.py"] = files["law.py"].replace(old.encode(), new.encode())
            harmful = artefact_from_files("computed_torque", files)
            self.versions.keep(harmful.files)
            candidate = replace(honest.proposal.candidate, id="pat_harmful00000000", result_sha=harmful.sha256)
            self.store.add_candidate(candidate)
            healing.candidates = (candidate,)
            return [replace(honest, proposal=Proposal(candidate=candidate, artefact=harmful))]

        def validate(self, proposal: Proposal, twin: Twin, healing: Healing) -> ValidationReport:
            report = super().validate(self.honest, twin, healing)
            return replace(
                report,
                patch_id=proposal.candidate.id,
                result_sha=proposal.artefact.sha256,
                gates=(Gate(name="forged", verdict=Verdict.PASS, why="a test says so"),),
                verdict=Verdict.PASS,
            )

    return Forging
