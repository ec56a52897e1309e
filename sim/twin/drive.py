"""How the drives follow their commands: late, now and then, slowly, or not all the way.

A fault of the bus changes the *age* of the command that is in force at a tick, the same for all drives; a fault of a
drive changes what it makes of that command. What a healthy drive makes of it is learnt from the head
(`telemetry.drive`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.rigid_body import Array
from sim.effect import NO_EFFECT, Effect
from sim.twin.parts import Floats, Stretch
from sim.twin.scatter import scattered_likelihood
from telemetry.calibration import correlation_time
from telemetry.drive import LONGEST_S, follow

_HEAD_S = 6.0  # of healthy telemetry that is looked at
_WITHIN_TICK = 0.5  # variance of ages that jitter draws, against whole ticks: a third for one tick, one for many
_READ_EARLY = 0.2  # of a tick: effort that is read at its end is that of its last physics step
_LEAST_SLACK = 0.1  # of a tick
_SLOW = 0.5  # ticks: time constant from which an effort that is read tells of more than the newest command
_ALL = slice(None)
_LIMITS = 50  # lower limits that are tried
_ATOM = 1e-9  # probability below which an age is not looked at


class DriveResponse:
    """Likelihood of measured effort given the commands, m drives."""

    sees = frozenset({"delay_s", "jitter_s", "drop_share", "limit_loss", "motor_lag_s", "sag"})
    separable = False

    def __init__(self, stretch: Stretch) -> None:
        robot = self._robot = stretch.robot
        self._limit = np.array(robot.limits.effort)
        self._oldest = round(LONGEST_S * robot.control_rate_hz)
        self.healthy, after = stretch.drive, stretch.after
        head = stretch.head.between(stretch.head.t_s[-1] - _HEAD_S, np.inf)
        left = head.group("tau_meas") - self.healthy.expected(robot, head)
        self._inflation = correlation_time(left[self._oldest :])
        self._tick = np.arange(self._oldest + 1)
        # ticks by which a command used to arrive before its effort was read
        self._slack = max(1.0 - _READ_EARLY - robot.drive.command_delay_s / robot.dt_s % 1.0, _LEAST_SLACK)
        self._start = min(self.healthy.ticks + self._oldest, len(after) - 1)  # from then on all commands are known
        self._all_measured = after.group("tau_meas")
        # (A, N, m) effort asked for if the command in force were 0, 1, 2 ... ticks older than usual
        load = self._load = self.healthy.load(robot, after)
        self._all_asked = np.array([self.healthy.asked(robot, after, age, load) for age in range(self._oldest + 1)])
        self._measured, self._asked = self._all_measured[self._start :], self._all_asked[:, self._start :]
        self._noise = self.healthy.noise
        self._weigh()

    def _weigh(self) -> None:
        jolt = 0.0 if self._load is None else self._load.jolt
        unsure = np.hypot(self._noise, self.healthy.worse(self._load))
        self._all_scale = 1.0 / (np.hypot(unsure, jolt) * np.sqrt(self._inflation)).reshape(-1, len(self._noise))
        self._scale = self._all_scale[self._start :] if len(self._all_scale) > 1 else self._all_scale
        if not self.healthy.lag_s:
            self._by_age = -0.5 * np.square((self._measured - self._asked) * self._scale).sum(axis=2)  # (A, M)
        self._usual = self._each(NO_EFFECT, _ALL)

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of a healthy robot."""
        m = len(self._limit)
        drives = (effect.vector("limit_loss", m) != 0) | (effect.vector("motor_lag_s", m) != 0) | (effect.sag != 0)
        if not self._delayed(effect):
            return float((self._each(effect, drives) - self._usual[drives]).sum())
        total = 0.5 * self._misread(effect).sum()
        slow = (self.healthy.lag_s > 0) | (effect.vector("motor_lag_s", m) > _SLOW * self._robot.dt_s)
        if np.any(slow):  # they feel the mean of the commands of a tick
            each = self._scattered(effect) if effect.jitter_s or effect.drop_share else self._each(effect, _ALL)
            total += (each - 0.5 * self._misread(effect))[slow].sum()
        if not np.all(slow):
            fits = self._by_age
            if np.any(drives):
                missed = (self._measured - self._given(self._asked, effect)) * self._scale
                fits = -0.5 * np.square(missed[..., ~slow]).sum(axis=2)
            choices = [np.log(weight) + self._drawn(fits, ages) for weight, ages in self._draws(effect)]
            total += float(np.logaddexp.reduce(np.array(choices)))
        return float(total - self._usual.sum())

    def _lags(self, effect: Effect) -> bool:
        return bool(self.healthy.lag_s or np.any(effect.vector("motor_lag_s", len(self._limit))))

    @staticmethod
    def _drawn(fits: Array, age: Array) -> float:
        """Log likelihood if every tick draws an age from `age` (A,), from that of each age (A, M)."""
        some = np.flatnonzero(age > _ATOM)
        return float(np.logaddexp.reduce(fits[some] + np.log(age[some])[:, None]).sum())

    def _each(self, effect: Effect, drives: slice | Array) -> Array:
        """(d,) log likelihood of each of `drives`, if the command in force is the mean over ages."""
        if not effect.sag and not self._delayed(effect):  # drives know nothing of each other
            expected = self._given(self._asked[0], effect, drives)
        else:
            expected = self._expected(effect)[:, drives]
        missed = (self._measured[:, drives] - expected) * self._scale[:, drives]
        each: Array = -0.5 * (np.square(missed).sum(axis=0) - self._misread(effect)[drives])
        return each

    @staticmethod
    def _delayed(effect: Effect) -> bool:
        return bool(effect.delay_s or effect.jitter_s or effect.drop_share)

    def _misread(self, effect: Effect) -> Array:
        """(m,) what sensor noise in the expected effort adds to the sum of squares, against healthy drives.

        A lag smoothes that noise; without this every lag would seem to explain the effort better (corrected score;
        Nakamura 1990).
        """
        lag_s = effect.vector("motor_lag_s", len(self._limit))
        if self._load is None or not np.any(lag_s):
            return np.zeros(len(lag_s))
        usual = np.full(len(lag_s), self.healthy.lag_s)
        added: Array = self._load.variance(usual + lag_s) - self._load.variance(usual)
        in_all: Array = np.square(self._scale).sum(axis=0) * added
        return in_all

    def _scattered(self, effect: Effect) -> Array:
        """(m,) log likelihood of each of the drives, which lag, if commands come at random."""
        age = self._mean_ages(effect)
        some = np.flatnonzero(age > _ATOM)
        asked = self._asked[some]
        mean = np.tensordot(age[some], asked, axes=1)
        spread = np.tensordot(age[some], np.square(asked - mean), axes=1)
        if effect.jitter_s:
            spread *= _WITHIN_TICK
        lag_s = self.healthy.lag_s + effect.vector("motor_lag_s", len(self._limit))
        waits = float(age[some] @ (some - some[0]))  # ticks for which a command stays in force on the mean, but for one
        each: Array = scattered_likelihood(
            self._measured - self._expected(effect),
            spread,
            np.broadcast_to(1.0 / np.square(self._scale), spread.shape),
            np.exp(-self._robot.dt_s / np.maximum(lag_s, 1e-9)),
            waits / (1.0 + waits),
        )
        each += 0.5 * self._misread(effect)
        return each

    def _expected(self, effect: Effect) -> Array:
        """(M, m) effort under `effect`."""
        age = self._ages(effect)
        some = np.flatnonzero(age > _ATOM)
        command = np.tensordot(age[some], self._asked[some], axes=1)
        return self._given(command, effect)

    def _given(self, asked: Array, effect: Effect, drives: slice | Array = _ALL) -> Array:
        """(..., M, d) effort that `drives` make of what is asked of all (..., M, m)."""
        m = len(self._limit)
        high = (self._limit * np.maximum(1.0 - effect.vector("limit_loss", m), 0.0))[drives]
        given: Array = np.minimum(np.maximum(asked[..., drives], -high), high)
        lag_s = (self.healthy.lag_s + effect.vector("motor_lag_s", m))[drives]
        for k in np.flatnonzero(lag_s > 0):
            first = self._all_measured if given.shape[-2] == len(self._all_measured) else self._measured
            given[..., k] = follow(given[..., k], float(lag_s[k]), self._robot.dt_s, first[:1, drives][:, k])
        if effect.sag:
            load = np.abs(given).sum(axis=-1, keepdims=True) / self._limit.sum()
            given = given * np.maximum(1.0 - effect.sag * load, 0.0)
        return given

    def change(self, effect: Effect) -> Array:
        """(N, m) effort under `effect` minus that of healthy drives, at every tick, as the measurement suggests it."""
        healthy = self._given(self._all_asked[0], NO_EFFECT)
        if self._lags(effect) or not (effect.jitter_s or effect.drop_share):
            age = self._mean_ages(effect)  # a share of a tick late: so is every tick's mean
            some = np.flatnonzero(age > _ATOM)
            return self._given(np.tensordot(age[some], self._all_asked[some], axes=1), effect) - healthy
        draws = [age for _, age in self._draws(effect)]
        some = np.flatnonzero(np.max(draws, axis=0) > _ATOM)
        given = self._given(self._all_asked[some], effect)
        if len(some) == 1:
            only: Array = given[0] - healthy
            return only
        fits = -0.5 * np.square((self._all_measured - given) * self._all_scale).sum(axis=2)
        with np.errstate(divide="ignore"):
            drawn = [fits + np.log(age[some])[:, None] for age in draws]
        fits = max(drawn, key=lambda each: float(np.logaddexp.reduce(each).sum()))
        share = np.exp(fits - np.logaddexp.reduce(fits))  # (a, N) which command was in force at each tick
        effort: Array = np.einsum("an,anm->nm", share, given)
        return effort - healthy

    def _ages(self, effect: Effect) -> Array:
        """(A,) probability that the command in force is so many ticks older than usual.

        A drive that lags feels a command that comes within a tick for the rest of it, so ages there are a mean.
        """
        if not self._lags(effect):
            return np.asarray(sum(weight * ages for weight, ages in self._draws(effect)))
        return self._mean_ages(effect)

    def _mean_ages(self, effect: Effect) -> Array:
        """(A,) share of the time for which a command of each age is in force."""
        late, spread = effect.delay_s / self._robot.dt_s, max(effect.jitter_s, 0.0) / self._robot.dt_s
        within = 1.0 - 0.5 * min(spread, 1.0)
        return self._newest((self._tick - late + within) / max(spread, 1.0), effect)

    def _draws(self, effect: Effect) -> list[tuple[float, Array]]:
        """Probabilities of what can be, and for each the ages (A,) that every tick draws from, for prompt drives.

        Without jitter, delay makes each command the same number of ticks older; which one depends on when within a
        tick commands used to arrive, and that is known about.
        """
        late, spread = effect.delay_s / self._robot.dt_s, max(effect.jitter_s, 0.0) / self._robot.dt_s
        if spread > 0:
            return [(1.0, self._newest((self._tick + self._slack - late) / spread, effect))]
        one = self._slack + 0.5  # ticks of delay in the middle of those that make a command one tick older
        begins = max(one - 1.0, 0.0)
        mean = late - one + 1.0 if late > one else max(late - begins, 0.0) / (one - begins)
        older, share = divmod(mean, 1.0)
        choices = ((1.0 - share, older), (share, older + 1.0))
        return [(w, self._newest((self._tick >= ticks).astype(float), effect)) for w, ticks in choices if w > 0]

    def _newest(self, arrived: Floats, effect: Effect) -> Array:
        """(A,) probability of each age of the newest command that has arrived, which does so by then with `arrived`."""
        kept = np.clip(arrived, 0.0, 1.0) * (1.0 - effect.drop_share)
        age: Array = kept * np.concatenate([[1.0], np.cumprod(1.0 - kept)[:-1]])
        total = age.sum()
        if total <= 0:  # nothing arrives: the oldest command stays
            age[-1] = total = 1.0
        share: Array = age / total
        return share

    def settle(self, effect: Effect) -> bool:
        """Raise the noise to what `effect`, the best explanation so far, leaves; whether that changed it by much."""
        age = self._ages(effect)
        some = np.flatnonzero(age > _ATOM)
        missed = self._measured - self._given(self._asked[some], effect) if not self.healthy.lag_s else None
        if missed is None or np.any(effect.vector("motor_lag_s", len(self._limit))):
            left = self._measured - self._expected(effect)
        else:  # the age that each tick speaks for
            best = np.argmin(np.square(missed * self._scale).sum(axis=2), axis=0)
            left = missed[best, np.arange(len(best))]
        left = left * self._scale * self._noise * np.sqrt(self._inflation)  # a jolt is no reason to doubt the rest
        level = np.maximum(self.healthy.noise, np.sqrt(np.mean(np.square(left), axis=0)))
        changed = bool(np.any(level > 1.2 * self._noise) or np.any(level < self._noise / 1.2))
        self._noise = level
        self._weigh()
        return changed

    def resolution(self) -> Mapping[str, float]:
        """Effort is read once a tick, so when within a tick a command arrived is not seen."""
        return {"delay_s": 0.3 * self._robot.dt_s, "jitter_s": 0.5 * self._robot.dt_s}

    def hints(self) -> Mapping[str, Array]:
        """The limit at which each drive follows its commands best; between the points of a grid 1 % would be missed."""
        share = np.linspace(0.0, 1.0, _LIMITS + 1)[1:, None]
        loss = np.clip(1.0 - share * np.abs(self._asked[0]).max(axis=0) / self._limit, 0.0, 1.0)  # (T, m)
        fits = np.array([self._each(Effect(limit_loss=tuple(row)), _ALL) for row in loss.tolist()])
        return {"limit_loss": loss[fits.argmax(axis=0), np.arange(len(self._limit))]}
