"""The original of an imported policy, in stable-baselines3's own classes: what a law is held against.

The classes are those of the installed library and the tensors those that PyTorch's safe reader gave; nothing comes out
of a pickle.
"""

from __future__ import annotations

import importlib
import io
import zipfile
from typing import Any

import numpy as np

from core.metrics import Array
from patcher.rl.archive import Archive
from patcher.rl.policy import Scaling

_CLASSES = {
    "PPO": ("stable_baselines3.common.policies", "ActorCriticPolicy"),
    "SAC": ("stable_baselines3.sac.policies", "SACPolicy"),
    "TQC": ("sb3_contrib.tqc.policies", "TQCPolicy"),
    "TD3": ("stable_baselines3.td3.policies", "TD3Policy"),
    "DQN": ("stable_baselines3.dqn.policies", "DQNPolicy"),
}
_TORCH = {"tanh": "Tanh", "relu": "ReLU", "elu": "ELU", "leaky_relu": "LeakyReLU", "silu": "SiLU"}
_KEPT = ("net_arch", "use_sde", "full_std", "use_expln", "squash_output", "clip_mean", "n_critics", "n_quantiles")


class Original:
    """A policy of stable-baselines3 with the weights of an archive."""

    def __init__(self, archive: Archive, scaling: Scaling | None) -> None:
        import torch  # noqa: PLC0415 an extra, and two seconds
        from gymnasium.spaces import Box, Discrete  # noqa: PLC0415

        torch.set_num_threads(1)
        self._torch, self._scaling, self._archive = torch, scaling, archive
        module, name = _CLASSES[archive.algorithm]
        inputs = archive.layers[0][0].shape[1]
        said: dict[str, Any] = dict(archive.data.get("policy_kwargs") or {})
        kwargs = {key: said[key] for key in _KEPT if key in said and not isinstance(said[key], str)}
        kwargs["activation_fn"] = getattr(torch.nn, _TORCH[archive.activation])
        if "net_arch" in said and isinstance(said["net_arch"], str):  # beside a pickle it stands as text
            kwargs["net_arch"] = _numbers(said["net_arch"])
        space = (
            Discrete(archive.choices)
            if archive.choices is not None
            else Box(np.float32(archive.low), np.float32(archive.high), dtype=np.float32)
        )
        seen = Box(-np.inf, np.inf, (inputs,), np.float32)
        self._policy = getattr(importlib.import_module(module), name)(seen, space, lambda _: 0.0, **kwargs)
        with zipfile.ZipFile(archive.file) as parts:
            tensors = torch.load(io.BytesIO(parts.read("policy.pth")), map_location="cpu", weights_only=True)
        self._policy.load_state_dict(tensors)
        self._policy.set_training_mode(False)

    def predict(self, observations: Array) -> Array:
        """(N, m) actions as the library predicts them, in its single precision; (N,) numbers of choices for a DQN."""
        actions, _ = self._policy.predict(self._scaled(observations).astype(np.float32), deterministic=True)
        return np.asarray(actions, dtype=float)

    def exact(self, observations: Array) -> Array:
        """The same network in double precision."""
        torch, policy, name = self._torch, self._policy, self._archive.algorithm
        policy.double()
        x = torch.as_tensor(self._scaled(observations), dtype=torch.float64)
        with torch.no_grad():
            if name == "PPO":
                found = policy.action_net(policy.mlp_extractor.policy_net(x))
                found = torch.tanh(found) if policy.squash_output else found
            elif name == "DQN":
                found = policy.q_net.q_net(x).argmax(dim=1)
            elif name == "TD3":
                found = policy.actor.mu(x)
            else:
                found = torch.tanh(policy.actor.mu(policy.actor.latent_pi(x)))
        policy.float()
        low, high = self._archive.low, self._archive.high
        actions = found.numpy().astype(float)
        if low is None or high is None:
            return np.asarray(actions)
        if self._archive.squash:
            return np.asarray(low + 0.5 * (actions + 1.0) * (high - low))
        return np.asarray(np.clip(actions, low, high))

    def _scaled(self, observations: Array) -> Array:
        s = self._scaling
        return observations if s is None else np.asarray(np.clip((observations - s.mean) * s.scale, -s.clip, s.clip))


def _numbers(text: str) -> Any:
    """A `net_arch` that stands as text: [64, 64], or a table of pi and vf."""
    import ast  # noqa: PLC0415

    return ast.literal_eval(text)
