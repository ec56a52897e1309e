"""Ridge regressions of many targets on choices of the same features, cross-fitted over blocks of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FOLDS = 5  # chosen: a fifth of the head is predicted by what the other four fifths say
RIDGES = (1e-4, 1e-2, 1e-1, 1.0)  # of the rows; chosen by the folds, per residual


class RidgeFolds:
    """Ridge regressions of many targets on choices of the same features.

    Blocks, not every fifth row: neighbours are too alike to test each other. Products of features are shared by all
    targets without a missing row, which is what makes 100 channels bearable.
    """

    def __init__(self, features: Array) -> None:
        self._features = features
        n = features.shape[0]
        self._blocks = [slice(k * n // FOLDS, (k + 1) * n // FOLDS) for k in range(FOLDS)]
        self._grams = [features[block].T @ features[block] for block in self._blocks]

    def fit(self, columns: NDArray[np.int64], target: Array) -> tuple[Array, Array]:
        """(F,) weights from all rows with a target, and (N,) predictions by weights fitted without the row's block."""
        present = np.isfinite(target)
        whole = bool(present.all())
        chosen = self._features[:, columns]
        grams, moments = [], []
        for block, gram in zip(self._blocks, self._grams, strict=True):
            x, y = chosen[block][present[block]], target[block][present[block]]
            grams.append(gram[np.ix_(columns, columns)] if whole else x.T @ x)
            moments.append(x.T @ y)
        gram, moment = np.sum(grams, axis=0), np.sum(moments, axis=0)
        scale = max(1, int(present.sum()))
        best_error, best_ridge, best = np.inf, RIDGES[-1], np.zeros(target.size)
        for ridge in RIDGES:
            predicted = np.empty(target.size)
            for block, g, m in zip(self._blocks, grams, moments, strict=True):
                predicted[block] = chosen[block] @ _solve(gram - g, moment - m, ridge * scale)
            error = float(np.mean((target[present] - predicted[present]) ** 2))
            if error < best_error:
                best_error, best_ridge, best = error, ridge, predicted
        return _solve(gram, moment, best_ridge * scale), best


def _solve(gram: Array, moment: Array, ridge: float) -> Array:
    penalised = gram.copy()
    # Column 0 is the constant, which is not shrunk beyond what keeps the matrix regular.
    penalised[np.diag_indices_from(penalised)] += np.where(np.arange(gram.shape[0]) == 0, 1e-9, ridge)
    return np.asarray(np.linalg.solve(penalised, moment), dtype=np.float64)
