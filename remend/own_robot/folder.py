"""The folder of an own robot: what `remend init` writes, and what it says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from controllers.artefact import Artefact
from core.errors import BadInput
from core.rigid_body import Array
from core.robot_toml import load_robot
from remend.own_robot import sizing as rules
from remend.own_robot.chain import Chain, find_chain
from remend.own_robot.laws import own_laws
from remend.own_robot.model import ArmModel, urdf_bytes
from remend.own_robot.robot_file import robot_toml, uses_toml
from remend.own_robot.sizing import Sizing, size
from remend.own_robot.tree import read_tree
from sim.uses import measure_uses

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_USED = 0.03  # an arm whose work needs less of its effort limits than this has no limits from a data sheet
_NOTICED = 0.01  # share of an effort limit that a load must ask for to be told from noise


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRobot:
    """A robot that has just been set up."""

    toml: Path
    chain: Chain
    sizing: Sizing

    def lines(self) -> list[str]:
        """What was found, what to check, and what to run next."""
        chain = self.chain
        found = [
            f"{self.toml.parent}: {chain.words()}, base to tip: {', '.join(joint.name for joint in chain.joints)}",
            *[f"  locked: {joint} ({why})" for joint, why in chain.locked],
            *[f"  made revolute, within its limits: {joint} (continuous before)" for joint in chain.bounded],
            *[
                f"  {link}: the largest moment of inertia exceeds the other two by {100 * share:.2g} %, which none "
                "does; the nearest inertia of a body is simulated"
                for link, share in chain.rounded
            ],
            "  shapes are not used: mesh files may be missing, and no contact is simulated",
        ]
        return [*found, "", "Check in robot.toml what a URDF does not say:", *self._checks(), "", *self._next()]

    def _checks(self) -> list[str]:
        s = self.sizing
        point = f"frame {s.point_of}" if s.point_of else "centre of mass of the last body"
        at = " ".join(f"{round(x, 4) + 0.0:.3g}" for x in s.point_m)
        run_up = f"full speed in {1000 * rules.RUN_UP_S:g} ms at full effort"
        rows = [
            ("sensor noise", self._spread(s.position_noise, "rad", "m"), "a range or turn in 2^17 steps"),
            ("command delay", f"{1000 * rules.DELAY_S:g} ms", "bus and current loop of a servo drive, chosen"),
            (
                "rotor inertia",
                self._spread(s.rotor_inertia, "kg*m^2", "kg"),
                "from the URDF" if all(s.rotors_given) else run_up,
            ),
            ("payload point", f"{at} m", f"{point}, in {self.chain.link}"),
            (
                "task space",
                f"home -+ {self._spread((s.high - s.low) / 2, 'rad', 'm')}",
                "made smaller until the motors hold arm and load" if s.shrunk else "no obstacle is known to Remend",
            ),
            ("envelope power", f"{s.power_w:.3g} W", "0.3 of effort limit x speed limit, over all joints"),
        ]
        if s.used < _USED:
            why = f"work needs {s.used:.2g} of them; if they are made up, faults drown in the noise derived from them"
            rows.append(("effort limits", "from the URDF", why))
        if s.too_fast:
            why = f"no arm is as fast as {', '.join(s.too_fast)}; give the data sheet's <limit velocity=>"
            rows.append(("speed limits", "from the URDF", why))
        width = max(len(value) for _, value, _ in rows)
        return [f"  {what:<15} {value:<{width}}  {why}" for what, value, why in rows]

    def _spread(self, values: Array, turning: str, sliding: str) -> str:
        """Least and largest of a list, joints that turn and joints that slide apart."""
        found = []
        for kind, unit in (("rad", turning), ("m", sliding)):
            some = [value for value, of in zip(values, self.chain.units, strict=True) if of == kind]
            if some:
                low, high = f"{min(some):.2g}", f"{max(some):.2g}"
                found.append(f"{low} {unit}" if low == high else f"{low} to {high} {unit}")
        return ", ".join(found)

    def _next(self) -> list[str]:
        s = self.sizing
        if s.load_share >= _NOTICED:
            planned, fault = f"Task space and limits are planned with a load of {s.load_kg:.2g} kg.", "payload:mass="
            fault += f"{s.load_kg:.2g}"
        else:
            planned = f"A load of {s.load_kg:.2g} kg asks so little of the motors that nothing would show it."
            fault = "actuator_loss:joint=1,gain=0.6"
        return [f"{planned} Next:", f"  remend heal --robot {self.toml} --fault {fault}"]


def set_up(
    folder: Path, urdf: Path, *, name: str | None = None, control_rate_hz: int = 500, tip: str | None = None
) -> OwnRobot:
    """Write robot.toml, a copy of the URDF and two law folders into a new or empty `folder`.

    Args:
        name: the robot's short name; by default the URDF's.
        tip: the link that ends the arm; by default the end of its longest chain.

    Raises:
        BadInput: the folder holds something, the URDF cannot be simulated, or a name is not fit for file names.
    """
    _require_empty(folder)
    tree = read_tree(urdf)
    chain = find_chain(tree, tip)
    name = _robot_name(name, tree.name, folder)
    copy = urdf_bytes(chain)
    sizing = size(chain, ArmModel(chain, copy), control_rate_hz)
    laws = own_laws(chain, sizing)
    urdf_name = f"{name}.urdf"
    toml = folder / "robot.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / urdf_name).write_bytes(copy)
        for law in laws:
            _write_law(folder / law.name, law)
        toml.write_text(robot_toml(name, urdf_name, chain, sizing), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror}); give another folder") from None
    uses = measure_uses(load_robot(toml))  # whoever runs it next reads it like this
    if uses is not None:
        with toml.open("a", encoding="utf-8") as file:
            file.write(uses_toml(uses, chain))
    return OwnRobot(toml=toml, chain=chain, sizing=sizing)


def _require_empty(folder: Path) -> None:
    """Nothing of the user's is ever overwritten."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder}: is a file; give a folder that is new or empty")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"{folder}: is not empty; give a folder that is new or empty")


def _robot_name(given: str | None, of_urdf: str, folder: Path) -> str:
    """A name for file names, branches and signatures."""
    if given is not None:
        if not _NAME.fullmatch(given):
            raise BadInput(f"--name {given}: must be up to 40 letters, digits, _ and -, a letter first; give another")
        return given
    for found in (of_urdf, folder.resolve().name):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", found).strip("_-")[:40]
        if _NAME.fullmatch(plain):
            return plain
    return "arm"


def _write_law(folder: Path, law: Artefact) -> None:
    folder.mkdir()
    for file, data in law.files.items():
        (folder / file).write_bytes(data)
