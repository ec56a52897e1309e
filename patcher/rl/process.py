"""A training in a process of its own: PyTorch stays out of the service, and a training can be stopped or killed.

The process is told the training and nothing else. It is stopped between two segments, or killed when it does not
listen; what it had reached is in its folder, and the next call with the same training goes on from there.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import BadInput, RobotFault
from patcher.rl.plan import Training
from patcher.rl.trainer import Progress, Trained, Trainer

NEEDED = ("torch", "stable_baselines3", "sb3_contrib")
HINT = "reinforcement learning needs PyTorch and Stable-Baselines3; run pip install 'remend[rl]'"
_LOOK_S = 0.2  # between two looks at a training
_GRACE_S = 60.0  # for the segment that is under way


def can_train() -> bool:
    """Whether the extra `rl` is installed; nothing is loaded for the answer."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


def train_apart(
    training: Training,
    folder: Path | None = None,
    *,
    report: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    limit_s: float | None = None,
    tensorboard: Path | None = None,
    clock: Clock | None = None,
) -> Trained:
    """Train in a child process and wait for it.

    Args:
        folder: for checkpoints and the record; a training that was killed goes on from what is in it.
        report: told of each segment.
        stop: asked now and then whether to end early.
        limit_s: after which it is stopped, counted from the first segment on.
        tensorboard: folder for TensorBoard's files.

    Raises:
        BadInput: the plan cannot be trained, or the extra `rl` is not installed.
        RobotFault: the process died.
    """
    if not can_train():
        raise BadInput(HINT)
    clock = clock or SystemClock()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_train, args=(there, training, folder, tensorboard), daemon=True)
    process.start()
    there.close()
    asked_ns: int | None = None
    began_ns = clock.monotonic_ns()
    try:
        while True:
            if here.poll(_LOOK_S):
                said = here.recv()
                if isinstance(said, Progress):
                    if report is not None:
                        report(said)
                    continue
                if isinstance(said, str):
                    raise BadInput(said)
                assert isinstance(said, Trained)
                return said
            now_ns = clock.monotonic_ns()
            late = limit_s is not None and now_ns - began_ns > limit_s * 1e9
            if asked_ns is None and (late or (stop is not None and stop())):
                here.send("stop")
                asked_ns = now_ns
            if asked_ns is not None and now_ns - asked_ns > _GRACE_S * 1e9:
                raise RobotFault("the training did not stop when it was asked to; it was killed")
    except (EOFError, OSError):
        raise RobotFault("the process of the training died; what it had reached is in its folder") from None
    finally:
        here.close()
        if process.is_alive():
            process.join(1.0)
        if process.is_alive():
            process.kill()
        process.join()
        process.close()


def _train(line: Connection, training: Training, folder: Path | None, tensorboard: Path | None) -> None:
    """The child."""
    try:
        trainer = Trainer(training, folder, report=line.send, stop=line.poll, tensorboard=tensorboard)
        line.send(trainer.run())
    except BadInput as error:
        line.send(str(error))
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # nobody listens any more
