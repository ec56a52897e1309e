"""The operator's verbs: what a person at a terminal asks of a running service, over its API."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import BadInput

if TYPE_CHECKING:
    from remend.service.client import Client
    from remend.store import Store

URL, TOKEN = "REMEND_URL", "REMEND_TOKEN"
DEFAULT_URL = "http://127.0.0.1:8600"

PatchId = Annotated[str, typer.Argument(metavar="PATCH", help="Id of the patch.")]
RobotId = Annotated[str, typer.Argument(metavar="ROBOT", help="Id of the robot.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the audit log.")]
WaitS = Annotated[float, typer.Option("--wait", min=0.0, help="Wait this long for the answer [s].")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, one object a line.")]

user_app = typer.Typer(no_args_is_help=True, help="Who may sign in; works on the home folder, with or without service.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (incidents, patches, approve, reject, rollback, hold, resume, cancel, freeze, thaw, backup, restore):
        app.command()(verb)
    app.add_typer(user_app, name="user")


@contextmanager
def _service() -> Iterator[Client]:
    from remend.service.client import Client  # noqa: PLC0415

    token = os.environ.get(TOKEN, "")
    if not token:
        raise BadInput(f"{TOKEN} is not set; make a token with `remend user token NAME` and put it there")
    with Client(os.environ.get(URL, DEFAULT_URL), token) as client:
        yield client


def incidents(as_json: AsJson = False) -> None:
    """Incidents, newest first."""
    from core.ids import canonical_json  # noqa: PLC0415
    from remend import numbers  # noqa: PLC0415

    with _service() as service:
        for each in service.incidents():
            if as_json:
                typer.echo(canonical_json(each))
                continue
            said = f", {each.handling.handling.value} by {each.handling.actor}" if each.handling else ""
            typer.echo(
                f"{each.id}  {numbers.utc(each.last_ns)}  {each.robot_id}  {each.severity.value}, {each.channel} "
                f"({each.kind}), {each.cause or 'not explained'}, seen {each.occurrences} times{said}"
            )


def patches(
    status: Annotated[list[str] | None, typer.Option("--status", help="Only these; may be given again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Patches, newest first."""
    from core.ids import canonical_json  # noqa: PLC0415

    with _service() as service:
        for each in service.patches(*(status or ())):
            if as_json:
                typer.echo(canonical_json(each))
            else:
                verdict = f", evidence {each.verdict.value}" if each.verdict else ""
                typer.echo(
                    f"{each.id}  {each.robot_id}  {each.status.value} ({each.why}){verdict}, "
                    f"risk {each.risk.level.value}: {each.rationale}"
                )


def approve(
    patch: PatchId,
    reason: Reason = "",
    robot_name: Annotated[str, typer.Option("--robot-name", help="The robot's id, where the risk is high.")] = "",
) -> None:
    """Approve a patch as it is now; the service then brings it onto the robot."""
    from remend.second_person import FIRST  # noqa: PLC0415

    with _service() as service:
        whole = service.patch(patch)
        if (first := whole.first_approval) is not None:
            typer.echo(f"{first.actor} has approved {patch} first: {first.reason or 'no reason given'}")
            if sys.stdin.isatty() and not typer.confirm("Approve it as the second person?"):
                raise typer.Exit(1)
        decided = service.decide("approve", whole, reason, robot_name)
    if decided.decision == FIRST:
        typer.echo(f"{patch} has the first approval, by {decided.actor}; another person has to approve the same")
        return
    typer.echo(f"{patch} is approved by {decided.approver}; the canary decides on the robot")


def reject(patch: PatchId, reason: Reason = "") -> None:
    """Reject a patch, with a reason."""
    with _service() as service:
        decided = service.decide("reject", service.patch(patch), reason)
    typer.echo(f"{patch} is rejected by {decided.actor}")


def rollback(robot: RobotId, reason: Reason = "", wait_s: WaitS = 30.0) -> None:
    """Return a robot to the controller before. Not an emergency stop."""
    _order("roll_back", robot, reason, wait_s)


def hold(robot: RobotId, reason: Reason = "", wait_s: WaitS = 30.0) -> None:
    """Bring a robot to a stop, and keep it where it is until `remend resume`. Not an emergency stop."""
    _order("hold", robot, reason, wait_s)


def resume(robot: RobotId, reason: Reason = "", wait_s: WaitS = 30.0) -> None:
    """Let a robot that is held go on with its work."""
    _order("resume", robot, reason, wait_s)


def cancel(robot: RobotId, reason: Reason = "", wait_s: WaitS = 30.0) -> None:
    """End a robot's search for a patch, or its proof. The robot goes on with its controller."""
    _order("cancel", robot, reason, wait_s)


def _order(verb: str, robot: str, reason: str, wait_s: float) -> None:
    """Place an order, wait for its answer, and end with it."""
    from core.clock import SystemClock  # noqa: PLC0415
    from core.ids import new_id  # noqa: PLC0415
    from remend.service.waiting import wait_for_order  # noqa: PLC0415

    with _service() as service:
        place = {
            "roll_back": service.roll_back,
            "cancel": service.cancel,
            "hold": service.hold,
            "resume": service.resume,
        }[verb]
        shown = wait_for_order(service, place(robot, reason, new_id("key")), wait_s, SystemClock())
    if shown.result is None:
        typer.echo(f"{shown.order.id} waits; the robot's caretaker has not answered yet", err=True)
        raise typer.Exit(1)
    typer.echo(shown.result.what)
    raise typer.Exit(0 if shown.result.done else 1)


def freeze(reason: Reason = "") -> None:
    """Stop proposing, approving and promoting. Not an emergency stop."""
    with _service() as service:
        service.freeze(reason)
    typer.echo("patching is frozen; robots go on with what they have")


def thaw(reason: Reason = "") -> None:
    """Let patching go on."""
    with _service() as service:
        service.thaw(reason)
    typer.echo("patching goes on")


def backup(file: Annotated[Path, typer.Argument(help="Archive to write (.tar.gz).")]) -> None:
    """Write everything that the home folder holds into one archive; the service may run."""
    from remend.backup import back_up  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415

    typer.echo(back_up(home_path(os.environ), file))


def restore(file: Annotated[Path, typer.Argument(help="Archive that `remend backup` wrote.")]) -> None:
    """Put an archive into a home folder that is not there yet, or is empty, and verify it."""
    from remend.backup import put_back  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415

    typer.echo(put_back(file, home_path(os.environ)))


# -- people -----------------------------------------------------------------------------------------------------------

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the user.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, operator or admin.")]


def _password() -> str:
    """From the terminal, twice; or the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


@user_app.command("add")
def user_add(name: Name, role: RoleName = "operator") -> None:
    """Let somebody sign in; the password is asked for, or read from standard input."""
    from remend.service import accounts  # noqa: PLC0415

    with _local_store() as store, store.journal("local") as journal:
        accounts.add_user(journal, name, accounts.role_of(role), _password())
    typer.echo(f"{name} can sign in as {role}")


@user_app.command("list")
def user_list() -> None:
    """Everybody who can sign in."""
    from remend.service import accounts  # noqa: PLC0415

    with _local_store() as store, store.reading() as connection:
        for user in accounts.users(connection):
            typer.echo(f"{user.name}  {user.role.value}")


@user_app.command("password")
def user_password(name: Name) -> None:
    """Give somebody another password; their sessions and tokens end."""
    from remend.service import accounts  # noqa: PLC0415

    with _local_store() as store, store.journal("local") as journal:
        accounts.set_password(journal, name, _password())
    typer.echo(f"{name} has another password")


@user_app.command("role")
def user_role(name: Name, role: RoleName) -> None:
    """Give somebody another role; their sessions and tokens end."""
    from remend.service import accounts  # noqa: PLC0415

    with _local_store() as store, store.journal("local") as journal:
        accounts.set_role(journal, name, accounts.role_of(role))
    typer.echo(f"{name} is {role}")


@user_app.command("remove")
def user_remove(name: Name) -> None:
    """Let somebody in no more."""
    from remend.service import accounts  # noqa: PLC0415

    with _local_store() as store, store.journal("local") as journal:
        accounts.remove_user(journal, name)
    typer.echo(f"{name} cannot sign in any more")


@user_app.command("token")
def user_token(
    name: Name,
    role: RoleName = "operator",
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=24.0 * 366, help="How long it lasts.")] = 24.0,
    label: Annotated[str, typer.Option("--label", help="What it is for.")] = "command line",
    high_risk: Annotated[bool, typer.Option("--high-risk", help="It may approve patches of high risk.")] = False,
) -> None:
    """Make a token for a program; it is printed once."""
    from core.clock import SystemClock  # noqa: PLC0415
    from remend.service import accounts  # noqa: PLC0415

    with _local_store() as store, store.journal("local") as journal:
        owner = accounts.user(journal.connection, name)
        if owner is None:
            raise BadInput(f"there is no user {name!r}; add one with `remend user add`")
        secret = accounts.issue(
            journal,
            owner,
            kind="token",
            role=accounts.role_of(role),
            label=label,
            hours=hours,
            clock=SystemClock(),
            scopes=(accounts.HIGH_RISK,) if high_risk else (),
        )
    typer.echo(secret)


@contextmanager
def _local_store() -> Iterator[Store]:
    from remend.home import home_folder  # noqa: PLC0415
    from remend.store import Store  # noqa: PLC0415

    with Store.open(home_folder(os.environ)) as store:
        yield store
