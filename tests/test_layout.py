"""The shape of the project: folders, imports, modules, requirements, and documents that keep up with the code."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from controllers.intrinsics import ARITY
from controllers.law import check_law
from controllers.manifest import ROLES, parse_manifest
from controllers.params import parse_params
from core.ports import Ports
from core.robot_toml import load_robot
from core.signals import SIGNALS
from core.status import SUCCESSORS, PatchStatus
from remend.cli import app
from remend.settings import Settings
from sim.catalogue import shipped_robots
from sim.faults.catalogue import CATALOGUE
from sim.workers.layers import LAYERS

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "controllers", "telemetry", "sim", "patcher", "remend")
MOST_LINES = 450
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if not {"laws", "robots"} & set(path.relative_to(ROOT).parts)
)

# What must not be in a file of the project: hosts of package registries, and folders of one person's machine.
FOREIGN = re.compile(
    r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|deb[.]debian[.]org|--(extra-)?index[-]url|--find[-]links"
    r"|(?<![\w.~}])/(root|home|Users)[/]\w"
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def documents() -> str:
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(file.read_text() for file in files)


# folders and modules


def test_launch_is_a_folder_and_no_package() -> None:
    assert (ROOT / "launch").is_dir()
    assert not list((ROOT / "launch").rglob("__init__.py"))


def test_only_the_packages_are_installed() -> None:
    included = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert included == [f"{package}*" for package in PACKAGES]
    assert all((ROOT / package / "__init__.py").is_file() for package in PACKAGES)


def test_imports_run_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_modules_named_ros_need_ros() -> None:
    """What is not called `ros*` runs without ROS 2, and never shares its process by accident."""
    ros = re.compile(
        r"^\s*(?:from|import) (rclpy|tf2_msgs|builtin_interfaces|rcl_interfaces|\w+_msgs|std_srvs)\b", re.M
    )
    needed = re.compile(r"^(?:from|import) (?:\w+\.)*ros_(?!messages|topics|cli)\w+", re.M)
    for module in MODULES:
        if not module.name.startswith("ros_"):
            text = module.read_text()
            assert not ros.search(text), relative(module)
            assert not needed.search(text), relative(module)


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_module_says_what_it_is_and_holds_one_thing(module: Path) -> None:
    source = module.read_text()
    assert ast.get_docstring(ast.parse(source)), "a module starts with a docstring"
    lines = source.count("\n")
    assert lines <= MOST_LINES, f"{lines} lines; look for the second noun in it"


def test_every_suppressed_warning_is_named() -> None:
    blanket = re.compile(r"#\s*(noqa(?!:)|type:\s*ignore(?!\[))")
    found = [relative(path) for path in MODULES if blanket.search(path.read_text())]
    assert found == []


def test_every_ignored_rule_has_a_reason() -> None:
    """A comment on its line, or on the line above for a rule of the same family, such as RUF002 below RUF001."""
    text = (ROOT / "pyproject.toml").read_text()
    lint = text[text.index("\nignore = [") : text.index("[tool.ruff.lint.flake8")]
    family = "-"
    for line in lint.splitlines():
        rules = re.findall(r'"([A-Z]+\d+)"', line)
        if "#" in line:
            family = rules[0][:-1] if rules else "-"
        elif rules:
            assert all(rule.startswith(family) for rule in rules), f"no reason for {', '.join(rules)}"


def tracked() -> list[str]:
    """Files of the repository; the test that asks is skipped where there is none."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return list(filter(None, listed.stdout.split("\0")))


def test_top_level_holds_what_is_known_and_nothing_else() -> None:
    """What a library leaves in the working folder is not committed."""
    files = {".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml"}
    files |= {"requirements.lock", "requirements-dev.lock", ".dockerignore"}
    files |= {"package.xml", "setup.cfg", "setup.py"}  # of the ament package
    folders = {*PACKAGES, ".ci", "docs", "launch", "resource", "tests"}
    assert {name.partition("/")[0] for name in tracked()} == files | folders


def test_no_file_names_a_registry_or_the_machine_it_was_written_on() -> None:
    found = []
    for name in tracked():
        path = ROOT / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_bytes().decode("utf-8", "ignore").splitlines(), start=1):
            if FOREIGN.search(line):
                found.append(f"{name}:{number}")
    assert found == []


# requirements


def pins(name: str) -> dict[str, str]:
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        match = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][A-Za-z0-9.+!]*)", line)
        assert match, f"{name}: {line!r} is not a plain pin"
        found[canonical(match[1])] = match[2]
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[^\w.-]", item, maxsplit=1)[0]) for item in requirements}


def test_requirements_are_plain_pins_and_cover_what_is_declared() -> None:
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    extras = PROJECT["project"]["optional-dependencies"]
    assert names(PROJECT["project"]["dependencies"]) | names(extras["sim"]) | names(extras["service"]) - {
        "remend"
    } <= set(run)
    assert names(extras["dev"]) | names(extras["rl"]) <= {*dev, "remend"}, "the tests train too"
    assert not set(run) & set(dev), "a package is pinned once"
    assert "setuptools" in run, "without it the project cannot be installed offline"
    assert not {"pip", "remend"} & {*run, *dev}
    assert "torch" not in run, "it is larger than everything else together"


# documents


def commands() -> Iterator[tuple[str, Any]]:
    """Every leaf command with its full name."""

    def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        children = getattr(command, "commands", None)
        if children is None:
            yield name, command
            return
        for child_name, child in children.items():
            yield from leaves(child, f"{name} {child_name}")

    yield from leaves(typer.main.get_command(app), "remend")


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_command_and_its_flags_are_documented(name: str, command: Any) -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    sections = {line for line in text.splitlines() if line.startswith("## ")}
    title = next((line for line in sections if re.search(rf"{re.escape(name)}\b", line)), None)
    assert title, f"docs/commands.md has no section on {name}"
    section = text.partition(title)[2].partition("\n## ")[0]
    for parameter in command.params:
        for flag in getattr(parameter, "opts", []):
            if flag.startswith("--") and flag != "--help":
                assert f"`{flag}`" in section, f"docs/commands.md does not explain {name} {flag}"


def test_documents_name_no_command_that_does_not_exist() -> None:
    known = {name for name, _ in commands()}
    first_words = {name.split()[1] for name in known}
    mentioned = set(re.findall(r"`remend ([a-z][a-z-]*)", documents()))
    assert mentioned <= first_words


def test_every_key_of_robot_toml_is_documented() -> None:
    text = (ROOT / "docs" / "robot-toml.md").read_text()
    for file in (ROOT / "sim" / "robots").glob("*/robot.toml"):
        for key, value in tomllib.loads(file.read_text()).items():
            names = [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
            for name in names:
                assert f"`{name}`" in text, f"docs/robot-toml.md does not explain {name}"


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for table in dataclasses.fields(Settings):
        for key in dataclasses.fields(getattr(Settings(), table.name)):
            default = str(key.default).lower() or '""'
            assert f"| `{table.name}.{key.name}` | `{default}` |" in text, f"docs/settings.md lacks {key.name}"


def test_every_layer_is_documented() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(LAYERS)


def test_every_fault_is_documented_as_it_is() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    where = {
        "robot": "the robot",
        "joint": "a joint",
        "sensor": "a sensor",
        "gyro": "a gyroscope",
        "actuator": "a drive",
    }
    for kind in CATALOGUE.values():
        parameters = "; ".join(
            f"`{p.name}`: {p.meaning} ({p.unit}, {p.low:g} to {p.high:g}, {p.default:g})" for p in kind.parameters
        )
        robots = ", ".join(sorted(kind.kinds))
        row = f"| `{kind.name}` | {kind.meaning} | {parameters or 'none'} | {where[kind.target]} | {robots} |"
        assert row in text, f"docs/faults.md lacks: {row}"
        for p in kind.parameters:
            if p.sized is not None:
                assert f"| `{kind.name}` `{p.name}` |" in text, f"docs/faults.md does not say how {kind.name} is sized"


def test_law_language_is_documented_as_it_is() -> None:
    text = (ROOT / "docs" / "law-language.md").read_text()
    for name in ARITY:
        assert f"{name}(" in text, f"docs/law-language.md does not explain {name}"
    for signal in SIGNALS.values():
        shape = " x ".join(signal.shape) or "number"
        assert f"| `{signal.name}` | {shape} | {signal.unit} | {signal.source} | {signal.meaning} |" in text
    for role in ROLES:
        assert f'"{role}"' in text


def test_example_of_the_law_language_passes_the_checker() -> None:
    text = (ROOT / "docs" / "law-language.md").read_text()
    (law,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    manifest_toml, params_toml = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    manifest = parse_manifest(manifest_toml.encode())
    parse_params(params_toml.encode(), manifest)
    assert check_law(law, manifest, Ports(joints=7, actuators=7, output="tau"), file="law.py").cost > 0


def test_every_state_of_a_patch_is_documented() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", text, re.MULTILINE))
    legal = {(before.value, after.value) for before, afters in SUCCESSORS.items() for after in afters}
    assert drawn <= legal
    assert all(re.search(rf"\b{status.value}\b", text) for status in PatchStatus)


def test_links_between_documents_lead_somewhere() -> None:
    for file in [ROOT / "README.md", ROOT / "launch" / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)#:]+)\)", file.read_text()):
            assert (file.parent / target).exists(), f"{relative(file)}: {target}"


@pytest.mark.parametrize("package", PACKAGES)
def test_architecture_lists_every_module_with_its_first_sentence(package: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.split(f"### {package}\n")[1].split("\n### ")[0]
    listed = dict(re.findall(r"^\| `([\w/]+\.py)` \| (.*) \|$", section, re.MULTILINE))
    modules = [p for p in MODULES if p.is_relative_to(ROOT / package) and p.name != "__init__.py"]
    docs = {p.relative_to(ROOT / package).as_posix(): ast.get_docstring(ast.parse(p.read_text())) for p in modules}
    first = {name: (doc or "").splitlines()[0].rstrip(".") for name, doc in docs.items()}
    assert listed == first


def test_every_shipped_robot_has_a_page_and_a_true_row_in_the_table() -> None:
    table = (ROOT / "docs" / "robots" / "README.md").read_text()
    for name, file in shipped_robots().items():
        robot = load_robot(file)
        row = next(line for line in table.splitlines() if line.startswith(f"| [{name}]({name}.md) |"))
        assert f"`{robot.kind}`" in row
        assert f"| {robot.control_rate_hz}, {robot.physics_rate_hz} | {', '.join(robot.tasks.kinds)} |" in row
        assert len(robot.tasks.kinds) >= 3
        assert (ROOT / "docs" / "robots" / f"{name}.md").stat().st_size > 1000
