"""Who may sign in, and with what: passwords as argon2id, sessions and tokens as digests only.

What a holder shows (a cookie, a bearer token) is 256 random bits; the database knows its sha256, so who reads the
database can sign in as nobody. Durations are compared on the wall clock that never runs backwards here: a pass that was
once seen expired stays expired, because it is deleted.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update

from controllers.desk import NOBODY
from core.clock import Clock
from core.errors import BadInput, Conflict, Refused
from core.ids import new_id, sha256_of
from remend import tables
from remend.journal import Journal

MIN_PASSWORD = 10  # characters; NIST SP 800-63B asks for 8
MAX_PASSWORD = 200  # more is not hashed: a megabyte would be work for nothing
HOUR_NS = 3600 * 10**9
HIGH_RISK = "high_risk"  # scope of a token that may approve patches of high risk
SCOPES = (HIGH_RISK,)
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,39}")
_RESERVED = NOBODY | {
    "service",
    "robot",
    "remend",
    "proposer",
    "policy",
    "local",
}  # actors of the audit log that are no persons
_HASHER = PasswordHasher()
_NOBODYS_HASH = _HASHER.hash(secrets.token_hex())  # checked for unknown names, so that they take as long


class Role(StrEnum):
    """What somebody may do; each may do what those before it may."""

    VIEWER = "viewer"  # read; freeze
    OPERATOR = "operator"  # decide on patches, roll back, handle incidents
    ADMIN = "admin"  # users, tokens, thaw

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def covers(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        return self.rank >= other.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with a password."""

    name: str
    role: Role
    created_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What somebody was let in by: a session of a browser, or a token of a program."""

    id: str
    user: str
    kind: str  # "session" or "token"
    role: Role
    label: str
    expires_ns: int  # UTC
    confirmed_ns: int  # UTC: when its holder gave the password last
    scopes: tuple[str, ...] = ()  # what a token may besides


def role_of(text: str) -> Role:
    """The role that `text` names.

    Raises:
        BadInput: there is no such role.
    """
    try:
        return Role(text)
    except ValueError:
        raise BadInput(f"there is no role {text!r}; use {', '.join(Role)}") from None


def add_user(journal: Journal, name: str, role: Role, password: str) -> User:
    """Let somebody sign in.

    Raises:
        BadInput: the name is not one, or the password is too short.
        Conflict: the name is taken.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise BadInput(f"{name!r} cannot be a user name; use lower-case letters, digits, dots and dashes, up to 40")
    if user(journal.connection, name) is not None:
        raise Conflict(f"there is a user {name} already; choose another name")
    row = {"name": name, "role": role.value, "password_hash": hashed(password), "created_ns": journal.at_ns}
    journal.connection.execute(insert(tables.users).values(**row))
    journal.note(name, "user_added", {"role": role.value})
    return User(name=name, role=role, created_ns=journal.at_ns)


def set_password(journal: Journal, name: str, password: str) -> None:
    """Give somebody another password; whoever was signed in with the old one is out.

    Raises:
        BadInput: there is no such user, or the password is too short.
    """
    _require(journal.connection, name)
    journal.connection.execute(
        update(tables.users).where(tables.users.c.name == name).values(password_hash=hashed(password))
    )
    journal.connection.execute(delete(tables.passes).where(tables.passes.c.user == name))
    journal.note(name, "password_changed", {})


def set_role(journal: Journal, name: str, role: Role) -> None:
    """Give somebody another role; sessions and tokens that said more are gone.

    Raises:
        BadInput: there is no such user.
        Refused: nobody would be left who can add users.
    """
    now = _require(journal.connection, name)
    if now.role is Role.ADMIN and role is not Role.ADMIN:
        _require_other_admin(journal.connection, name)
    journal.connection.execute(update(tables.users).where(tables.users.c.name == name).values(role=role.value))
    journal.connection.execute(delete(tables.passes).where(tables.passes.c.user == name))
    journal.note(name, "role_changed", {"role": role.value})


def remove_user(journal: Journal, name: str) -> None:
    """Let somebody in no more.

    Raises:
        BadInput: there is no such user.
        Refused: nobody would be left who can add users.
    """
    if _require(journal.connection, name).role is Role.ADMIN:
        _require_other_admin(journal.connection, name)
    journal.connection.execute(delete(tables.passes).where(tables.passes.c.user == name))
    journal.connection.execute(delete(tables.users).where(tables.users.c.name == name))
    journal.note(name, "user_removed", {})


def users(connection: Connection) -> tuple[User, ...]:
    """Everybody who can sign in, by name."""
    rows = connection.execute(select(tables.users).order_by(tables.users.c.name))
    return tuple(User(name=row.name, role=Role(row.role), created_ns=row.created_ns) for row in rows)


def user(connection: Connection, name: str) -> User | None:
    """One user, if there is such a one."""
    return next((each for each in users(connection) if each.name == name), None)


def check_password(connection: Connection, name: str, password: str) -> User:
    """Somebody whose password is right.

    Raises:
        Refused: name or password is wrong; which of both is not said.
    """
    query = select(tables.users.c.password_hash).where(tables.users.c.name == name)
    stored = connection.execute(query).scalar_one_or_none()
    try:
        _HASHER.verify(stored or _NOBODYS_HASH, password[: MAX_PASSWORD + 1])
    except VerificationError:
        stored = None
    found = user(connection, name)
    if stored is None or found is None:
        raise Refused("name or password is wrong")
    return found


def issue(
    journal: Journal,
    owner: User,
    *,
    kind: str,
    role: Role,
    label: str,
    hours: float,
    clock: Clock,
    scopes: Sequence[str] = (),
) -> str:
    """Make a pass; what is returned is shown to its holder once and kept nowhere.

    Args:
        kind: "session" or "token".
        role: what it allows, at most the owner's.
        scopes: what a token may besides, of `SCOPES`.

    Raises:
        BadInput: there is no such scope, or the role cannot use it.
        Refused: the role says more than the owner's.
    """
    _require_usable(role, scopes)
    if not owner.role.covers(role):
        raise Refused(f"{owner.name} is {owner.role.value} and cannot make a token for {role.value}")
    secret = secrets.token_urlsafe(32)
    now_ns = clock.wall_ns()
    row = {
        "digest": digest(secret),
        "id": new_id("pas", clock),
        "user": owner.name,
        "kind": kind,
        "role": role.value,
        "scopes": " ".join(dict.fromkeys(scopes)),
        "label": label,
        "created_ns": now_ns,
        "confirmed_ns": now_ns,
        "expires_ns": now_ns + round(hours * HOUR_NS),
    }
    journal.connection.execute(insert(tables.passes).values(**row))
    may = " ".join((role.value, *dict.fromkeys(scopes)))
    journal.note(owner.name, f"{kind}_issued", {"id": str(row["id"]), "role": may, "label": label})
    return secret


def pass_of(connection: Connection, secret: str, now_ns: int) -> Pass | None:
    """Who shows `secret`; None if nobody may, any more."""
    query = select(tables.passes).where(tables.passes.c.digest == digest(secret), tables.passes.c.expires_ns > now_ns)
    row = connection.execute(query).first()
    return None if row is None else _pass(row._mapping)


def passes(connection: Connection, kind: str) -> tuple[Pass, ...]:
    """Everything that still lets somebody in, oldest first."""
    query = select(tables.passes).where(tables.passes.c.kind == kind).order_by(tables.passes.c.created_ns)
    return tuple(_pass(row._mapping) for row in connection.execute(query))


def confirm(journal: Journal, pass_id: str) -> int:
    """The holder of a session gave the password again, at the time that is returned [ns, UTC]."""
    changed = update(tables.passes).where(tables.passes.c.id == pass_id).values(confirmed_ns=journal.at_ns)
    journal.connection.execute(changed)
    journal.note(pass_id, "confirmed", {})
    return journal.at_ns


def revoke(journal: Journal, pass_id: str) -> None:
    """Let nobody in by a pass any more.

    Raises:
        BadInput: there is no such pass.
    """
    found = journal.connection.execute(delete(tables.passes).where(tables.passes.c.id == pass_id))
    if not found.rowcount:
        raise BadInput(f"there is no session or token {pass_id!r}; it may have expired")
    journal.note(pass_id, "revoked", {})


def sweep(journal: Journal) -> None:
    """Delete what has expired."""
    journal.connection.execute(delete(tables.passes).where(tables.passes.c.expires_ns <= journal.at_ns))


def hashed(password: str) -> str:
    """argon2id of a password.

    Raises:
        BadInput: it is too short, or too long to be one.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadInput(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _HASHER.hash(password)


def digest(secret: str) -> str:
    """What the database knows of a secret."""
    return sha256_of(secret.encode())


def _require(connection: Connection, name: str) -> User:
    found = user(connection, name)
    if found is None:
        raise BadInput(f"there is no user {name!r}; known are {', '.join(u.name for u in users(connection)) or 'none'}")
    return found


def _require_other_admin(connection: Connection, name: str) -> None:
    query = select(func.count()).select_from(tables.users)
    others = query.where(tables.users.c.role == Role.ADMIN.value, tables.users.c.name != name)
    if not connection.execute(others).scalar_one():
        raise Refused(f"{name} is the only admin; make somebody else admin first")


def _require_usable(role: Role, scopes: Sequence[str]) -> None:
    for scope in scopes:
        if scope not in SCOPES:
            raise BadInput(f"there is no scope {scope!r}; use {', '.join(SCOPES)}")
        if not role.covers(Role.OPERATOR):
            raise BadInput(
                f"a token for {role.value} approves nothing, so the scope {scope} has no use; make it for operator"
            )


def _pass(row: object) -> Pass:
    columns = dict(row)  # type: ignore[call-overload]
    return Pass(
        id=columns["id"],
        user=columns["user"],
        kind=columns["kind"],
        role=Role(columns["role"]),
        label=columns["label"],
        expires_ns=columns["expires_ns"],
        confirmed_ns=columns["confirmed_ns"],
        scopes=tuple(columns["scopes"].split()),
    )
