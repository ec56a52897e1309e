"""`remend policy`: what the service may do by itself, and what it has used of that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from core.errors import BadInput

policy_app = typer.Typer(no_args_is_help=True, help="What the service may do by itself.")


@policy_app.command("show")
def show(
    robot: Annotated[str | None, typer.Option("--robot", help="Only this robot.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one robot a line.")] = False,
) -> None:
    """Per robot: what is allowed within 24 h, and what was used. Works on the home folder."""
    from core.clock import SystemClock  # noqa: PLC0415
    from core.ids import canonical_json  # noqa: PLC0415
    from remend.agency.account import account  # noqa: PLC0415
    from remend.agency.policy_toml import load_agency  # noqa: PLC0415
    from remend.agency.uses import uses  # noqa: PLC0415
    from remend.database import read_only  # noqa: PLC0415
    from remend.home import home_path  # noqa: PLC0415
    from remend.service.robots import entered  # noqa: PLC0415
    from remend.settings import load_settings  # noqa: PLC0415

    home = home_path(os.environ)
    policy = load_agency(home, load_settings(home).service.policy)
    with read_only(home) as connection:
        names = [robot] if robot else [*entered(connection)]
        if robot and robot not in entered(connection):
            raise BadInput(f"there is no robot {robot!r}; known are {', '.join(entered(connection)) or 'none'}")
        accounts = [account(policy, name, uses(connection, name, SystemClock().wall_ns())) for name in names]
    for each in accounts:
        if as_json:
            typer.echo(canonical_json(each))
            continue
        source = "the defaults" if not each.version else f"policy version {each.version} ({each.policy_sha[:12]})"
        typer.echo(f"{each.robot_id}: {source}{', rules of its own' if each.own_rules else ''}")
        for row in each.rows:
            typer.echo(f"  {row.name:<34} {row.words}")
        for kind, persons in each.persons.items():
            typer.echo(f"  {kind + ': persons who approve':<34} {persons}")


@policy_app.command("check")
def check(file: Annotated[Path, typer.Argument(help="Policy file (TOML).")]) -> None:
    """Whether a policy file can be put in force; the first error, with file and key."""
    from remend.agency.policy_toml import read_agency  # noqa: PLC0415

    policy = read_agency(file)
    own = f", {len(policy.robots)} robots with rules of their own" if policy.robots else ""
    typer.echo(f"{file}: version {policy.version} ({policy.sha256[:12]}){own}")
