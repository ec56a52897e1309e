"""The learners of stable-baselines3 behind one small face: learn for a while, say the policy as layers, save, go on.

A checkpoint is a dictionary of tensors and numbers that PyTorch reads with `weights_only=True`; no pickle of ours or of
anybody else is ever opened.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from core.metrics import Array
from patcher.rl.plan import ENVIRONMENTS, Plan
from sim.practice import Practice

Layers = Sequence[tuple[Array, Array]]
_STEPS = 64  # of each environment between two updates of PPO
_REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class Learner:
    """One algorithm on the environments of one training."""

    def __init__(self, plan: Plan, environments: Sequence[Practice], logger: Any) -> None:
        import torch  # noqa: PLC0415 an extra, and two seconds
        from stable_baselines3.common.vec_env import DummyVecEnv  # noqa: PLC0415

        torch.set_num_threads(1)  # networks this small only wait for each other; and the same bits every time
        self._torch, self._plan, self._diverged = torch, plan, False
        self._env = DummyVecEnv([partial(_itself, env) for env in environments])
        self.model = _model(plan, self._env, torch)
        self.model.set_logger(logger)
        self._zero_last_layer()

    def learn(self, steps: int, seed: int, rate: float) -> None:
        """About so many actions over all environments, from fresh episodes on, with random numbers of its own.

        Args:
            rate: of learning.
        """
        from stable_baselines3.common.utils import set_random_seed  # noqa: PLC0415

        set_random_seed(seed)
        self.model.lr_schedule = lambda _: rate
        self.model.action_space.seed(seed)
        self._env.seed(seed)
        self.model._last_obs = None  # what went before leaves nothing behind, so that a resumed run is the same
        self.model._last_original_obs = None
        try:
            self.model.learn(steps, reset_num_timesteps=False)
        except ValueError:  # PyTorch refuses to draw from a distribution of NaN; `is_finite` says so too
            self._diverged = True

    def layers(self) -> Layers:
        """The deterministic policy, each layer as weight and bias in double precision."""
        policy = self.model.policy
        if self._plan.algorithm == "ppo":
            modules = [*policy.mlp_extractor.policy_net, policy.action_net]
        else:
            modules = [*policy.actor.latent_pi, policy.actor.mu]
        linear = [module for module in modules if hasattr(module, "weight")]
        return [(_numbers(module.weight), _numbers(module.bias)) for module in linear]

    def state(self, note: str) -> bytes:
        """Everything that learning goes on from, with a text of the caller's."""
        model, data = self.model, io.BytesIO()
        kept: dict[str, Any] = {"parameters": model.get_parameters(), "actions": model.num_timesteps, "note": note}
        kept["updates"] = model._n_updates
        if self._plan.algorithm != "ppo":
            buffer = model.replay_buffer
            end = buffer.buffer_size if buffer.full else buffer.pos
            kept["replay"] = {name: self._torch.from_numpy(getattr(buffer, name)[:end].copy()) for name in _REPLAY}
            kept["replay_at"] = (buffer.pos, buffer.full)
            kept["temperature"] = model.log_ent_coef.detach().clone()
        self._torch.save(kept, data)
        return data.getvalue()

    def restore(self, data: bytes) -> str:
        """Back to a state; the text that it was saved with."""
        model = self.model
        kept = self._torch.load(io.BytesIO(data), weights_only=True)
        model.set_parameters(kept["parameters"], exact_match=True)
        model.num_timesteps, model._n_updates = kept["actions"], kept["updates"]
        if self._plan.algorithm != "ppo":
            buffer = model.replay_buffer
            for name in _REPLAY:
                rows = kept["replay"][name].numpy()
                getattr(buffer, name)[: len(rows)] = rows
            buffer.pos, buffer.full = kept["replay_at"]
            model.log_ent_coef.data.copy_(kept["temperature"])
        return str(kept["note"])

    def is_finite(self) -> bool:
        """Whether no weight has become infinite or NaN."""
        weights = self.model.policy.state_dict().values()
        return not self._diverged and all(bool(self._torch.isfinite(value).all()) for value in weights)

    def close(self) -> None:
        """Release the simulated worlds."""
        self._env.close()

    def _zero_last_layer(self) -> None:
        """The residual starts at nothing, so the law starts as the one under it."""
        policy = self.model.policy
        last = policy.action_net if self._plan.algorithm == "ppo" else policy.actor.mu
        self._torch.nn.init.zeros_(last.weight)
        self._torch.nn.init.zeros_(last.bias)


def _itself(environment: Practice) -> Practice:
    return environment


def _numbers(tensor: Any) -> Array:
    return np.array(tensor.detach().double().numpy())


def _model(plan: Plan, env: Any, torch: Any) -> Any:
    package = "sb3_contrib" if plan.algorithm == "tqc" else "stable_baselines3"
    algorithm: Any = getattr(importlib.import_module(package), plan.algorithm.upper())
    hidden = list(plan.hidden)
    kwargs: dict[str, Any] = {"activation_fn": torch.nn.Tanh}
    settings: dict[str, Any]
    if plan.algorithm == "ppo":
        # One draw of the exploration for a whole stretch: what shakes from tick to tick moves no robot, and costs wear.
        spread = plan.spread / np.sqrt(hidden[-1])  # of a sum over the last hidden layer
        kwargs |= {"net_arch": {"pi": hidden, "vf": hidden}, "log_std_init": float(np.log(spread))}
        settings = {"n_steps": _STEPS, "batch_size": 128, "n_epochs": 8, "gae_lambda": 0.9, "target_kl": 0.05}
        settings |= {"use_sde": True, "sde_sample_freq": -1}
    else:
        kwargs |= {"net_arch": {"pi": hidden, "qf": [64, 64]}}
        settings = {
            "buffer_size": 50_000,
            "learning_starts": 1000,
            "batch_size": 128,
            "train_freq": 1,
            "gradient_steps": ENVIRONMENTS // 4,
            "ent_coef": "auto_0.05",
            "target_entropy": -2.0 * env.action_space.shape[0],
        }
    settings |= {"learning_rate": plan.learning_rate, "gamma": plan.discount, "seed": plan.seed}
    return algorithm("MlpPolicy", env, policy_kwargs=kwargs, device="cpu", **settings)
