"""A policy of stable-baselines3 becomes a controller version that answers as it did, and nothing in its zip is run."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from controllers.artefact import load_artefact
from controllers.controller import Controller
from core.errors import BadInput
from patcher.rl.archive import read_archive
from patcher.rl.policy import Policy
from patcher.rl.policy_law import law_of_policy
from patcher.rl.statistics import as_array, read_scaling
from remend.cli import app
from remend.import_policy import actions, import_policy, observations
from sim.catalogue import find_robot
from sim.rollout import rollout
from sim.trial import draw_trial
from tests.patcher.rl.zips import train

ROBOT = find_robot("cartpole")
ALGORITHMS = ("PPO", "SAC", "DQN")


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Algorithm -> zip and the model that wrote it."""
    folder = tmp_path_factory.mktemp("zips")
    files = {name: folder / f"{name}.zip" for name in ALGORITHMS}
    return {
        "PPO": (files["PPO"], train("PPO", files["PPO"], residual=0.2)),
        "SAC": (files["SAC"], train("SAC", files["SAC"], net_arch=[32, 32])),
        "DQN": (files["DQN"], train("DQN", files["DQN"], net_arch=[32, 32])),
    }


def options(name: str, file: Path) -> dict[str, Any]:
    if name == "PPO":
        return {"residual": 0.2, "normalise": file.with_suffix(".pkl")}
    return {"levels": "-1,0,1"} if name == "DQN" else {}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_law_answers_ten_thousand_observations_as_the_model_predicts(
    name: str, zips: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    file, model = zips[name]
    given = options(name, file)
    found = import_policy(file, "cartpole", tmp_path / "law", **given)
    assert found.observations == 10_000
    assert found.difference <= 1e-6
    law, seen = load_artefact(tmp_path / "law"), observations(ROBOT, 10_000, seed=8)
    share = given.get("residual")
    base = None if share is None else load_base()
    ours = actions(law, ROBOT, seen, base, share or 1.0)
    shown = seen
    if name == "PPO":  # as the wrapper of the training does it, by itself
        shown = model.get_vec_normalize_env().normalize_obs(seen)
    told, _ = model.predict(shown.astype(np.float32), deterministic=True)
    if name == "DQN":
        assert np.mean(ours[:, 0] == told.astype(float) - 1.0) > 0.999
        assert len(set(told.tolist())) > 1
    else:
        np.testing.assert_allclose(ours, told, atol=1e-5)
        assert np.ptp(told) > 1e-3


def load_base() -> Any:
    from controllers.library import find_law  # noqa: PLC0415

    return find_law(ROBOT, ROBOT.controller)


def test_a_residual_drives_the_robot_as_it_did_in_its_environment(
    zips: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    import gymnasium  # noqa: PLC0415

    file, model = zips["PPO"]
    import_policy(file, "cartpole", tmp_path / "law", **options("PPO", file))
    env = gymnasium.make("sim.environments:remend/Cartpole-v0", residual=0.2, task="step", duration_s=1.0)
    normaliser, (seen, info) = model.get_vec_normalize_env(), env.reset(seed=5)
    controller = Controller.from_artefact(load_artefact(tmp_path / "law"), ROBOT.ports)
    n, m = ROBOT.dof, len(ROBOT.actuators)
    over, differences = False, []
    while not over:
        action, _ = model.predict(normaliser.normalize_obs(seen), deterministic=True)
        parts = np.split(seen.astype(float), np.cumsum([n, n, m, n, n, n]))
        signals = dict(zip(("q", "qd", "tau_meas", "q_ref", "qd_ref", "qdd_ref"), map(list, parts), strict=False))
        command = controller.step({**signals, "dt": ROBOT.dt_s})
        seen, _, terminated, truncated, info = env.step(action)
        differences.append(abs(command[0] - info["action"]["raw"][0]))
        over = terminated or truncated
    env.close()
    assert len(differences) > 100
    assert max(differences) < 1e-3  # the environment hands out single precision


def test_the_commands_take_what_was_imported(zips: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    file, _ = zips["PPO"]
    told = ["import", str(file), "--robot", "cartpole", "--out", str(tmp_path / "law"), "--json", "-"]
    told += ["--residual", "0.2", "--normalise", str(file.with_suffix(".pkl"))]
    done = CliRunner().invoke(app, told)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["algorithm"] == "PPO"
    assert said["normalised"]
    assert said["cost"] < 50_000
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "law"), "--robot", "cartpole"])
    assert checked.exit_code == 0
    assert "PPO" in checked.stdout
    trace = rollout(ROBOT, load_artefact(tmp_path / "law"), draw_trial(ROBOT, task="balance", duration_s=0.5))
    assert np.isfinite(trace.command).all()


# what is refused


def rewritten(file: Path, to: Path, changes: dict[str, bytes | None]) -> Path:
    """The zip with some entries changed, or left out."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            if (data := changes.get(name, old.read(name))) is not None:
                new.writestr(name, data)
    return to


def data_with(file: Path, **changes: Any) -> bytes:
    with zipfile.ZipFile(file) as parts:
        return json.dumps(json.loads(parts.read("data")) | changes).encode()


class Evil:
    """What a hostile pickle is made of."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_no_pickle_in_a_zip_is_opened(zips: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    import base64  # noqa: PLC0415

    file, _ = zips["SAC"]
    mark = tmp_path / "was_run"
    evil = base64.b64encode(pickle.dumps(Evil(mark))).decode()
    with zipfile.ZipFile(file) as parts:
        data = json.loads(parts.read("data"))
    for value in data.values():
        if isinstance(value, dict) and ":serialized:" in value:
            value[":serialized:"] = evil
    changed = rewritten(file, tmp_path / "evil.zip", {"data": json.dumps(data).encode()})
    import_policy(changed, "cartpole", tmp_path / "law")  # its network is what it says in the open
    assert not mark.exists()


def test_a_network_that_is_a_pickle_is_refused_and_not_run(zips: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    file, _ = zips["SAC"]
    mark = tmp_path / "was_run"
    changed = rewritten(file, tmp_path / "evil.zip", {"policy.pth": pickle.dumps(Evil(mark))})
    with pytest.raises(BadInput, match="more than tensors, or is damaged"):
        read_archive(changed)
    assert not mark.exists()


def test_statistics_are_read_from_a_pickle_without_running_it(
    zips: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    file, model = zips["PPO"]
    found, told = read_scaling(file.with_suffix(".pkl")), model.get_vec_normalize_env()
    np.testing.assert_array_equal(found.mean, told.obs_rms.mean)
    np.testing.assert_allclose(found.scale, 1.0 / np.sqrt(told.obs_rms.var + told.epsilon), rtol=1e-15)
    mark = tmp_path / "was_run"
    hostile = tmp_path / "hostile.pkl"
    hostile.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(BadInput, match="no pickle of VecNormalize"):
        read_scaling(hostile)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy.pth": None}, "has no policy.pth"),
        ({"data": b"no json"}, "its data is no JSON"),
        ({"policy.pth": b"junk"}, "more than tensors, or is damaged"),
        ({"policy_class": {"__module__": "my.own"}}, "its policy is of 'my.own'"),
        ({"policy_kwargs": {"hidden": 1}}, "policy_kwargs have 'hidden'"),
        ({"policy_kwargs": {"activation_fn": "<class 'torch.nn.modules.activation.GELU'>"}}, "its activation is"),
        (
            {"policy_kwargs": {"features_extractor_class": "<class 'NatureCNN'>"}},
            "it looks through <class 'NatureCNN'>",
        ),
        ({"action_space": {":type:": "<class 'gymnasium.spaces.multi_binary.MultiBinary'>"}}, "its action space is"),
        ({"action_space": {":type:": "<class 'gymnasium.spaces.box.Box'>", "low": "[-inf]", "high": "[1]"}}, "no ends"),
        (
            {"action_space": {":type:": "<class 'gymnasium.spaces.box.Box'>", "low": "[-1 -1]", "high": "[1 1]"}},
            "outputs",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    changes: dict[str, Any], words: str, zips: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    file, _ = zips["SAC"]
    if not {"data", "policy.pth"} & set(changes):
        changes = {"data": data_with(file, **changes)}
    with pytest.raises(BadInput, match=words):
        read_archive(rewritten(file, tmp_path / "changed.zip", changes))


def test_what_is_no_zip_and_what_does_not_fit_is_refused(zips: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(BadInput, match="is no zip file"):
        read_archive(tmp_path / "text.zip")
    with pytest.raises(BadInput, match="cannot be read"):
        read_archive(tmp_path / "nowhere.zip")
    file, _ = zips["SAC"]
    with pytest.raises(BadInput, match="arm2 has 2 actuators"):
        import_policy(file, "arm2", tmp_path / "law")
    with pytest.raises(BadInput, match="give --levels with 3 actions"):
        import_policy(zips["DQN"][0], "cartpole", tmp_path / "law")
    with pytest.raises(BadInput, match=r"2 actions; .* chooses between 3"):
        import_policy(zips["DQN"][0], "cartpole", tmp_path / "law", levels="-1,1")
    with pytest.raises(BadInput, match="leave --levels out"):
        import_policy(file, "cartpole", tmp_path / "law", levels="-1,1")
    with pytest.raises(BadInput, match="--residual"):
        import_policy(file, "cartpole", tmp_path / "law", residual=1.5)
    assert not (tmp_path / "law").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(BadInput, match="is there already"):
        import_policy(file, "cartpole", tmp_path / "full")


def test_statistics_come_from_plain_arrays_too(tmp_path: Path) -> None:
    file = tmp_path / "norm.npz"
    np.savez(file, mean=np.zeros(12), var=np.full(12, 4.0), clip=5.0, epsilon=0.0)
    found = read_scaling(file)
    assert found.clip == 5.0
    np.testing.assert_array_equal(found.scale, np.full(12, 0.5))
    np.savez(file, mean=np.zeros(12), var=np.full(11, 4.0))
    with pytest.raises(BadInput, match="two lists of equal length"):
        read_scaling(file)
    np.savez(file, mean=np.array([object()]), var=np.zeros(1))
    with pytest.raises(BadInput, match=r"no \.npz of numbers"):
        read_scaling(file)


def test_levels_are_a_table_of_shares() -> None:
    np.testing.assert_array_equal(as_array("-1,0,1", 1), [[-1.0], [0.0], [1.0]])
    np.testing.assert_array_equal(as_array("-1 0; 0 0.5", 2), [[-1.0, 0.0], [0.0, 0.5]])
    for text in ("2,0", "a,b", ""):
        with pytest.raises(BadInput, match="--levels"):
            as_array(text, 1)


# what a law can hold


def layers(*sizes: int) -> tuple[tuple[Any, Any], ...]:
    rng = np.random.default_rng(2)
    pairs = itertools.pairwise(sizes)
    return tuple(
        (rng.normal(size=(after, before)) / before**0.5, 0.1 * rng.normal(size=after)) for before, after in pairs
    )


@pytest.mark.parametrize("activation", ["tanh", "relu", "elu", "leaky_relu", "silu"])
@pytest.mark.parametrize("squash", [True, False])
def test_every_activation_is_said_in_the_law_as_it_is(activation: str, squash: bool) -> None:
    ends = {"low": np.array([-0.5]), "high": np.array([2.0])}
    policy = Policy(algorithm="SAC", layers=layers(12, 16, 8, 1), activation=activation, squash=squash, **ends)
    law, seen = law_of_policy(policy, ROBOT, "mine"), observations(ROBOT, 200, seed=4)
    np.testing.assert_allclose(actions(law, ROBOT, seen, None, 1.0), policy.act(seen), atol=1e-12)


def test_a_network_that_costs_too_much_is_refused_with_what_to_do() -> None:
    for sizes in ((12, 256, 256, 1), (12, 140, 140, 1)):
        policy = Policy(algorithm="SAC", layers=layers(*sizes), activation="relu", squash=True)
        with pytest.raises(BadInput, match=r"net_arch.: \[64, 64\]"):
            law_of_policy(policy, ROBOT, "large")


def test_the_bound_on_how_fast_an_action_changes_holds() -> None:
    policy = Policy(algorithm="PPO", layers=layers(12, 16, 8, 1), activation="silu")
    rng = np.random.default_rng(6)
    seen = rng.normal(size=(500, 12))
    moved = seen + 1e-3 * rng.normal(size=seen.shape)
    steepest = np.max(np.abs(policy.act(moved) - policy.act(seen))[:, 0] / np.linalg.norm(moved - seen, axis=1))
    assert 0.1 * policy.lipschitz() < steepest <= policy.lipschitz()


@pytest.fixture(autouse=True)
def nothing_is_written_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("SB3")]


def test_a_zip_bomb_is_not_unpacked(zips: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    file, _ = zips["SAC"]
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("policy.pth", io.BytesIO(bytes(65 * 1024 * 1024)).read())
        bomb.writestr("data", data_with(file))
    with pytest.raises(BadInput, match="small networks only"):
        read_archive(tmp_path / "bomb.zip")
