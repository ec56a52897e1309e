"""The process around a caretaker: opens robot, store and workers, and tells the service how it goes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from controllers.artefact import Artefact, load_artefact
from controllers.library import find_law
from core.clock import SystemClock
from core.errors import BadInput, RemendError
from core.robot import Robot
from core.robot_toml import load_robot
from patcher.propose.tune import Tune
from patcher.search import choose_proposers
from remend.agency.leash import Leash
from remend.agency.limit import SearchLimit
from remend.agency.policy import AgencyPolicy
from remend.disk import no_room
from remend.home import exclusive
from remend.keys import KeyRing, seal_key
from remend.links.link import RobotLink
from remend.links.simulated import SimulatedLink
from remend.pipeline import Pipeline
from remend.service.accounts import HOUR_NS
from remend.service.caretaker import Caretaker
from remend.service.casefile import HEAD
from remend.service.pulse import Doing, Pulse, Said
from remend.service.pulse_console import PulseConsole
from remend.service.robots import RobotEntry
from remend.service.viewing import Viewing
from remend.settings import Settings, load_settings
from remend.store import Store
from remend.versions import Versions
from sim.catalogue import robot_file
from sim.policy_toml import SHIPPED, load_policy
from sim.workers.opening import open_workers

_GRACE_S = 3.0  # to end in order
_INTERRUPTED = 70  # exit code
_ALREADY_S = -1e6  # a fault that has set in before the robot's clock began


@dataclass(frozen=True, slots=True, kw_only=True)
class CareSetup:
    """Everything a caretaker's process needs to start."""

    home: Path
    entry: RobotEntry
    config: Path | None = None  # settings; by default those of the home folder
    agency: AgencyPolicy = field(default_factory=AgencyPolicy)  # as the service has read it


def care_main(setup: CareSetup, channel: Connection) -> None:
    """Entry point of the process; it ends when the service hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's is for the service, which then hangs up
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_wait_for_the_end, args=(channel, stop), daemon=True).start()
    lock = threading.Lock()

    def say(pulse: Pulse) -> None:
        with lock, suppress(OSError):  # a service that is gone hears nothing
            channel.send(pulse)

    try:
        settings = load_settings(setup.home, setup.config)
        with _opened(setup, settings, say) as (caretaker, link):
            caretaker.begin(settings.service.learn_s)
            if isinstance(link, SimulatedLink):
                link.pace()
            say(Doing(what="watching"))
            caretaker.run(stop)
    except RemendError as error:
        say(Said(text=str(error), grave=True))
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        if (full := no_room(error)) is None:
            raise
        say(Said(text=str(full), grave=True))
        raise SystemExit(full.exit_code) from None


def _wait_for_the_end(channel: Connection, stop: threading.Event) -> None:
    """Ask the loop to end when the service hangs up, and end without it if it is in the middle of something long."""
    with suppress(EOFError, OSError):
        channel.recv()
    stop.set()
    time.sleep(_GRACE_S)
    os._exit(_INTERRUPTED)  # what is left to do is in the store and on the robot


def _ros_link(entry: RobotEntry, robot: Robot) -> AbstractContextManager[RobotLink]:
    """The way to a robot on a ROS 2 graph.

    Raises:
        BadInput: ROS 2 is not installed.
    """
    try:
        from remend.links.ros_link import RosLink  # noqa: PLC0415 an extra
    except ModuleNotFoundError as error:
        raise BadInput(f"{error.name} is not installed; source a ROS 2 setup, or pip install 'remend[ros]'") from None
    return RosLink(
        robot,
        robot_id=entry.robot_id,
        namespace=entry.namespace,
        host="remend_params" if entry.law else "remend_host",
        simulated=entry.simulated,
    )


def _modelled(link: RobotLink, law: Artefact) -> Artefact:
    """The law of a robot's own controller under the values that this has now."""
    from remend.links.ros_link import RosLink  # noqa: PLC0415 an extra

    assert isinstance(link, RosLink)
    return link.model(law)


def _link(
    entry: RobotEntry,
    robot: Robot,
    toml: Path,
    incumbent: Artefact,
    keys: KeyRing,
    folder: Path,
    learn_s: float,
    viewing: Viewing,
) -> AbstractContextManager[RobotLink]:
    """The way to a robot."""
    if entry.link == "ros":
        return _ros_link(entry, robot)
    return SimulatedLink(
        robot,
        toml,
        robot_id=entry.robot_id,
        baseline=incumbent,
        trust=keys.trust(),
        folder=folder,
        spec=entry.fault,
        seed=entry.seed,
        # A robot that was learnt before was degraded before: a restart heals nothing.
        learnt_s=_ALREADY_S if (folder / HEAD).exists() else learn_s,
        tap=viewing.hear,
    )


@contextmanager
def _opened(
    setup: CareSetup, settings: Settings, say: Callable[[Pulse], None]
) -> Iterator[tuple[Caretaker, RobotLink]]:
    home, entry, clock = setup.home, setup.entry, SystemClock()
    toml = robot_file(entry.model)
    robot = load_robot(toml)
    incumbent = load_artefact(Path(entry.law)) if entry.law else find_law(robot, robot.controller)
    keys = KeyRing.load(home)
    folder = home / "robots" / entry.robot_id
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(exclusive(folder))  # a caretaker that is about to end still has the robot
        store = stack.enter_context(Store.open(home, clock, keys))
        workers = stack.enter_context(open_workers(robot, settings.workers))
        viewing = Viewing(robot, say, heard=entry.link == "sim")
        learn_s = settings.service.learn_s
        link = stack.enter_context(_link(entry, robot, toml, incumbent, keys, folder, learn_s, viewing))
        if entry.law:
            incumbent = _modelled(link, incumbent)
        console = PulseConsole(say)
        policy = load_policy(Path(settings.service.evidence or SHIPPED))
        wanted = settings.service.search_rollouts
        leash = Leash(
            policy=setup.agency,
            robot_id=entry.robot_id,
            simulated=entry.simulated,
            store=store,
            clock=clock,
            alpha_each=policy.alpha.each,
        )
        pipeline = Pipeline(
            robot=robot,
            link=link,
            incumbent=incumbent,
            workers=workers,
            store=store,
            versions=Versions.open(home, clock),
            keys=keys,
            seal_key=seal_key(home),
            policy=policy,
            clock=clock,
            console=console,
            proposers=choose_proposers(Tune.name if entry.law else "auto", settings.llm),
            decide=lambda *_: None,
            budget=wanted,
            seed=entry.seed,
            false_alarms_per_hour=settings.service.false_alarms_per_hour,
            view=viewing,
            llm=settings.llm,
            barred=leash.why_not_proposed,
            alpha_per_day=leash.rules.budget.alpha,
        )
        limit = SearchLimit(
            leash=leash, wanted=wanted, llm=settings.llm, choose=lambda llm: choose_proposers("auto", llm)
        )
        hours = settings.service.decision_hours
        caretaker = Caretaker(pipeline, home, say, round(hours * HOUR_NS), leash, limit)
        console.tell(caretaker)
        yield caretaker, link
