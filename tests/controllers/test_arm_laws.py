"""A shipped law for an arm with another number of joints: other lengths, and nothing else touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.arm_laws import Setting, fit_law
from controllers.artefact import Artefact, artefact_from_files, load_artefact, shipped_laws
from controllers.check import check_folder
from controllers.manifest import parse_manifest
from controllers.params import parse_params
from core.errors import BadInput
from core.ports import Ports

SHIPPED = {name: load_artefact(shipped_laws()[name]) for name in ("computed_torque", "joint_pd")}


def settings(law: Artefact, joints: int) -> dict[str, Setting]:
    """What the law ships with, first entry for all joints."""
    manifest = parse_manifest(law.files["manifest.toml"])
    values = parse_params(law.files["params.toml"], manifest)
    found = {}
    for name, param in manifest.params.items():
        value = values[name]
        found[name] = Setting(
            value=[value[0]] * joints if isinstance(value, list) else value,
            low=param.low[0],
            high=param.high[0],
            unit=param.unit,
        )
    return found


def fitted(law: Artefact, joints: int) -> Artefact:
    return fit_law(law, joints, settings(law, joints), ["N*m"] * joints, f"for {joints} joints")


def edited(law: Artefact, file: str, old: str, new: str) -> Artefact:
    text = law.files[file].decode()
    assert old in text
    return artefact_from_files(law.name, {**law.files, file: text.replace(old, new).encode()})


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("joints", range(1, 9))
def test_every_number_of_joints_gives_a_law_that_passes_its_check(name: str, joints: int, tmp_path: Path) -> None:
    law = fitted(SHIPPED[name], joints)
    folder = tmp_path / name
    folder.mkdir()
    for file, data in law.files.items():
        (folder / file).write_bytes(data)
    report = check_folder(folder, Ports(joints=joints, actuators=joints, output="tau"))
    assert report.summary == f"for {joints} joints"
    assert [row.name for row in report.params] == list(parse_manifest(SHIPPED[name].files["manifest.toml"]).params)


@pytest.mark.parametrize("name", SHIPPED)
def test_seven_joints_give_the_shipped_law_back(name: str) -> None:
    shipped = SHIPPED[name]
    law = fitted(shipped, 7)
    assert law.files["law.py"] == shipped.files["law.py"]
    old, new = (parse_manifest(each.files["manifest.toml"]) for each in (shipped, law))
    assert (new.signals, new.states, new.scratch, new.outputs) == (old.signals, old.states, old.scratch, old.outputs)
    assert new.position_offset == old.position_offset
    for key, param in old.params.items():
        assert (new.params[key].effect, new.params[key].role, new.params[key].answers, new.params[key].max_step) == (
            param.effect,
            param.role,
            param.answers,
            param.max_step,
        )


def test_only_the_loops_are_resized() -> None:
    law = edited(SHIPPED["joint_pd"], "law.py", "kp[i] * (", "7.0 * kp[i] * (")
    law = edited(law, "law.py", '"""PD control', '"""Stellgrössen for range(7) joints: PD control')
    text = fitted(law, 3).files["law.py"].decode()
    assert "7.0 * kp[i]" in text
    assert '"""Stellgrössen for range(7) joints' in text
    assert text.count("range(3)") == 1


def test_a_loop_that_is_not_over_the_joints_is_no_arm_law() -> None:
    law = edited(SHIPPED["joint_pd"], "law.py", "range(7)", "range(3)")
    with pytest.raises(ValueError, match=r"joint_pd/law.py:5: a loop that does not run over the 7 joints"):
        fitted(law, 4)


def test_a_list_that_is_not_over_the_joints_is_no_arm_law() -> None:
    law = edited(SHIPPED["computed_torque"], "manifest.toml", "[scratch.acc]\nsize = 7", "[scratch.acc]\nsize = 8")
    with pytest.raises(ValueError, match="acc has 8 entries, not one for each of 7 joints"):
        fitted(law, 4)


def test_a_setting_outside_its_own_range_is_refused() -> None:
    law = SHIPPED["joint_pd"]
    wrong = {**settings(law, 2), "kp": Setting(value=[1.0, 9.0], low=0.5, high=8.0, unit="N*m/rad")}
    with pytest.raises(BadInput, match=r"kp\[1\]: 9.0 is outside \[0.5, 8.0\] N\*m/rad"):
        fit_law(law, 2, wrong, ["N*m", "N*m"], "two joints")


def test_what_joints_share_is_written_once_and_units_may_differ() -> None:
    law = SHIPPED["joint_pd"]
    own = settings(law, 2)
    own["kp"] = Setting.of([2.0, 2.0], [1.0, 1.0], [4.0, 5.0], ["N*m/rad", "N/m"])
    done = fit_law(law, 2, own, ["N*m", "N"], "a joint and a slide")
    text = done.files["manifest.toml"].decode()
    assert 'unit = ["N*m/rad", "N/m"]\nsize = 2\nlow = 1.0\nhigh = [4.0, 5.0]\n' in text
    assert parse_manifest(done.files["manifest.toml"]).outputs["tau"].units == ("N*m", "N")
    assert done.files["params.toml"].decode().startswith("kp = [2.0, 2.0] # N*m/rad or N/m\n")
