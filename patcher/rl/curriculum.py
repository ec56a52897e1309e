"""Which scenarios a training plays more often: small severities first, and those in which the law loses most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.metrics import Array
from patcher.rl.plan import Plan

_FIRST, _WHOLE_AT = 0.3, 0.4  # severity at the start, and share of the training after which all of them are played
_LEAST, _MOST = 0.3, 3.0  # how much rarer or more frequent a scenario may become


def weights_at(
    plan: Plan, severities: Sequence[float], losses: Sequence[float], progress: float
) -> tuple[Array, float]:
    """(N,) how often each scenario is drawn, and the largest severity among them.

    Args:
        losses: mean squared tracking error of the law under the policy in each scenario.
        progress: share of the training that is over.
    """
    weights, given = np.ones(len(severities)), np.array(severities)
    if plan.curation:
        errors = np.sqrt(np.array(losses))
        weights *= np.clip(errors / max(float(errors.mean()), 1e-300), _LEAST, _MOST)
    if plan.curriculum:
        allowed = _FIRST + (1.0 - _FIRST) * min(progress / _WHOLE_AT, 1.0)
        allowed = max(allowed, float(given.min()))
        weights *= given <= allowed + 1e-9
    return weights, float(given[weights > 0].max())
