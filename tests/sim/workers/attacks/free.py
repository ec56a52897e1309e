"""Work that the product does not have: free Python with every builtin, run in a confined worker.

What a payload leaves in `said` is the worker's answer. All modules that it could wish for are imported beforehand.
"""

from __future__ import annotations

import ctypes
import gc
import marshal
import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

from controllers.artefact import Artefact
from sim.lockstep import Laws
from sim.workers.answer import write_answer
from sim.workers.job import ROLLOUTS, Job, run_job
from sim.workers.lockstep import LAWS, LawJob
from sim.workers.wire import WIRE

ARMS = (ctypes, gc, mmap, os, resource, signal, socket, subprocess, sys, threading)


def armed(**more: Any) -> dict[str, Any]:
    return {**{module.__name__: module for module in ARMS}, **more}


class _Free:
    """A request is (source, its variables)."""

    def warm_up(self, data: bytes) -> None:
        ctypes.CDLL(None)

    def prepare(self, request: bytes) -> tuple[str, dict[str, Any]]:
        source, variables = pickle.loads(request)  # noqa: S301 the test's own
        return source, variables

    def perform(self, prepared: tuple[str, dict[str, Any]]) -> bytes:
        source, variables = prepared
        space = armed(**variables)
        exec(source, space)  # noqa: S102 that is what is tested
        return str(space.get("said", "done")).encode()


class _Forger:
    """Rollouts as the product does them, in a process in which a payload has run before. A request is (source, job)."""

    def warm_up(self, data: bytes) -> None:
        ROLLOUTS.warm_up(data)

    def prepare(self, request: bytes) -> tuple[str, Job, Artefact]:
        source, job = pickle.loads(request)  # noqa: S301 the test's own
        return source, *ROLLOUTS.prepare(job)

    def perform(self, prepared: tuple[str, Job, Artefact]) -> bytes:
        source, job, safety = prepared
        exec(source, armed())  # noqa: S102 that is what is tested
        return write_answer(run_job(job, safety))


FREE, FORGER = _Free(), _Forger()


class _FalseLaws:
    """The far end of a wire, in a process in which a payload has run before. A request is (source, law job).

    The payload may replace `answer`, which is (exchange, honest answer to it) -> bytes, and may write to `WIRE` itself.
    """

    def warm_up(self, data: bytes) -> None:
        """The rollouts have warmed up everything."""

    def prepare(self, request: bytes) -> tuple[str, LawJob]:
        source, job = pickle.loads(request)  # noqa: S301 the test's own
        return source, LAWS.prepare(job)

    def perform(self, prepared: tuple[str, LawJob]) -> bytes:
        source, job = prepared
        space = armed(struct=struct, np=np, marshal=marshal, time=time, WIRE=WIRE, job=job)
        exec(source, space)  # noqa: S102 that is what is tested
        laws, answer = Laws(job.robot, job.artefact, job.lanes), space.get("answer")
        while exchange := os.read(WIRE, 1 << 17):
            honest = laws.answer(exchange)
            os.write(WIRE, answer(exchange, honest) if answer else honest)
        return b""


FALSE_LAWS = _FalseLaws()
