"""What a stranger's URDF can be: the arm in it is found, and what no arm can be is one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import BadInput
from remend.own_robot.chain import Chain, find_chain
from remend.own_robot.model import ArmModel, urdf_bytes
from remend.own_robot.sizing import size
from remend.own_robot.tree import read_tree

HERE = Path(__file__).parent
SIX, SCARA, PENDULUM = ((HERE / f"{name}.urdf").read_text() for name in ("six", "scara", "pendulum"))
YAW = '<limit lower="-3.0" upper="3.0" velocity="2.5" effort="120"/>'
NO_HAND = re.sub(r'<link name="hand">.*?</link>', '<link name="hand"/>', SIX, flags=re.DOTALL)
MIMIC = '<joint name="elbow" type="revolute"><mimic joint="lift"/>'
BOLTS = '<parent link="world"/>\n    <child link="base"/>'
HAND_MASS = '<mass value="0.6"/>'
RING = '<joint name="ring" type="fixed"><parent link="hand"/><child link="forearm"/></joint>'

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        file = tmp_path / "arm.urdf"
        file.write_text(text)
        return file

    return to_file


def arm(file: Path, tip: str | None = None) -> Chain:
    """Everything that is checked before numbers are written."""
    chain = find_chain(read_tree(file), tip)
    size(chain, ArmModel(chain, urdf_bytes(chain)), control_rate_hz=500)
    return chain


def complaint(file: Path, tip: str | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        arm(file, tip)
    sentence = str(caught.value)
    assert sentence.startswith(f"{file}: ")
    assert "\n" not in sentence
    assert re.search(r"[;,] ", sentence), "it says what to do instead"
    return sentence


# what an arm is


def test_the_arm_is_the_longest_chain_and_ends_before_its_gripper(write: Write) -> None:
    chain = arm(write(SIX))
    assert [joint.name for joint in chain.joints] == ["yaw", "lift", "elbow", "roll", "pitch", "spin"]
    assert dict(chain.locked) == {
        "pan": "beside the longest chain",
        "left": "beyond the arm's end",
        "right": "repeats left",
    }
    assert chain.link == "hand"
    assert chain.words() == "6 revolute joints"


def test_a_slide_is_a_joint_in_metres(write: Write) -> None:
    chain = arm(write(SCARA))
    assert chain.units == ("rad", "rad", "m", "rad")
    assert chain.words() == "3 revolute joints and 1 prismatic joint"
    assert arm(write(PENDULUM)).words() == "1 revolute joint"


def test_a_continuous_joint_with_a_range_turns_within_it(write: Write) -> None:
    chain = arm(write(SIX))
    assert chain.bounded == ("spin",)
    copy = urdf_bytes(chain).decode()
    assert 'name="spin" type="revolute"' in copy
    assert "<!-- Six joints" in copy or copy.count("continuous") == 0
    assert copy.count('type="revolute"') == SIX.count('type="revolute"') + 1


def test_a_fixed_joint_needs_no_axis(write: Write) -> None:
    text = SIX.replace('<joint name="bolts" type="fixed">', '<joint name="bolts" type="fixed"><axis xyz="0 0 0"/>')
    assert len(arm(write(text)).joints) == 6


def test_a_locked_joint_may_be_named_like_a_link(write: Write) -> None:
    chain = arm(write(SIX.replace('<joint name="pan"', '<joint name="camera"')))
    assert chain.fixed == ("camera",)
    assert 'name="camera" type="fixed"' in urdf_bytes(chain).decode()


def test_a_urdf_without_continuous_joints_is_copied_byte_for_byte(write: Write) -> None:
    assert urdf_bytes(arm(write(SCARA))) == SCARA.encode()


def test_joints_named_like_a_gripper_end_the_arm(write: Write) -> None:
    chain = arm(write(SCARA.replace('"wrist"', '"gripper_turn"')))
    assert [joint.name for joint in chain.joints] == ["shoulder", "elbow", "quill"]
    assert chain.locked == (("gripper_turn", "named like a gripper"),)


def test_the_tip_says_where_the_arm_ends(write: Write) -> None:
    assert [joint.name for joint in arm(write(SIX), tip="forearm").joints] == ["yaw", "lift", "elbow"]
    assert [joint.name for joint in find_chain(read_tree(write(SIX)), "camera").joints] == ["yaw", "pan"]
    assert "has no link 'elbow'; give --tip one of world, base" in complaint(write(SIX), tip="elbow")
    assert "has no moving joint up to 'base'" in complaint(write(SIX), tip="base")


def test_a_file_that_xacro_has_written_is_a_urdf(write: Write) -> None:
    spaced = SCARA.replace('<robot name="scara">', '<robot name="scara" xmlns:xacro="http://www.ros.org/wiki/xacro">')
    assert len(arm(write(spaced)).joints) == 4


def test_the_inertia_of_a_base_that_stands_still_does_not_matter(write: Write) -> None:
    plate = '<link name="base"><inertial><mass value="9"/><inertia ixx="0" iyy="0" izz="9"/></inertial></link>'
    assert len(arm(write(SIX.replace('<link name="base"/>', plate))).joints) == 6


def test_a_link_without_mass_may_carry_one_that_has_it(write: Write) -> None:
    text = SIX.replace('<child link="hand"/>', '<child link="flange"/>')
    text = text.replace("</robot>", '<link name="flange"/>')
    text += '<joint name="bolt" type="fixed"><parent link="flange"/><child link="hand"/></joint></robot>'
    assert len(arm(write(text)).joints) == 6


# what is none


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SIX.replace("</robot>", ""), "is not well-formed XML (no element found: line"),
        (SIX.replace('<limit lower="-1"', '<limit drake:acceleration="1" lower="-1"'), "xmlns:drake="),
        ("not a robot", "is not well-formed XML ("),
        ("<sdf><model/></sdf>", "begins with <sdf>, a URDF with <robot>; export the robot as a URDF"),
        ("<robot/>", "has no <link>; export the robot as a URDF"),
        (
            SIX.replace("<robot ", '<robot xmlns:xacro="http://www.ros.org/wiki/xacro" ').replace(
                "</robot>", '<xacro:arm prefix="left"/></robot>'
            ),
            "is a xacro file, not yet a URDF; expand it first: xacro arm.urdf > arm.urdf",
        ),
        (SIX.replace("</robot>", "<xacro:arm/></robot>"), "is a xacro file, not yet a URDF"),
        (SIX.replace('effort="120"', 'effort="${strong}"'), "is a xacro file, not yet a URDF"),
        (SIX.replace('name="lift" type="revolute"', 'name="lift" type="hinge"'), "joint 'lift' has the type 'hinge'"),
        (SIX.replace('name="lift"', 'name="elbow"'), "joint 'elbow' is defined twice"),
        (SIX.replace('<link name="wrist_1">', '<link name="hand">'), "link 'hand' is defined twice"),
        (SIX.replace('<joint name="lift"', "<joint"), "a <joint> has no name=; add it"),
        (SIX.replace('<child link="camera"/>', ""), "joint 'pan' has no <parent link=> or no <child link=>; add it"),
        (SIX.replace('<child link="camera"/>', '<child link="cam"/>'), "joins link 'cam', which is not defined"),
        (SIX.replace("</robot>", f"{RING}</robot>"), "link 'forearm' is the child of 'elbow' and of 'ring', a closed"),
        (SIX.replace("</robot>", '<loop_joint name="bar"/></robot>'), "has a <loop_joint>, which closes a chain"),
        (SIX.replace(BOLTS, '<parent link="hand"/><child link="base"/>'), "hangs in a ring of joints, not on 'world'"),
        (
            SIX.replace('<link name="world"/>', "").replace(BOLTS, '<parent link="hand"/><child link="base"/>'),
            "every link is the child of a joint, a closed chain",
        ),
        (SIX.replace("</robot>", '<link name="table"/></robot>'), "links 'world' and 'table' both have no parent"),
        (SIX.replace('name="bolts" type="fixed"', 'name="bolts" type="floating"'), "joint 'bolts' is floating; Remend"),
        (SIX.replace('name="bolts" type="fixed"', 'name="bolts" type="planar"'), "joint 'bolts' is planar; Remend"),
        (PENDULUM.replace('"revolute"', '"fixed"'), "has no moving joint; nothing could be controlled"),
        (PENDULUM.replace('"revolute"', '"continuous"').replace('lower="-2.5" upper="2.5"', ""), "is continuous and"),
        (SIX.replace(YAW, ""), "joint 'yaw' has no range to move in; give <limit lower= upper=> in rad"),
        (SIX.replace(YAW, YAW.replace("-3.0", "3.0")), "joint 'yaw' has no range to move in"),
        (
            SIX.replace(YAW, YAW.replace("2.5", "0")),
            "joint 'yaw' has no speed limit above zero; give <limit velocity=>",
        ),
        (SIX.replace(YAW, YAW.replace(' velocity="2.5"', "")), "joint 'yaw' has no speed limit above zero"),
        (SIX.replace(YAW, YAW.replace("120", "0")), "joint 'yaw' has no effort limit above zero; give <limit effort=>"),
        (
            SIX.replace(YAW, YAW.replace(' effort="120"', "")),
            "has no effort limit above zero; give <limit effort=> in N*m",
        ),
        (SIX.replace(YAW, YAW.replace("120", "inf")), "joint 'yaw' has no effort limit above zero"),
        (
            SCARA.replace('effort="120"', 'effort="0"'),
            "joint 'quill' has no effort limit above zero; give <limit effort=> in N ",
        ),
        (
            SIX.replace('<joint name="elbow" type="revolute">', MIMIC),
            "joint 'elbow' repeats joint 'lift' (<mimic>), a closed chain; end the arm before it with --tip LINK",
        ),
        (NO_HAND, "link 'hand' moves with joint 'spin' but has no mass"),
        (SIX.replace(HAND_MASS, '<mass value="0"/>'), "link 'hand' moves with joint 'spin' but has no mass"),
        (SIX.replace(HAND_MASS, ""), "link 'hand' has an <inertial> without mass or inertia; add both"),
        (
            SIX.replace(HAND_MASS, '<mass value="-1"/>'),
            "link 'hand' has a mass or inertia that is no number of at least 0",
        ),
        (SIX.replace(HAND_MASS, '<mass value="light"/>'), "link 'hand' has a mass or inertia that is no number"),
        (SIX.replace('izz="0.0008"', 'izz="0.0028"'), "link 'hand' has the principal moments 0.001, 0.001 and 0.0028"),
        (SIX.replace('ixx="0.055"', 'ixx="-0.055"'), "link 'upper_arm' has the principal moments -0.055"),
        (SIX.replace('ixx="0.001" ixy="0"', 'ixx="0.001" ixy="0.01"'), "and no body has a negative one; correct its"),
        (PENDULUM.replace('<axis xyz="0 1 0"/>', '<axis xyz="0 0 0"/>'), '<axis xyz="0 0 0">, which has no direction'),
        (PENDULUM.replace('<axis xyz="0 1 0"/>', '<axis xyz="0 1"/>'), '<axis xyz="0 1">, which is not three numbers'),
        (PENDULUM.replace('xyz="0 0 -0.25"', 'xyz="0 0 nan"'), "link 'rod' has <origin xyz=\"0 0 nan\">, which is not"),
        (PENDULUM.replace('damping="0.05"', 'damping="oil"'), "joint 'pivot' has a damping= that is no number of at"),
        (PENDULUM.replace('damping="0.05"', 'damping="-1"'), "joint 'pivot' has a damping= that is no number of at"),
        (PENDULUM.replace('effort="12"', 'effort="1e30"'), "an effort limit of 1e+30 N*m, which no arm has; correct"),
        (
            PENDULUM.replace('velocity="6"', 'velocity="1e-9"'),
            "a speed limit of 1e-09 rad/s, which no arm has; correct",
        ),
        (
            PENDULUM.replace('lower="-2.5" upper="2.5"', 'lower="0" upper="1e-9"'),
            "a range of 1e-09 rad, which no arm has",
        ),
        (PENDULUM.replace('izz="0.0002"', 'izz="0"'), "'pivot' have no moment of inertia about one axis"),
        (
            SCARA.replace('effort="120"', 'effort="12"'),
            "joint 'quill' needs 10.8 N to hold the arm still in the easiest",
        ),
        (
            SIX.replace('effort="120"', 'effort="5"'),
            "joint 'lift' with an effort limit of 5 N*m cannot hold the arm when",
        ),
    ],
)
def test_what_is_no_arm_is_refused(write: Write, text: str, words: str) -> None:
    assert text not in (SIX, SCARA, PENDULUM), "the edit must have met its place"
    assert words in complaint(write(text))


def test_a_file_in_another_encoding_is_copied_as_utf_8(write: Write, tmp_path: Path) -> None:
    file = tmp_path / "foreign.urdf"
    text = PENDULUM.replace('version="1.0"', 'version="1.0" encoding="latin-1"').replace("One joint", "Ein Gelenk für")
    file.write_bytes(text.encode("latin-1"))
    copy = urdf_bytes(arm(file)).decode()
    assert copy.startswith("<?xml version='1.0' encoding='utf-8'?>")
    assert [joint.name for joint in arm(write(copy)).joints] == ["pivot"]


def test_a_triangle_that_does_not_close_says_by_how_much(write: Write) -> None:
    text = SIX.replace('izz="0.0008"', 'izz="0.0032"')
    assert "but no body's largest exceeds the sum of the other two, 0.003; correct its" in complaint(write(text))


def test_a_chain_of_nine_joints_is_too_long(write: Write) -> None:
    text = SIX
    for k in range(3):
        text = text.replace(
            "</robot>",
            f'<joint name="more_{k}" type="revolute"><parent link="{"hand" if k == 0 else f"more_{k - 1}"}"/>'
            f'<child link="more_{k}"/>{YAW}</joint><link name="more_{k}"><inertial><mass value="0.1"/>'
            '<inertia ixx="0.001" iyy="0.001" izz="0.001"/></inertial></link></robot>',
        )
    assert "has 9 moving joints, Remend sets up arms of at most 8; end the arm" in complaint(write(text))


def test_two_arms_are_told_apart_by_their_tip(write: Write) -> None:
    other = SIX[SIX.index('<joint name="lift"') : SIX.index('<joint name="left"')]
    other = re.sub(r'name="(\w+)"', r'name="b_\1"', other)
    other = re.sub(r'link="(?!shoulder)(\w+)"', r'link="b_\1"', other)
    text = SIX[: SIX.index('<joint name="left"')] + other + "</robot>"
    sentence = complaint(write(text))
    assert "2 chains of 5 moving joints begin at 'shoulder' and end at 'hand' and 'b_hand'" in sentence
    assert arm(write(text), tip="b_hand").link == "b_hand"


@pytest.mark.parametrize("place", ["nowhere.urdf", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, place: str) -> None:
    assert "give the path of a URDF with --urdf" in complaint(tmp_path / place)
