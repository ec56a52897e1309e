"""The service: one home folder, its robots, and whoever works with them."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from core.clock import Clock, SystemClock
from core.durable import write_atomically
from core.errors import Missing, Refused
from core.ids import new_id
from remend.agency.in_force import put_in_force
from remend.agency.policy_toml import FILE, load_agency, require_known_robots
from remend.home import make_private
from remend.keys import KeyRing, seal_key
from remend.service import accounts, opening
from remend.service.accounts import Role, User, digest
from remend.service.orders import Order, Verb, place
from remend.service.retention import Retention
from remend.service.robots import RobotEntry, enter, entered
from remend.service.settings import ServiceSettings
from remend.service.supervision import Care
from remend.service.webhooks import webhooks
from remend.store_settings import StoreSettings

_SETUP = "setup.token"  # digest of the one-time token; gone once somebody can sign in


class Service:
    """Everything that is running. Use as a context manager.

    Args:
        home: the home folder; created if it is not there.
        settings: of the service itself.
        robots: to be looked after, besides those that it has already.
        config: file that caretakers read their settings from; by default that of the home folder.
        kept: how much telemetry is, and for how long.

    Raises:
        BadInput: a key file is damaged; or the policy of what it may do has an error.
        Refused: the database was written by a newer Remend.
        Unavailable: the disk is full, or the database does not answer.
    """

    def __init__(
        self,
        home: Path,
        settings: ServiceSettings,
        robots: tuple[RobotEntry, ...] = (),
        clock: Clock | None = None,
        config: Path | None = None,
        kept: StoreSettings | None = None,
    ) -> None:
        self.home = make_private(home)
        self.settings = settings
        self.clock = clock or SystemClock()
        self.agency = load_agency(self.home, settings.policy)  # an error in it is said before anything begins
        self.store = opening.open_or_read(self.home, self.clock)
        KeyRing.load(self.home)
        seal_key(self.home)  # before two caretakers would both make it
        try:
            known = self._begin(robots)
        except BaseException:
            opening.close(self.store)
            raise
        self.cares = {
            robot_id: Care(self.home, entry, self.clock, config, self.agency) for robot_id, entry in known.items()
        }
        self.setup_token = self._new_setup_token()
        self._retention = Retention(self.store, kept or StoreSettings(), self.clock)
        self._webhooks = webhooks(settings.webhooks, self.store, self.home, settings.webhook_variable)

    def _begin(self, robots: tuple[RobotEntry, ...]) -> dict[str, RobotEntry]:
        """Sweep, enter the robots, and put the policy in force; every robot that there is."""
        if self.read_only:
            with self.store.reading() as connection:
                return entered(connection)
        with self.store.journal("service") as journal:
            accounts.sweep(journal)
            for entry in robots:
                enter(journal, entry)
            known = entered(journal.connection)
            file = self.settings.policy or str(self.home / FILE)
            require_known_robots(self.agency, known, file)
            put_in_force(journal, self.agency, file)
        return known

    @property
    def read_only(self) -> str:
        """Why nothing can be changed, and nobody looks after the robots; empty if all is well."""
        return self.store.read_only

    def start(self) -> None:
        """Begin to look after the robots, and to tell others."""
        if self.read_only:
            return
        for care in self.cares.values():
            care.start()
        for webhook in self._webhooks:
            webhook.start()
        self._retention.start()

    def close(self) -> None:
        """End everything; robots go on with what they are committed to."""
        if not self.read_only:
            self._stop()
        opening.close(self.store)

    def _stop(self) -> None:
        for care in self.cares.values():
            care.stop()
        for care in self.cares.values():
            care.join()
        for webhook in self._webhooks:
            webhook.stop()
        self._retention.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- first set-up -------------------------------------------------------------------------------------------------

    def _new_setup_token(self) -> str | None:
        """A token for who sets the service up; None once somebody can sign in."""
        if self.read_only:
            return None
        with self.store.reading() as connection:
            if accounts.users(connection):
                (self.home / _SETUP).unlink(missing_ok=True)
                return None
        token = secrets.token_urlsafe(24)
        write_atomically(self.home / _SETUP, digest(token).encode())
        return token

    def set_up(self, token: str, name: str, password: str) -> User:
        """Make the first user, an admin.

        Raises:
            BadInput: the name is not one, or the password is too short.
            Refused: the token is not the one that was printed, or was used.
        """
        file = self.home / _SETUP
        stored = file.read_text(encoding="ascii") if file.exists() else ""
        if not secrets.compare_digest(stored, digest(token)):
            raise Refused("this set-up link is not valid any more; start the service to get a new one, or sign in")
        with self.store.journal(name) as journal:
            if accounts.users(journal.connection):
                raise Refused("somebody has set the service up already; sign in")
            first = accounts.add_user(journal, name, Role.ADMIN, password)
        file.unlink(missing_ok=True)
        self.setup_token = None
        return first

    # -- robots -------------------------------------------------------------------------------------------------------

    def care(self, robot_id: str) -> Care:
        """The care of one robot.

        Raises:
            Missing: no such robot.
        """
        if robot_id not in self.cares:
            raise Missing(f"there is no robot {robot_id!r}; known are {', '.join(self.cares) or 'none'}")
        return self.cares[robot_id]

    def order(self, robot_id: str, verb: Verb, actor: str, reason: str, key: str) -> Order:
        """Ask something of a robot; the same `key` again is the same order.

        Raises:
            Missing: no such robot.
        """
        self.care(robot_id)
        order = Order(
            id=new_id("ord", self.clock),
            robot_id=robot_id,
            verb=verb,
            actor=actor,
            reason=reason,
            key=key,
            at_ns=self.clock.wall_ns(),
        )
        with self.store.journal(actor) as journal:
            return place(journal, order)

    def is_simulated(self, robot_id: str) -> bool:
        """Whether nobody can come to harm by a robot."""
        care = self.cares.get(robot_id)
        return care is not None and care.entry.simulated
