"""Manifest and parameter files: what they declare is typed, and every mistake is one sentence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.manifest import parse_manifest
from controllers.params import Value, check_step, check_values, parse_params, render_params
from core.errors import BadInput
from core.ports import Ports

MANIFEST = """
name = "test"
version = "1.2.0"
summary = "A law for tests"
signals = ["q", "dt"]

[params.mass]
unit = "kg"
low = 0.0
high = 10.0
max_step = 0.5
effect = "Adds the weight of a payload."
role = "feedforward"
answers = "payload"
ros_parameter = "payload.mass"

[params.kp]
unit = "N*m/rad"
size = 3
low = [0.0, 1.0, 2.0]
high = 8.0
max_step = 1
effect = "Higher is stiffer."

[states.integral]
unit = "rad*s"
size = 3
initial = 0.5

[scratch.work]
size = 4

[weights.w1]
shape = [4, 3]

[outputs.tau]
unit = "N*m"
size = 3
limit = [100.0, 100.0, 50.0]

[model]
position_offset = "offset"

[params.offset]
unit = "rad"
size = 3
low = -0.2
high = 0.2
max_step = 1.0
effect = "Is subtracted from the measured position."
"""
VALUES: dict[str, Value] = {"mass": 1.5, "kp": [1.0, 2.0, 3.0], "offset": [0.0, 0.0, 0.0]}


def test_manifest_is_read_into_typed_records() -> None:
    manifest = parse_manifest(MANIFEST.encode())
    assert manifest.params["kp"].low == (0.0, 1.0, 2.0)
    assert manifest.params["kp"].high == (8.0, 8.0, 8.0)
    assert manifest.params["mass"].answers == "payload"
    assert manifest.params["mass"].ros_parameter == "payload.mass"
    assert manifest.states["integral"].initial == (0.5, 0.5, 0.5)
    assert manifest.outputs["tau"].limit == (100.0, 100.0, 50.0)
    assert manifest.outputs["tau"].rate is None
    assert manifest.position_offset == "offset"
    shapes = manifest.shapes(Ports(joints=3, actuators=4, output="tau"))
    assert (shapes["dt"], shapes["q"], shapes["mass"], shapes["work"], shapes["w1"]) == ((), (3,), (), (4,), (4, 3))


def test_entries_may_have_units_of_their_own() -> None:
    """A slide's offset is in m, and a message about it says so; one unit for all stays one text."""
    text = MANIFEST.replace('unit = "rad"\nsize = 3\nlow', 'unit = ["rad", "m", "rad"]\nsize = 3\nlow')
    manifest = parse_manifest(text.encode())
    offset = manifest.params["offset"]
    assert (offset.units, offset.unit) == (("rad", "m", "rad"), "rad or m")
    assert manifest.params["kp"].units == ("N*m/rad",) * 3
    assert manifest.params["mass"].units == ("kg",)
    with pytest.raises(BadInput, match=r"offset\[1\]: 0\.5 is outside \[-0\.2, 0\.2\] m; choose"):
        check_values(manifest, {**VALUES, "offset": [0.0, 0.5, 0.0]})
    narrow = parse_manifest(text.replace("max_step = 1.0", "max_step = 0.5").encode())
    with pytest.raises(BadInput, match=r"offset\[1\]: a step from 0\.2 to -0\.2 m is more .* of the old value"):
        check_step(narrow, {**VALUES, "offset": [0.0, 0.2, 0.0]}, {**VALUES, "offset": [0.0, -0.2, 0.0]})


BROKEN = [
    ('unit = "rad"', 'unit = ["rad", "m"]', "manifest.toml: params.offset.unit: must be one text or a list of 3 texts"),
    ('unit = "rad"', 'unit = ["rad", 1, "m"]', "manifest.toml: params.offset.unit: must be one text or a list of 3"),
    ('unit = "kg"', 'unit = ["kg", "kg"]', "manifest.toml: params.mass.unit: must be one text or a list of 1 texts"),
    ('position_offset = "offset"', 'position_offset = "kp"', "model.position_offset: 'kp' must be a declared list"),
    ('version = "1.2.0"', "", "manifest.toml: version: missing; write version ="),
    ('version = "1.2.0"', "version = 1.2", "manifest.toml: version: must be one line of text"),
    (
        'version = "1.2.0"',
        'version = "1"\nauthor = "me"',
        "manifest.toml: author: unknown key; known here: name, version",
    ),
    ('name = "test"', 'name = "a\\u202eb"', "manifest.toml: name: must be one line of text"),
    ('["q", "dt"]', '["q", "speed"]', "manifest.toml: signals: unknown signal 'speed'; known: dt, q"),
    ('["q", "dt"]', '["q", "q"]', "manifest.toml: signals: 'q' is listed twice"),
    ('["q", "dt"]', '"q"', "manifest.toml: signals: must be a list of signal names"),
    ('unit = "kg"\n', "", "manifest.toml: params.mass.unit: missing"),
    ("low = 0.0\n", "", "manifest.toml: params.mass.low: missing; give a number"),
    ("low = 0.0\n", "low = 11.0\n", "manifest.toml: params.mass.low: above high; swap them"),
    ("low = 0.0\n", "low = nan\n", "manifest.toml: params.mass.low: not a finite number"),
    ("low = 0.0\n", "low = true\n", "manifest.toml: params.mass.low: 'True' is not a number"),
    ("low = 0.0\n", "low = [0.0]\n", "manifest.toml: params.mass.low: is a list; give one number"),
    ("low = 0.0\n", f"low = 1{'0' * 400}\n", "manifest.toml: params.mass.low: not a finite number"),
    (
        "low = [0.0, 1.0, 2.0]",
        "low = [0.0, 1.0]",
        "manifest.toml: params.kp.low: has 2 entries; give a list of 3 numbers",
    ),
    ("max_step = 0.5", "max_step = 0.0", "manifest.toml: params.mass.max_step: must be a fraction"),
    ("max_step = 0.5", "max_step = 1.5", "manifest.toml: params.mass.max_step: must be a fraction"),
    ("max_step = 0.5", "maxstep = 0.5", "manifest.toml: params.mass.max_step: missing"),
    ("max_step = 0.5", "max_step = 0.5\ngain = 1", "manifest.toml: params.mass.gain: unknown key"),
    ('effect = "Higher is stiffer."', "", "manifest.toml: params.kp.effect: missing"),
    (
        'role = "feedforward"',
        'role = "helper"',
        "manifest.toml: params.mass.role: 'helper' is not a role; write one of gain",
    ),
    (
        "[scratch.work]\nsize = 4",
        "[scratch.work]\nsize = 0",
        "manifest.toml: scratch.work.size: must be a whole number",
    ),
    (
        "[scratch.work]\nsize = 4",
        "[scratch.work]\nsize = 2.0",
        "manifest.toml: scratch.work.size: must be a whole number",
    ),
    ("[scratch.work]\nsize = 4", "[scratch]\nwork = 4", "manifest.toml: scratch.work: must be a table"),
    ("[scratch.work]", "[scratch.kp]", "manifest.toml: kp is declared twice"),
    ("[scratch.work]", "[scratch.gravity]", "manifest.toml: gravity is the name of a signal or function"),
    ("[scratch.work]", "[scratch.sin]", "manifest.toml: sin is the name of a signal or function"),
    ("[scratch.work]", "[scratch._work]", "manifest.toml: '_work' cannot be a name"),
    ("[scratch.work]", "[scratch.if]", "manifest.toml: 'if' cannot be a name"),
    ("[scratch.work]", '[scratch."a b"]', "manifest.toml: 'a b' cannot be a name"),
    ("[scratch.work]", '[scratch."w\u00f6rk"]', "cannot be a name"),
    ("shape = [4, 3]", "shape = [4, 3, 2]", "manifest.toml: weights.w1.shape: must be [n] or [outputs, inputs]"),
    ("shape = [4, 3]", "shape = [1024, 1024]", "manifest.toml: weights: more than 40000 entries"),
    ("limit = [100.0, 100.0, 50.0]", "limit = 0.0", "manifest.toml: outputs.tau.limit: must be above zero"),
    ('position_offset = "offset"', 'position_offset = "mass"', "manifest.toml: model.position_offset: 'mass' must be"),
    ('position_offset = "offset"', 'offset = "mass"', "manifest.toml: model.offset: unknown key"),
    ("[model]", "[modell]", "manifest.toml: modell: unknown key"),
    ("[model]", "[model", "manifest.toml: cannot be read as TOML"),
    ("[scratch.work]\nsize = 4", "[[scratch]]\nsize = 4", "manifest.toml: scratch: must be a table"),
]


@pytest.mark.parametrize(("old", "new", "words"), BROKEN, ids=range(len(BROKEN)))
def test_broken_manifest_is_refused_with_file_and_key(old: str, new: str, words: str) -> None:
    assert old in MANIFEST
    with pytest.raises(BadInput) as caught:
        parse_manifest(MANIFEST.replace(old, new, 1).encode())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value) or "TOML" in str(caught.value)


def test_a_manifest_without_outputs_is_refused() -> None:
    with pytest.raises(BadInput, match="declare what the law writes"):
        parse_manifest(b'name = "a"\nversion = "1"\nsummary = "s"\nsignals = []\n')


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff", "byte 0 is not UTF-8"),
        (b"a = " + b"[" * 5000, "manifest.toml: "),
        (b"a = " + b"9" * 5000, "cannot be read as TOML"),
    ],
)
def test_bytes_that_are_no_toml_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_manifest(data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mass = 1.5", "params.toml: kp: missing; give a list of 3 numbers in N*m/rad"),
        ("mass = 1.5\nspeed = 1", "params.toml: speed: not declared; add [params.speed]"),
        ("mass = -0.1", "params.toml: mass: -0.1 is outside [0.0, 10.0] kg; choose one inside"),
        ("mass = nan", "params.toml: mass: not a finite number"),
        ("mass = '1'", "params.toml: mass: '1' is not a number"),
        ("mass = [1.0]", "params.toml: mass: is a list; give one number"),
        ("mass = 1\nkp = 2.0", "params.toml: kp: is one number; give a list of 3 numbers"),
        ("mass = 1\nkp = [2.0]", "params.toml: kp: has 1 entries; give a list of 3 numbers"),
        ("mass = 1\nkp = [2.0, 0.5, 3.0]", "params.toml: kp[1]: 0.5 is outside [1.0, 8.0] N*m/rad"),
        ("mass = 1\nkp = [2.0, inf, 3.0]", "params.toml: kp[1]: not a finite number"),
    ],
)
def test_broken_parameters_are_refused_with_file_and_key(text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_params(text.encode(), parse_manifest(MANIFEST.encode()))
    assert words in str(caught.value)


@given(st.floats(0.0, 10.0), st.lists(st.floats(2.0, 8.0), min_size=3, max_size=3))
def test_values_survive_writing_and_reading_to_the_last_bit(mass: float, kp: list[float]) -> None:
    manifest = parse_manifest(MANIFEST.encode())
    values: dict[str, Value] = {"offset": [0.0, -0.2, 0.1], "kp": kp, "mass": mass}
    data = render_params(manifest, values)
    assert parse_params(data, manifest) == values
    assert math.copysign(1.0, parse_params(data, manifest)["mass"]) == math.copysign(1.0, mass)  # type: ignore[arg-type]
    assert data == render_params(manifest, dict(reversed(values.items())))
    assert [line.split(b" ")[0] for line in data.splitlines()] == [b"mass", b"kp", b"offset"]


@given(st.floats())
def test_no_value_outside_its_bounds_passes(mass: float) -> None:
    manifest = parse_manifest(MANIFEST.encode())
    try:
        render_params(manifest, {**VALUES, "mass": mass})
    except BadInput:
        assert not 0.0 <= mass <= 10.0
    else:
        assert 0.0 <= mass <= 10.0


def test_a_patch_may_move_a_parameter_by_its_largest_step_and_no_more() -> None:
    manifest = parse_manifest(MANIFEST.encode())
    check_step(manifest, VALUES, {**VALUES, "mass": 6.5, "kp": [8.0, 8.0, 8.0]})
    with pytest.raises(BadInput, match=r"mass: a step from 1.5 to 6.6 kg .* stay within 5.0 kg"):
        check_step(manifest, VALUES, {**VALUES, "mass": 6.6})
    with pytest.raises(BadInput, match=r"new values: kp\[0\]: 9.0 is outside"):
        check_step(manifest, VALUES, {**VALUES, "kp": [9.0, 2.0, 3.0]})
