"""Robots as gymnasium environments: the API as its checkers see it, repetition to the last bit, and what info says."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import seeding
from gymnasium.utils.env_checker import check_env

from controllers.library import find_law
from core.errors import BadInput
from sim.catalogue import find_robot, robot_file, robot_names, shipped_robots
from sim.environments import environment_id
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import nominal_physics, open_plant
from sim.rollout import make_runtime, run
from sim.tasks.catalogue import draw_task

# What gymnasium says of observations without bounds. A sensor's noise has none.
UNBOUNDED = {"minimum value is -infinity", "maximum value is infinity"}


@pytest.fixture
def make():
    """gymnasium.make without wrappers, closed after the test."""
    made = []

    def make_one(robot="arm2", **kwargs):
        made.append(gymnasium.make(environment_id(robot), **{"duration_s": 0.4, **kwargs}).unwrapped)
        return made[-1]

    yield make_one
    for env in made:
        env.close()


def drive(env, actions, seed=1, options=None):
    """Observations, rewards and infos of one episode, from `reset` on."""
    observation, info = env.reset(seed=seed, options=options)
    observations, rewards, infos = [observation], [], [info]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        infos.append(info)
        if terminated or truncated:
            break
    return np.array(observations), rewards, infos


def waves(env, ticks, size=0.3):
    """(ticks, m) some actions."""
    phase = np.arange(env.action_space.shape[0])
    return size * np.sin(0.1 * np.arange(ticks)[:, None] + phase).astype(np.float32)


# the API


@pytest.mark.parametrize("robot", robot_names())
@pytest.mark.parametrize("residual", [None, 0.2])
def test_every_robot_passes_the_checkers_of_gymnasium_and_stable_baselines(robot, residual, make):
    from stable_baselines3.common.env_checker import check_env as check_for_training  # noqa: PLC0415

    env = make(robot, residual=residual, physics="hidden", robot_seed=3)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_env(env)
    assert len(said) == len(UNBOUNDED)
    assert all(any(known in str(warning.message) for known in UNBOUNDED) for warning in said)
    check_for_training(env)  # its warnings are errors


def test_gymnasium_finds_an_environment_without_an_import_of_ours():
    program = """
import gymnasium
env = gymnasium.make("sim.environments:remend/Arm2-v0", fault="payload:mass=1", task="reach", duration_s=0.1)
print(env.reset(seed=1)[1]["fault"]["label"])
"""
    assert output_of(program) == "payload:mass=1"


def test_knowing_the_environments_loads_no_simulator():
    program = """
import gymnasium, sys, sim.environments
assert gymnasium.spec("remend/Iiwa-v0").kwargs == {"robot": "iiwa"}
print({"pybullet", "pinocchio", "sim.environment", "torch"} & set(sys.modules))
"""
    assert output_of(program) == "set()"


def output_of(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_shipped_robot_has_an_id():
    assert {environment_id(name) for name in shipped_robots()} <= set(gymnasium.registry)
    assert environment_id("two_link-arm") == "remend/TwoLinkArm-v0"


def test_a_robot_of_ones_own_is_made_from_its_file():
    env = gymnasium.make("remend/Robot-v0", robot=str(robot_file("arm2")))
    assert env.unwrapped.robot == find_robot("arm2")
    env.close()


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"robot": "arm3"}, "did you mean arm2?"),
        ({"physics": "real"}, "nominal or hidden"),
        ({"residual": 1.5}, "share of the command range"),
        ({"duration_s": 0.001}, "two control periods"),
        ({"control_rate_hz": 300, "physics_rate_hz": 500}, "whole multiple"),
        ({"render_mode": "ansi"}, "rgb_array"),
        ({"fault": "gremlins"}, "not in the catalogue"),
        ({"task": "walk"}, "does not work on 'walk'"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*render_mode")  # gymnasium has its own word on it
def test_a_wrong_argument_is_one_sentence(kwargs, sentence):
    with pytest.raises(BadInput, match=sentence):
        gymnasium.make("remend/Robot-v0", **{"robot": "arm2", **kwargs})


def test_a_wrong_option_is_one_sentence(make):
    with pytest.raises(BadInput, match="'faults'; use fault or task"):
        make().reset(options={"faults": "none"})
    for task in ("dance", "walk"):  # none at all, and one of other robots
        with pytest.raises(BadInput, match=f"does not work on '{task}'; use one of reach, weave, pick"):
            make().reset(options={"task": task})


def test_an_episode_that_is_over_and_a_closed_environment_take_no_step(make):
    env = make()
    drive(env, waves(env, 1000, size=0.0))
    with pytest.raises(RuntimeError, match="reset"):
        env.step(env.action_space.sample())
    env.close()
    env.close()
    with pytest.raises(RuntimeError, match="closed"):
        env.reset()


# repetition


@pytest.mark.parametrize("robot", robot_names())
def test_the_same_seed_gives_the_same_bits_in_any_order_and_in_another_world(robot, make):
    fault = "jitter:ms=10" if robot != "quadruped" else "sensor_noise:factor=3"
    first, second = make(robot, fault=fault, residual=0.1), make(robot, fault=fault, residual=0.1)
    actions = waves(first, 40)
    a = drive(first, actions, seed=5)
    drive(first, actions, seed=6, options={"fault": "none"})
    again, other_world = drive(first, actions, seed=5), drive(second, actions, seed=5)
    for b in (again, other_world):
        assert np.array_equal(a[0], b[0])
        assert a[1] == b[1]
    assert not np.array_equal(a[0][0], drive(second, actions, seed=7)[0][0])


def test_an_option_holds_for_one_episode(make):
    env = make(task="reach")
    assert drive(env, [], options={"fault": "payload:mass=2", "task": "weave"})[2][0]["fault"]["label"] != "none"
    info = drive(env, [])[2][0]
    assert (info["fault"]["label"], info["task"]) == ("none", "reach")


def test_episodes_without_a_given_task_draw_all_kinds(make):
    env = make()
    env.reset(seed=1)
    assert {env.reset()[1]["task"] for _ in range(30)} == set(env.robot.tasks.kinds)


def test_vectors_of_environments_give_what_each_gives_alone(make):
    def thunk():
        return gymnasium.make("sim.environments:remend/Arm2-v0", duration_s=0.4, fault="payload:mass=1")

    alone = make(fault="payload:mass=1")
    actions = waves(alone, 8)
    expected = [drive(alone, actions, seed=seed)[0] for seed in (5, 6)]
    for vector in (
        gymnasium.vector.SyncVectorEnv([thunk, thunk]),
        gymnasium.vector.AsyncVectorEnv([thunk, thunk], context="spawn"),
    ):
        got = [vector.reset(seed=5)[0]]
        for action in actions:
            observations, _, _, _, infos = vector.step(np.stack([action, action]))
            got.append(observations.copy())
        assert np.array_equal(np.stack(got, axis=1), np.stack(expected))
        assert infos["rmse"].shape == (2,)
        vector.close()


# what happens in it


def test_a_residual_of_nothing_is_a_rollout_of_the_nominal_law(make):
    robot, spec, seed = find_robot("arm2"), "friction:joint=1,scale=5", 11
    env = make(fault=spec, task="reach", residual=0.2)
    infos = drive(env, np.zeros((1000, 2), np.float32), seed=seed)[2]
    rng, _ = seeding.np_random(seed)
    task = draw_task(robot, "reach", rng.uniform(robot.tasks.low, robot.tasks.high), 0.4, rng)
    course = FaultCourse(faults=parse_faults(spec, robot))
    with open_plant(robot, nominal_physics(robot), course, seed=int(rng.integers(2**31))) as plant:
        plant.reset(task.q[0])
        trace = run(plant, make_runtime(robot, find_law(robot, robot.controller)), task.references())
    assert len(infos) == len(task.q)
    assert infos[-1]["rmse"] == pytest.approx(trace.metrics()["rms_tracking_error"], rel=1e-9)
    assert infos[-1]["max_error"] == pytest.approx(trace.metrics()["max_tracking_error"], rel=1e-9)
    variation = np.abs(np.diff(trace.command[:-1], axis=0)).sum()
    assert infos[-1]["torque_total_variation"] == pytest.approx(variation, rel=1e-9)
    assert 0.0 < infos[-1]["rmse"] < 0.1
    assert infos[-1]["constraint_violation"] == 0.0


def test_a_residual_adds_its_share_of_the_command_range(make):
    env = make(residual=0.2, physics_rate_hz=500)
    plain, pushed = (drive(env, np.full((1, 2), size, np.float32))[2][-1]["action"]["raw"] for size in (0.0, 1.0))
    assert pushed - plain == pytest.approx(0.2 * np.array(env.robot.limits.effort))


@pytest.mark.parametrize("robot", robot_names())
def test_an_action_spans_the_command_range(robot, make):
    env, low, high = (
        make(robot),
        *(np.array(getattr(find_robot(robot).limits, f"effort_{end}")) for end in ("low", "high")),
    )
    for size, command in ((-1.0, low), (0.0, 0.5 * (low + high)), (1.0, high), (5.0, high)):
        env.reset(seed=1)
        info = env.step(np.full(len(low), size, np.float32))[4]
        assert info["action"]["raw"] == pytest.approx(command, abs=1e-6)


def test_info_shows_every_stage_of_a_command(make):
    env = make(fault="actuator_loss:joint=1,gain=0.5")
    infos = drive(env, np.full((10, 2), 0.1, np.float32))[2]
    sent = 0.1 * np.array(env.robot.limits.effort)
    early, late = infos[1]["action"], infos[-1]["action"]
    assert early["limited"] == pytest.approx(sent)
    assert not np.allclose(early["delayed"], sent)
    assert late["delayed"] == pytest.approx(sent)
    assert late["applied"] == pytest.approx([0.5 * sent[0], sent[1]])


def test_info_names_the_fault_while_it_is_in_force(make):
    env = make(fault="payload:mass=1,onset=0.1,ramp=0.1", residual=0.1)
    infos = drive(env, np.zeros((1000, 2), np.float32))[2]
    faults = [infos[k]["fault"] for k in (0, 25, 75, -1)]
    assert [fault["severity"] for fault in faults] == pytest.approx([0.0, 0.0, 0.5, 1.0])
    assert [fault["label"] for fault in faults] == ["none", "none", *["payload:mass=1,onset=0.1,ramp=0.1"] * 2]


def test_an_observation_is_what_the_robot_says_and_not_the_truth(make):
    env = make(fault="sensor_bias:joint=2,rad=0.05", residual=0.1)
    observation, _ = env.reset(seed=1)
    q, v = env._plant.true_state()
    noise = 6 * np.array(env.robot.sensors.position_noise)
    assert observation[0] == pytest.approx(q[0], abs=noise[0])
    assert observation[1] == pytest.approx(q[1] + 0.05, abs=noise[1])
    assert not np.any(observation[:4] == np.concatenate([q, v]).astype(np.float32))
    assert len(observation) == 5 * 2 + 2 * 2
    assert observation[6:8] == pytest.approx(q)  # it starts on its reference
    assert observation[-2:] == pytest.approx(0.0)
    assert env.step(np.array([0.5, -0.25], np.float32))[0][-2:] == pytest.approx([0.5, -0.25])


def test_the_clocks_are_separate(make):
    env = make(control_rate_hz=50, physics_rate_hz=1000)
    assert (env.robot.substeps, env.robot.dt_s) == (20, 0.02)
    assert len(drive(env, np.zeros((1000, 2), np.float32))[1]) <= 19
    assert make(control_rate_hz=100).robot.physics_rate_hz == find_robot("arm2").physics_rate_hz
    assert make(physics="hidden")._plant.physics.substeps > make()._plant.physics.substeps


def test_a_robot_that_tracks_is_truncated_and_earns_more_than_one_that_is_lost(make):
    kept, lost = make(residual=0.1), make()
    _, good, infos = drive(kept, np.zeros((1000, 2), np.float32))
    assert len(good) == 0.4 * 500 - 1
    assert not infos[-1]["lost"]
    _, bad, infos = drive(lost, np.ones((1000, 2), np.float32))
    assert infos[-1]["lost"]
    assert len(bad) < len(good)
    assert infos[-1]["constraint_violation"] > 0
    assert all(reward <= 0 for reward in good + bad)
    assert sum(bad) < -(1.01 * (len(good) - len(bad))) < sum(good)


def test_effort_has_its_price(make):
    cheap, dear = make(residual=0.1, effort_price=0.0), make(residual=0.1, effort_price=1.0)
    actions = np.zeros((20, 2), np.float32)
    (_, a, infos), (_, b, _) = drive(cheap, actions), drive(dear, actions)
    share = infos[1]["action"]["applied"] / np.array(cheap.robot.limits.effort)
    assert a[0] - b[0] == pytest.approx(np.mean(share**2))


def test_a_simulation_that_comes_apart_ends_the_episode_with_numbers(make, monkeypatch):
    env = make()
    env.reset(seed=1)

    def diverge(command):
        raise FloatingPointError

    monkeypatch.setattr(env._plant, "apply", diverge)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert (terminated, truncated, info["lost"]) == (True, False, True)
    assert np.all(np.isfinite(observation))
    assert reward == pytest.approx(-1.01 * 199)
    monkeypatch.undo()
    assert not drive(env, waves(env, 1))[2][-1]["lost"]


# pictures and training


@pytest.mark.parametrize("robot", robot_names())
def test_a_picture_shows_the_robot_and_changes_nothing(robot, make):
    blind, seen = make(robot), make(robot, render_mode="rgb_array")
    assert blind.render() is None or blind.render_mode
    actions = waves(blind, 5)
    seen.reset(seed=1)
    before = seen.render()
    assert before.shape == (240, 320, 3)
    assert before.dtype == np.uint8
    dark = np.mean(before.sum(axis=2) < 300)
    assert 0.001 < dark < 0.2
    for action in actions:
        observation = seen.step(action)[0]
        seen.render()
    assert np.array_equal(drive(blind, actions)[0][-1], observation)


def test_a_learner_trains_a_residual():
    """A few steps of proximal policy optimisation: it runs, and what it learnt can be used."""
    from stable_baselines3 import PPO  # noqa: PLC0415

    env = gymnasium.make(environment_id("arm2"), residual=0.2, fault="payload:mass=1", duration_s=0.2)
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=1, seed=1, device="cpu")
    before = model.policy.parameters_to_vector()
    model.learn(128)
    assert not np.array_equal(before, model.policy.parameters_to_vector())
    observation, _ = env.reset(seed=1)
    action, _ = model.predict(observation, deterministic=True)
    assert env.action_space.contains(action)
    env.close()


@pytest.mark.parametrize(
    ("action", "words"), [(np.zeros(3), "2 finite numbers"), (np.array([0.0, np.nan]), "nan"), (np.inf, "inf")]
)
def test_an_action_that_is_none_is_refused_and_loses_nothing(make, action, words):
    env = make("arm2")
    env.reset(seed=1)
    with pytest.raises(BadInput, match=words):
        env.step(action)
    observation, *_ = env.step(np.zeros(2))
    assert np.isfinite(observation).all()
