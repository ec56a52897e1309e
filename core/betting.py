"""A test that may be looked at after every sample: an e-process that bets against a candidate being worth its while."""

from __future__ import annotations

import math

_BOLDNESS = 0.9  # of the largest bet that cannot ruin the capital in one round; chosen


class Bet:
    """Capital of somebody who bets, sample by sample, that the mean difference is above -`worth`.

    If the mean is at or below -`worth`, the capital is a nonnegative supermartingale that starts at 1: the chance that
    it ever reaches E is at most 1/E, however often one looks (Ville 1939). Samples need no distribution, only a bound;
    they are clipped to it, so what is tested is the mean of the clipped differences.

    Source: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS B 86(1),
    section 4: capital process; appendix B.3: bets by an approximate growth-rate rule (aGRAPA), here one-sided.

    Args:
        worth: improvement that would be worth while, as a positive difference.
        clip: differences are clipped to this size; above `worth`.
    """

    def __init__(self, worth: float, clip: float) -> None:
        if not 0 < worth < clip:
            raise ValueError("a bet needs 0 < worth < clip")
        self.capital = 1.0
        self._worth, self._clip = worth, clip
        # As if one sample had been seen already, of a candidate that changes nothing.
        self._count, self._sum, self._square = 1, worth, worth * worth

    def take(self, difference: float) -> float:
        """The capital after one more sample, after minus before; what is no number counts as the worst.

        The bet is fixed before the sample is looked at.
        """
        mean, variance = self._sum / self._count, self._square / self._count
        most = _BOLDNESS / (self._clip - self._worth)
        stake = min(max(mean / (variance + mean * mean), 0.0), most)
        clipped = self._clip if math.isnan(difference) else min(max(difference, -self._clip), self._clip)
        gain = clipped + self._worth
        self.capital *= 1.0 + stake * gain
        self._count += 1
        self._sum += gain
        self._square += (gain - self._sum / self._count) ** 2
        return self.capital
