"""The artefact: four files at most, addressed by what is in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.artefact import LAWS, Artefact, artefact_from_files, load_artefact, shipped_laws, with_params
from core.errors import BadInput

FILES = {"law.py": b"law", "manifest.toml": b"manifest", "params.toml": b"params"}


def test_hash_depends_on_content_and_not_on_place_or_name(tmp_path: Path) -> None:
    here, there = LAWS / "joint_pd", tmp_path / "elsewhere"
    shutil.copytree(here, there)
    assert load_artefact(here).sha256 == load_artefact(there).sha256
    assert load_artefact(there).name == "elsewhere"
    (there / "law.py").write_bytes((there / "law.py").read_bytes() + b"\n")
    assert load_artefact(here).sha256 != load_artefact(there).sha256


@given(st.permutations(list(FILES)), st.text(min_size=1))
def test_hash_ignores_the_order_of_files(order: list[str], name: str) -> None:
    artefact = artefact_from_files(name, {file: FILES[file] for file in order})
    assert artefact.sha256 == artefact_from_files("other", FILES).sha256
    assert list(artefact.files) == sorted(FILES)


@given(st.sampled_from(sorted(FILES)), st.binary(max_size=20))
def test_any_other_content_has_another_hash(file: str, data: bytes) -> None:
    other = artefact_from_files("a", {**FILES, file: data})
    assert (other.sha256 == artefact_from_files("a", FILES).sha256) == (data == FILES[file])


def test_hash_tells_which_file_holds_what() -> None:
    swapped = {**FILES, "law.py": FILES["params.toml"], "params.toml": FILES["law.py"]}
    assert artefact_from_files("a", swapped).sha256 != artefact_from_files("a", FILES).sha256


def test_later_changes_of_the_mapping_do_not_reach_the_artefact() -> None:
    files = dict(FILES)
    artefact = artefact_from_files("a", files)
    files["law.py"] = b"other"
    assert artefact.files["law.py"] == b"law"
    assert hash(artefact) == hash(artefact_from_files("a", FILES))
    assert artefact == artefact_from_files("a", FILES)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({**FILES, "helper.py": b""}, "a/helper.py: a controller is made of law.py"),
        ({**FILES, "../law.py": b""}, "a controller is made of"),
        ({"law.py": b"", "manifest.toml": b""}, "a/params.toml: missing"),
        ({**FILES, "law.py": b" " * 65537}, "a/law.py: 65537 bytes; keep it within 65536"),
    ],
)
def test_files_that_are_no_controller_are_refused(files: dict[str, bytes], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        artefact_from_files("a", files)
    assert words in str(caught.value)


def test_folders_that_are_no_controller_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_artefact(tmp_path / "nowhere")
    folder = tmp_path / "law"
    shutil.copytree(LAWS / "joint_pd", folder)
    (folder / "notes").mkdir()
    with pytest.raises(BadInput, match="law/notes: a controller is made of"):
        load_artefact(folder)
    (folder / "notes").rmdir()
    (folder / "params.toml").unlink()
    (folder / "params.toml").symlink_to(LAWS / "joint_pd" / "params.toml")
    with pytest.raises(BadInput, match=r"law/params\.toml: not a regular file"):
        load_artefact(folder)


def test_what_pip_leaves_beside_an_installed_law_is_not_part_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "joint_pd"
    shutil.copytree(LAWS / "joint_pd", folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = load_artefact(folder).sha256
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "law.cpython-311.pyc").write_bytes(b"compiled")
    assert load_artefact(folder).sha256 == before


def test_shipped_laws_are_found_by_name() -> None:
    assert {"computed_torque", "joint_pd"} <= set(shipped_laws())


@pytest.fixture
def computed_torque() -> Artefact:
    return load_artefact(LAWS / "computed_torque")


def test_parameters_change_only_the_parameter_file(computed_torque: Artefact) -> None:
    patched = with_params(computed_torque, {"mass": 4.9, "gain": [1.0, 1.0, 0.6, 1.0, 1.0, 1.0, 1.0]})
    assert b"mass = 4.9 # kg\n" in patched.files["params.toml"]
    changed = {file for file in patched.files if patched.files[file] != computed_torque.files[file]}
    assert changed == {"params.toml"}
    assert with_params(patched, {"mass": 0.0, "gain": [1.0] * 7}) == computed_torque


def test_shipped_parameter_files_are_what_with_params_writes() -> None:
    for folder in shipped_laws().values():
        artefact = load_artefact(folder)
        assert with_params(artefact, {}).files["params.toml"] == artefact.files["params.toml"]


def test_unknown_or_unbounded_parameters_are_refused(computed_torque: Artefact) -> None:
    with pytest.raises(BadInput, match="no parameter 'masss'; it has kp, kd, mass"):
        with_params(computed_torque, {"masss": 1.0})
    with pytest.raises(BadInput, match=r"mass: 10.5 is outside \[0.0, 10.0\] kg"):
        with_params(computed_torque, {"mass": 10.5})
