"""Where an own robot works: a home pose, a load, and the box of poses in which its motors hold both.

What gravity and the effort limits allow comes first, then what leaves room to stop before a joint limit.
"""

from __future__ import annotations

import itertools

import numpy as np

from core.errors import BadInput
from core.rigid_body import Array
from remend.own_robot.chain import Chain
from remend.own_robot.model import ArmModel

_WIDEST_RAD, _WIDEST_SHARE = 0.8, 0.3  # half width of the working range: angle, share of the joint's range
_REACH_S = 0.3  # the half width is also what the joint travels at full speed in this time: moves last about 1 s
_PACE = 6.0  # speed of the fastest point of a task, in half widths per second
BRAKING = 0.6  # of the effort limit; the envelope counts on it to stop before a joint limit
_HEAVIEST_KG = 5.0  # a load that the envelope's stopping distance allows for, if the motors can hold it
_EDGE = 0.1  # of a joint's range that the working range leaves free at either end, at most 0.2 rad
_HOME_EDGE = 0.25  # of a joint's range that home keeps from either end
HELD, _HELD_LOADED = 0.45, 0.65  # share of an effort limit that holding may need, without and with the load
_HOME_ROOMS = (0.5, 0.65, 0.8)  # shares of that which home may use up, tried in turn
_HOME_STEPS = 9  # values of each of the three joints that carry most, from which home is chosen
_LEAST = 0.1  # a working range shrunk below this share of what the joints could do is none
_MOST_HELD = 0.7  # an arm that needs more of its limit to stand still in its best pose cannot work
_LOAD_SHARE, _MOST_LOAD_KG = 0.1, 5.0  # load that the working range is planned with, as a share of the moving mass
_HEAVY_SHARE = 0.5  # it may be up to this much of the moving mass, if it takes that to be noticed
_NOTICED = 0.05  # share of an effort limit that a load should ask for somewhere
_POSES = 128


class WorkingRange:
    """Home and the box around it in which the motors hold the arm, with and without a load.

    Args:
        chain: the arm.
        model: its rigid bodies.
        rotor: (n,) reflected rotor inertia [kg*m^2 or kg].

    Attributes:
        home, low, high: (n,) [rad or m].
        load_kg: the load that the box is planned with.
        carried_kg: what the motors could hold at home by their limits alone, at most 5 kg.
        held, held_loaded: largest share of an effort limit that holding needs in the box, without and with the load.
        poses: home, corners and random poses of the box.
        shrunk: whether gravity made the box smaller.

    Raises:
        BadInput: the motors cannot hold the arm, or only in a box too small to work in.
    """

    def __init__(self, chain: Chain, model: ArmModel, rotor: Array) -> None:
        self._chain, self._model, self._rotor = chain, model, rotor
        self._effort = chain.each("effort")
        self._rng = np.random.default_rng(0)
        lower, upper, slides = chain.each("lower"), chain.each("upper"), chain.slides
        span = upper - lower
        edge = np.where(slides, _EDGE * span, np.minimum(_EDGE * span, 0.2))
        self.load_kg = min(self._noticed_load(lower, upper), _MOST_LOAD_KG)
        self.home = self._find_home(lower + _HOME_EDGE * span, upper - _HOME_EDGE * span)
        self._fit_load()
        widest = np.where(slides, _WIDEST_SHARE * span, np.minimum(_WIDEST_RAD, _WIDEST_SHARE * span))
        half = np.min([widest, _REACH_S * chain.each("speed"), self._stoppable(lower, upper)], axis=0)
        least = _LEAST * half
        limits = [
            max(allowed, self._share(self.home, load_kg) / _HOME_ROOMS[-1])
            for allowed, load_kg in ((HELD, 0.0), (_HELD_LOADED, self.load_kg))
        ]
        self.shrunk = False
        while True:
            self.low = np.maximum(self.home - half, lower + edge)
            self.high = np.minimum(self.home + half, upper - edge)
            self.poses = self._sample()
            self.held = max(self._share(q, 0.0) for q in self.poses)
            self.held_loaded = max(self._share(q, self.load_kg) for q in self.poses)
            if self.held <= limits[0] and self.held_loaded <= limits[1]:
                break
            most = int(np.argmax(self._changes(self.home, half)))  # the joint that gravity answers to most
            half[most] *= 0.9
            if half[most] < least[most]:
                raise BadInput(self._too_weak(most, float(half[most])))
            self.shrunk = True

    def _noticed_load(self, lower: Array, upper: Array) -> float:
        """A tenth of the moving mass, or more where that would be lost in the noise of strong motors [kg]."""
        span = np.minimum(upper - lower, 2 * np.pi)
        poses = self._rng.uniform(lower, lower + span, (_POSES, len(lower)))
        asked = [np.abs(self._model.gravity(q, 1.0) - self._model.gravity(q)) / self._effort for q in poses]
        share_per_kg = float(np.max(asked))
        usual = _LOAD_SHARE * self._model.moving_kg
        if share_per_kg * _HEAVY_SHARE * self._model.moving_kg < _NOTICED:
            return usual  # no load of this arm's size would be noticed
        return max(usual, _NOTICED / share_per_kg)

    def _share(self, q: Array, load_kg: float) -> float:
        """Largest share of an effort limit that holding the arm at `q` needs."""
        return float(np.max(np.abs(self._model.gravity(q, load_kg)) / self._effort))

    def _stoppable(self, lower: Array, upper: Array) -> Array:
        """(n,) half width from whose middle a task at full pace still stops before a joint limit.

        The envelope asks q + J v^2 / (2 share effort) to stay inside, with half as much inertia again as the model's.
        """
        inertia = 1.5 * (np.diag(self._model.inertia(self.home, self.carried_kg)) + self._rotor)
        room = np.minimum(upper - self.home, self.home - lower)
        return np.asarray(np.sqrt(2.0 * BRAKING * self._effort * room / inertia) / _PACE)

    def load_share(self, q: Array) -> float:
        """Largest share of an effort limit that the load alone asks for at `q`."""
        return float(np.max(np.abs(self._model.gravity(q, self.load_kg) - self._model.gravity(q)) / self._effort))

    def _find_home(self, low: Array, high: Array) -> Array:
        """The pose nearest to all zeros, away from the limits, in which the motors hold arm and load with ease."""
        zero = np.clip(np.zeros(len(low)), low, high)
        poses = [zero, *self._around(zero, low, high)]
        bare = [self._share(q, 0.0) for q in poses]
        loaded = [self._share(q, self.load_kg) for q in poses]
        for room in _HOME_ROOMS:
            for q, alone, with_load in zip(poses, bare, loaded, strict=True):
                if alone <= room * HELD and with_load <= room * _HELD_LOADED:
                    return q
        best = poses[int(np.argmin(bare))]
        needed = np.abs(self._model.gravity(best))
        worst = int(np.argmax(needed / self._effort))
        if needed[worst] > _MOST_HELD * self._effort[worst]:
            joint = self._chain.joints[worst]
            at = f"{self._chain.tree.file}: joint '{joint.name}'"
            raise BadInput(
                f"{at} needs {needed[worst]:.3g} {joint.effort_unit} to hold the arm still in the easiest pose, and "
                f"at most {100 * _MOST_HELD:.0f} % of its effort limit of {joint.effort:.3g} {joint.effort_unit} may "
                "go into that; correct <limit effort=> or the masses"
            )
        return best

    def _too_weak(self, most: int, half: float) -> str:
        """What is wrong with an arm that gravity keeps from moving."""
        moved = self._chain.joints[most]
        loaded = np.max([np.abs(self._model.gravity(q, self.load_kg)) / self._effort for q in self.poses], axis=0)
        weak = self._chain.joints[int(np.argmax(loaded))]
        return (
            f"{self._chain.tree.file}: joint '{weak.name}' with an effort limit of {weak.effort:.3g} "
            f"{weak.effort_unit} cannot hold the arm when '{moved.name}' moves {half:.2g} {moved.unit} from home; "
            "correct <limit effort=> or the masses"
        )

    def _around(self, zero: Array, low: Array, high: Array) -> list[Array]:
        """Poses of the three joints that gravity asks most of, nearest to `zero` first; the others stay there."""
        reach = np.minimum(high - zero, 1.6), np.minimum(zero - low, 1.6)
        moved = np.argsort(-self._changes(zero, 0.5 * (reach[0] + reach[1])), kind="stable")[:3]
        values = [np.round(np.linspace(zero[i] - reach[1][i], zero[i] + reach[0][i], _HOME_STEPS), 2) for i in moved]
        poses = []
        for choice in itertools.product(*values):
            q = zero.copy()
            q[moved] = np.clip(choice, low[moved], high[moved])
            poses.append(q)
        return sorted(poses, key=lambda q: float(np.linalg.norm(q - zero)))

    def _changes(self, at: Array, step: Array) -> Array:
        """(n,) by how much each joint's step of `step` changes the largest share that gravity asks for."""
        before = self._model.gravity(at, self.load_kg)
        rows = [self._model.gravity(at + row, self.load_kg) - before for row in np.diag(step)]
        return np.array([float(np.max(np.abs(row) / self._effort)) for row in rows])

    def _fit_load(self) -> None:
        """The most that home can hold by the limits alone, and a load to plan with that leaves room."""
        bare = self._model.gravity(self.home)
        per_kg = self._model.gravity(self.home, 1.0) - bare

        def most(share: float) -> float:
            room = share * self._effort - np.abs(bare)
            return float(np.min(np.where(np.abs(per_kg) > 1e-6, room / np.maximum(np.abs(per_kg), 1e-6), np.inf)))

        self.carried_kg = max(min(most(1.0), _HEAVIEST_KG), 0.0)
        self.load_kg = min(self.load_kg, max(most(_HELD_LOADED), 0.0))

    def _sample(self) -> list[Array]:
        """Home, the corners of the working range, and poses inside it."""
        corners = [np.array(corner) for corner in itertools.product(*zip(self.low, self.high, strict=True))]
        return [self.home, *corners, *self._rng.uniform(self.low, self.high, (_POSES, len(self.home)))]
