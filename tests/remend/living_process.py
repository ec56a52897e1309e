"""A process for tests to kill or to race. Started as `python living_process.py ROLE HOME ...`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import samples

from core.errors import Conflict
from remend.store import Store
from remend.versions import Versions


def kill_at_call(number: int) -> None:
    """Let the kernel kill this process at its `number`-th call or return of a Python or C function from here on."""
    left = number

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def live(home: Path, tag: str, calls: str) -> None:
    """Incidents from alarm to commit until killed; `calls` is when to die by itself, 0 for never."""
    print("ready", flush=True)
    if int(calls):
        kill_at_call(int(calls))
    versions = Versions.open(home)
    with Store.open(home, head_every_rows=5) as store:
        for number in range(10**6):
            samples.live_through(store, versions, number % 7, f"{tag}_{number}")
            print(number, flush=True)


def decide(home: Path, name: str, decision: str) -> None:
    """Decide the sample patch as soon as a line arrives; print who won."""
    with Store.open(home) as store:
        judged = store.patch("pat_1").report
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            store.decide(samples.decision(judged, f"app_{name}", decision, name))
        except Conflict as error:
            print(f"conflict: {error}", flush=True)
        else:
            print("won", flush=True)


if __name__ == "__main__":
    role, folder, *arguments = sys.argv[1:]
    {"live": live, "decide": decide}[role](Path(folder), *arguments)
