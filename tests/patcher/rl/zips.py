"""Zips as users have them: policies of stable-baselines3, trained for a few steps on an environment of Remend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np


def train(
    algorithm: str,
    file: Path,
    robot: str = "Cartpole",
    *,
    residual: float | None = None,
    net_arch: Any = None,
    **settings: Any,
) -> Any:
    """Train, save to `file`, and return the model; VecNormalize's statistics go beside it for PPO."""
    import stable_baselines3  # noqa: PLC0415 torch takes two seconds
    from stable_baselines3.common.logger import Logger  # noqa: PLC0415
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize  # noqa: PLC0415

    kwargs = {} if net_arch is None else {"net_arch": net_arch}

    def make() -> Any:
        env = gymnasium.make(f"sim.environments:remend/{robot}-v0", residual=residual, duration_s=0.5)
        return Choices(env) if algorithm == "DQN" else env

    env: Any = DummyVecEnv([make])
    if algorithm == "PPO":
        env = VecNormalize(env)
        settings = {"n_steps": 64, "n_epochs": 2, **settings}
    else:
        settings = {"learning_starts": 20, "buffer_size": 200, **settings}
    model = getattr(stable_baselines3, algorithm)(
        "MlpPolicy", env, seed=3, device="cpu", policy_kwargs=kwargs, **settings
    )
    model.set_logger(Logger(folder=None, output_formats=[]))  # the default one leaves a folder behind
    model.learn(128)
    model.save(file)
    if algorithm == "PPO":
        env.save(str(file.with_suffix(".pkl")))
    return model


class Choices(gymnasium.ActionWrapper):  # type: ignore[type-arg]
    """Three choices for one actuator, as a DQN needs them."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.action_space = gymnasium.spaces.Discrete(3)

    def action(self, action: Any) -> Any:
        return np.array([float(action) - 1.0], np.float32)
