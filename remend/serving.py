"""`remend serve`: the service and its pages in one process, a caretaker's process for each robot."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer
import uvicorn

from controllers.artefact import load_artefact
from core.clock import SystemClock
from core.errors import BadInput, Refused
from core.robot_toml import load_robot
from remend.home import home_folder, home_path
from remend.service.robots import RobotEntry
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.settings import load_settings
from remend.web.app import create_app
from sim.catalogue import robot_file
from sim.policy_toml import load_policy

_GRACE_S = 5  # that open requests get to end


class _Server(uvicorn.Server):
    """Ends in order when it is asked to: streams first, then requests, and whoever runs it goes on."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's own raises the signal again afterwards, and the service would never be closed."""
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.config.app.state.stopping.set()  # type: ignore[union-attr]
        self.should_exit = True


def ros_robot(
    model: str, robot_id: str | None, namespace: str, seed: int, *, simulated: bool, law: Path | None = None
) -> RobotEntry:
    """A robot that is reached over ROS 2.

    Args:
        robot_id: as its host was given; by default the model's name, as there.
        law: folder of the law that models the controller which the robot keeps; without one Remend drives it.

    Raises:
        BadInput: there is no such model, or no such law.
    """
    robot = load_robot(robot_file(model))
    if law is not None:
        load_artefact(law)
    return RobotEntry(
        robot_id=robot_id or robot.name,
        model=model,
        link="ros",
        fault="none",
        seed=seed,
        at_ns=SystemClock().wall_ns(),
        namespace=namespace,
        simulated=simulated,
        law="" if law is None else str(law.resolve()),
    )


def serve(robots: tuple[RobotEntry, ...], config: Path | None, host: str | None, port: int | None) -> None:
    """Serve until a signal ends it.

    Args:
        robots: to be looked after, besides those that the home folder knows.
        config: settings, by default `remend.toml` in the home folder.
        host, port: instead of what the settings say; port 0 takes a free one.

    Raises:
        BadInput: settings that make no sense, or a port that is taken.
        Refused: an address that others can reach, without TLS.
    """
    home = home_folder(os.environ)
    installation = load_settings(home_path(os.environ), config)
    settings = installation.service
    host, port = host or settings.host, settings.port if port is None else port
    if settings.evidence:
        load_policy(Path(settings.evidence))  # what is wrong with it is said before anything starts
    tls = _has_tls(settings)
    if not tls and not _is_loopback(host):
        raise Refused(
            f"{host} can be reached by others: set tls_certificate and tls_key in [service], or use 127.0.0.1"
        )
    listener = _listen(host, port)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with Service(home, settings, robots, config=config, kept=installation.store) as service:
        address = f"{'https' if tls else 'http'}://{_shown(host)}:{listener.getsockname()[1]}"
        typer.echo(f"Remend serves {len(service.cares)} robot{'' if len(service.cares) == 1 else 's'} at {address}")
        if service.read_only:
            typer.echo(f"Read-only: {service.read_only}", err=True)
        if service.setup_token is not None:
            typer.echo(f"Nobody can sign in yet. Open this once: {address}/setup?token={service.setup_token}")
        server = _Server(
            uvicorn.Config(
                create_app(service),
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=settings.tls_certificate or None,
                ssl_keyfile=settings.tls_key or None,
            )
        )
        server.run(sockets=[listener])
    typer.echo("Remend has stopped; robots go on with what they are committed to.")


def _has_tls(settings: ServiceSettings) -> bool:
    files = [file for file in (settings.tls_certificate, settings.tls_key) if file]
    if len(files) == 1:
        raise BadInput("[service] has one of tls_certificate and tls_key; TLS takes both")
    for file in files:
        if not Path(file).is_file():
            raise BadInput(f"{file}: there is no such file; [service] needs certificate and key in PEM")
    return bool(files)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()  # whoever reads the address below is answered, if not at once
    except OSError as error:
        raise BadInput(f"{host}:{port} cannot be served ({error.strerror}); give another --port") from None
    return listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
