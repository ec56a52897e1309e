"""Reads the zip of a stable-baselines3 policy without running anything in it.

Such a zip holds pickles, and unpickling runs what the pickle says. Here none is opened: the network comes from
PyTorch's own reader with `weights_only=True`, which knows tensors and nothing else; spaces and settings come from the
plain JSON that stands beside the pickles. What cannot be known so is refused by name.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BadInput
from core.metrics import Array
from patcher.rl.policy import ACTIVATIONS, Policy, Scaling

MOST_BYTES = 64 * 1024 * 1024  # of one file in the zip
# Module of the policy class -> algorithm, prefix of its layers, activation that it has by itself
_KINDS = {
    "stable_baselines3.common.policies": ("PPO", "mlp_extractor.policy_net", "tanh"),
    "stable_baselines3.sac.policies": ("SAC", "actor.latent_pi", "relu"),
    "sb3_contrib.tqc.policies": ("TQC", "actor.latent_pi", "relu"),
    "stable_baselines3.td3.policies": ("TD3", "actor.mu", "relu"),
    "stable_baselines3.dqn.policies": ("DQN", "q_net.q_net", "relu"),
}
_HEADS = {"PPO": ("action_net",), "SAC": ("actor.mu", "actor.mu.0"), "TQC": ("actor.mu", "actor.mu.0")}
_TORCH_NAMES = {"Tanh": "tanh", "ReLU": "relu", "ELU": "elu", "LeakyReLU": "leaky_relu", "SiLU": "silu"}
# Settings of a policy that change nothing of what its network computes, or that are looked at below
_HARMLESS = {
    *("net_arch", "activation_fn", "ortho_init", "log_std_init", "use_sde", "full_std", "use_expln", "squash_output"),
    *(
        "clip_mean",
        "n_critics",
        "n_quantiles",
        "share_features_extractor",
        "normalize_images",
        "features_extractor_class",
    ),
    *("optimizer_class", "optimizer_kwargs", "features_extractor_kwargs", "lr_schedule"),
}
_CLIP_MEAN = 2.0  # of SAC and TQC with state-dependent exploration, unless set


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Archive:
    """What a zip says in the open."""

    file: Path
    algorithm: str
    data: Mapping[str, Any]  # the JSON, with pickles still closed
    layers: tuple[tuple[Array, Array], ...]
    activation: str
    bound: float | None
    squash: bool
    low: Array | None  # (m,) of a continuous action space
    high: Array | None
    choices: int | None  # of a discrete one
    version: str  # of stable-baselines3 that wrote it

    def policy(self, scaling: Scaling | None, levels: Array | None) -> Policy:
        """The policy with what the zip cannot say: how its observations were normalised, what its choices mean.

        Raises:
            BadInput: they do not fit the network.
        """
        inputs = self.layers[0][0].shape[1]
        if scaling is not None and len(scaling.mean) != inputs:
            raise BadInput(f"--normalise: statistics of {len(scaling.mean)} inputs; {self.file.name} has {inputs}")
        if (self.choices is None) != (levels is None):
            need = f"give --levels with {self.choices} actions" if levels is None else "leave --levels out"
            raise BadInput(f"{self.file.name}: a {self.algorithm} policy; {need}")
        if levels is not None and len(levels) != self.choices:
            raise BadInput(f"--levels: {len(levels)} actions; {self.file.name} chooses between {self.choices}")
        return Policy(
            algorithm=self.algorithm,
            layers=self.layers,
            activation=self.activation,
            scaling=scaling,
            bound=self.bound,
            squash=self.squash,
            low=self.low,
            high=self.high,
            levels=levels,
        )


def read_archive(file: Path) -> Archive:
    """The policy in `file`.

    Raises:
        BadInput: it is no zip of a policy that a law can hold; the sentence says what is in the way.
    """
    parts = _unzipped(file)
    try:
        data = json.loads(parts["data"])
        assert isinstance(data, dict)
    except (ValueError, AssertionError, RecursionError):
        raise BadInput(f"{file}: its data is no JSON; save the model again with model.save()") from None
    said = data.get("policy_class")
    module = said.get("__module__") if isinstance(said, dict) else None
    if module not in _KINDS:
        raise BadInput(
            f"{file}: its policy is of {module!r}; the MLP policies of PPO, SAC, TQC, TD3 and DQN can be imported"
        )
    algorithm, prefix, activation = _KINDS[str(module)]
    kwargs = data.get("policy_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    activation = _activation(file, kwargs, activation)
    tensors = _tensors(file, parts["policy.pth"])
    bound = _bound(file, algorithm, data, kwargs)
    layers = _layers(file, tensors, prefix, _HEADS.get(algorithm, ()))
    low, high, choices = _actions(file, data.get("action_space"))
    if (algorithm == "DQN") != (choices is not None):
        raise BadInput(f"{file}: a {algorithm} policy over {'choices' if choices else 'numbers'}; use DQN for choices")
    expected = choices if low is None else len(low)
    if layers[-1][0].shape[0] != expected:
        raise BadInput(f"{file}: its network has {layers[-1][0].shape[0]} outputs for an action of {expected}")
    version = parts.get("_stable_baselines3_version", b"").decode("ascii", "replace").strip()[:20]
    return Archive(
        file=file,
        algorithm=algorithm,
        data=data,
        layers=layers,
        activation=activation,
        bound=bound,
        squash=algorithm in ("SAC", "TQC", "TD3") or bool(kwargs.get("squash_output")),
        low=low,
        high=high,
        choices=choices,
        version=version,
    )


def _unzipped(file: Path) -> dict[str, bytes]:
    """The entries that are looked at; sizes are checked before anything is unpacked."""
    wanted = ("data", "policy.pth", "_stable_baselines3_version")
    try:
        with zipfile.ZipFile(file) as archive:
            known = {info.filename: info for info in archive.infolist()}
            for name in wanted[:2]:
                if name not in known:
                    raise BadInput(f"{file}: has no {name}; give a zip that model.save() of stable-baselines3 wrote")
            for name in wanted:
                if name in known and known[name].file_size > MOST_BYTES:
                    raise BadInput(f"{file}: {name} has {known[name].file_size} bytes; a law holds small networks only")
            return {name: archive.read(name) for name in wanted if name in known}
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror or error}); give the zip of a policy") from None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise BadInput(f"{file}: is no zip file ({error}); give one that model.save() wrote") from None


def _tensors(file: Path, data: bytes) -> dict[str, Array]:
    """Name -> array of the network, read by PyTorch as tensors and nothing else."""
    import torch  # noqa: PLC0415 an extra, and two seconds

    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return {str(name): value.detach().double().numpy() for name, value in found.items()}
    except Exception as error:
        what = " ".join(str(error).split())[:120]
        raise BadInput(f"{file}: policy.pth holds more than tensors, or is damaged ({what}); it is not read") from None


def _layers(
    file: Path, tensors: Mapping[str, Array], prefix: str, heads: tuple[str, ...]
) -> tuple[tuple[Array, Array], ...]:
    """Weights and biases in order: those below the prefix by their number, then the head."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.weight")
    numbers = sorted(int(match[1]) for name in tensors if (match := pattern.fullmatch(name)))
    names = [f"{prefix}.{number}" for number in numbers]
    if heads:
        head = next((name for name in heads if f"{name}.weight" in tensors), None)
        if head is None:
            raise BadInput(f"{file}: its network has no {heads[0]}; only MLP policies can be imported")
        names.append(head)
    extra = [name for name in tensors if ".features_extractor." in f".{name}" or ".shared_net." in name]
    if extra:
        raise BadInput(f"{file}: its network has {extra[0]}; only plain MLP policies can be imported")
    layers: list[tuple[Array, Array]] = []
    for name in names:
        weight, bias = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
        if weight is None or bias is None or weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise BadInput(f"{file}: {name} is no layer with weight and bias; only MLP policies can be imported")
        if layers and weight.shape[1] != layers[-1][0].shape[0]:
            raise BadInput(f"{file}: {name} does not take what the layer before it gives")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise BadInput(f"{file}: {name} holds numbers that are not finite; this training has diverged")
        layers.append((weight, bias))
    if not layers:
        raise BadInput(f"{file}: no layer is named {prefix}; only MLP policies can be imported")
    return tuple(layers)


def _activation(file: Path, kwargs: Mapping[str, Any], default: str) -> str:
    unknown = sorted(key for key in kwargs if key not in _HARMLESS and not key.startswith(":"))
    if unknown:
        raise BadInput(f"{file}: its policy_kwargs have {unknown[0]!r}, which no law is known for")
    extractor = str(kwargs.get("features_extractor_class", "FlattenExtractor"))
    if "FlattenExtractor" not in extractor:
        raise BadInput(f"{file}: it looks through {extractor[:80]}; only plain observations can be imported")
    if "activation_fn" not in kwargs:
        return default
    said = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", str(kwargs["activation_fn"]))
    name = _TORCH_NAMES.get(said[1]) if said else None
    if name is None:
        raise BadInput(
            f"{file}: its activation is {str(kwargs['activation_fn'])[:80]}; known are {', '.join(_TORCH_NAMES)}"
        )
    assert name in ACTIVATIONS
    return name


def _bound(file: Path, algorithm: str, data: Mapping[str, Any], kwargs: Mapping[str, Any]) -> float | None:
    """What clips the mean of SAC and TQC with state-dependent exploration."""
    if algorithm not in ("SAC", "TQC") or not data.get("use_sde"):
        return None
    value = kwargs.get("clip_mean", _CLIP_MEAN)
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise BadInput(f"{file}: its clip_mean is {value!r}; give the policy a number")
    return float(value) if value > 0 else None


def _actions(file: Path, space: object) -> tuple[Array | None, Array | None, int | None]:
    """Bounds of a continuous action space, or the number of choices of a discrete one."""
    kind = str(space.get(":type:", "")) if isinstance(space, dict) else ""
    if "discrete.Discrete'" in kind and isinstance(space, dict):
        count = re.fullmatch(r"\s*(\d{1,4})\s*", str(space.get("n", "")))
        if count is None or int(str(space.get("start", "0"))) != 0:
            raise BadInput(f"{file}: the number of its choices cannot be read; count them from 0")
        return None, None, int(count[1])
    if "box.Box'" not in kind or not isinstance(space, dict):
        raise BadInput(f"{file}: its action space is {kind[:80] or 'not told'}; a Box or Discrete one can be imported")
    ends = []
    for key in ("low", "high"):
        words = str(space.get(key, "")).strip("[] \n").split()
        try:
            ends.append(np.array([float(word) for word in words]))
        except ValueError:
            raise BadInput(f"{file}: {key} of its action space cannot be read") from None
    low, high = ends
    if low.shape != high.shape or not len(low) or not np.isfinite(low).all() or not np.isfinite(high).all():
        raise BadInput(f"{file}: its action space has no ends; give it finite ones")
    if not (low < high).all():
        raise BadInput(f"{file}: its action space is empty")
    return low, high, None
