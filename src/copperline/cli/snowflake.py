"""`copperline snowflake`: setup, status, teardown; with train and costs, which have files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copperline.cli.options import JsonOption, print_json, print_table, say, settings_for
from copperline.cli.snowflake_costs import costs
from copperline.cli.snowflake_deploy import deploy
from copperline.cli.snowflake_train import train

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

    from copperline.snowflake.account import Found
    from copperline.snowflake_settings import SnowflakeSettings

snowflake = typer.Typer(
    help="The same on Snowflake: make what an account needs, look at it, remove it.", no_args_is_help=True
)
snowflake.command("costs")(costs)
snowflake.command("train")(train)
snowflake.command("deploy")(deploy)

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the SQL instead of running it; needs no account.")]


@snowflake.command()
def setup(dry_run: DryRunOption = False, json_: JsonOption = False) -> None:
    """Make roles, warehouse, database, tables, stage, compute pool and network access in an account.

    It makes what is missing and leaves what is there. It stops before it changes anything where an object of somebody
    else has one of the names. Nothing that it makes runs or costs credits until it is used.
    """
    from copperline.progress import progress
    from copperline.snowflake.account import State, runner
    from copperline.snowflake.script import setup_script
    from copperline.snowflake.session import connection_to_account
    from copperline.snowflake.setting_up import set_up
    from copperline.workflows.snowflake_account import objects_of

    names = settings_for(None).snowflake
    objects = objects_of(names)
    if dry_run:
        typer.echo(setup_script(objects), nl=False)
        return
    with connection_to_account() as connection, progress("Setting up the account") as report:
        before = set_up(runner(connection), names, objects, report)
    wanted = [one for one in before if one.about.maker == "setup" and one.about.wanted]
    made = [one for one in wanted if one.state is not State.THERE]
    kept = [one for one in wanted if one.state is State.THERE]
    extra = _not_asked_for(before)
    if json_:
        lists = {"made": made, "kept": kept, "not_asked_for": extra}
        print_json({name: [_named(one) for one in found] for name, found in lists.items()})
        return
    say(
        f"Made {_counted(len(made), 'object')}; {len(kept)} were there. Database {names.database}, role {names.role}.",
        *_about_extra(extra),
        "Next: copperline snowflake deploy",
    )


@snowflake.command()
def status(dry_run: DryRunOption = False, json_: JsonOption = False) -> None:
    """Show which of the objects are there, missing, or of someone else, and deployments that were cut."""
    from copperline.snowflake.account import State, become_what_sees_most, look, runner
    from copperline.snowflake.session import connection_to_account
    from copperline.workflows.snowflake_account import objects_of

    names = settings_for(None).snowflake
    objects = objects_of(names)
    if dry_run:
        for sql in dict.fromkeys(thing.show for thing in objects):
            typer.echo(f"{sql};")
        return
    with connection_to_account() as connection:
        role = become_what_sees_most(runner(connection), names)
        found = look(runner(connection), names, objects)
        half_sent = _half_sent(connection, names, found)
    shown = [one for one in found if one.about.wanted or one.state is not State.MISSING]
    counts = {str(state): sum(one.state is state for one in shown) for state in State}
    if json_:
        described = [_described(one) for one in shown]
        print_json({"role": role, "counts": counts, "objects": described, "half_sent": half_sent})
        return
    print_table(
        f"Seen by {role}",
        ("kind", "name", "state", "owner", "made by"),
        [(one.about.kind.lower(), one.about.name, one.state, one.owner or "", one.about.maker) for one in shown],
    )
    say(
        ", ".join(f"{count} {state}" for state, count in counts.items() if count) + ".",
        *_about_extra(_not_asked_for(shown)),
        *(f"Half sent: {folder} on the stage. copperline snowflake deploy goes on." for folder in half_sent),
        f"Next: {_next(shown)}",
    )


@snowflake.command()
def teardown(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Remove everything that setup, deploy and train made, with all boards, models and files in it.

    It lists what it will remove and asks. What somebody else made stays.
    """
    from copperline.progress import progress
    from copperline.snowflake.account import State, runner
    from copperline.snowflake.script import teardown_script
    from copperline.snowflake.session import connection_to_account
    from copperline.snowflake.setting_up import plan_teardown, tear_down
    from copperline.workflows.snowflake_account import objects_of

    names = settings_for(None).snowflake
    objects = objects_of(names)
    if dry_run:
        typer.echo(teardown_script(names, objects), nl=False)
        return
    with connection_to_account() as connection:
        run = runner(connection)
        found = plan_teardown(run, names, objects)
        ours = [one for one in found if one.state is State.THERE]
        kept = [one for one in found if one.state is State.FOREIGN]
        if ours and not yes:
            say("This removes:", *(f"  {one.about}" for one in reversed(ours)))
            typer.confirm("Remove all of it, with the data in it?", abort=True, err=True)
        with progress("Removing", at_once=False) as report:
            tear_down(run, names, found, report)
    if json_:
        print_json({"removed": [_named(one) for one in ours], "kept": [_named(one) for one in kept]})
        return
    say(
        f"Removed {_counted(len(ours), 'object')}."
        + (f" Left what is of others: {', '.join(str(one.about) for one in kept)}." if kept else ""),
        "Next: copperline snowflake status",
    )


def _not_asked_for(found: Sequence[Found]) -> list[Found]:
    """What earlier settings asked for: setup does not remove it."""
    from copperline.snowflake.account import State

    return [one for one in found if one.state is State.THERE and not one.about.wanted]


def _about_extra(extra: Sequence[Found]) -> list[str]:
    return [f"The settings do not ask for {one.about} any more: {one.about.drop};" for one in extra]


def _half_sent(connection: SnowflakeConnection, names: SnowflakeSettings, found: Sequence[Found]) -> list[str]:
    """Folders of the stage that a deployment was cut in."""
    from copperline.snowflake.account import State
    from copperline.snowflake.session import session_over
    from copperline.workflows.snowflake_deployment.deployed_releases import deployed_releases

    if not any(one.about.kind == "STAGE" and one.state is State.THERE for one in found):
        return []
    with session_over(connection) as session:
        releases = deployed_releases(session, names)
    return [f"{release.kind}/{release.name}" for release in releases if not release.complete]


def _next(shown: Sequence[Found]) -> str:
    from copperline.snowflake.account import State

    absent = [one for one in shown if one.state is not State.THERE]
    if any(one.state is State.FOREIGN for one in absent):
        return "name others in [snowflake] of copperline.toml"
    makers = {one.about.maker for one in absent}
    maker = next((maker for maker in ("setup", "deploy", "train") if maker in makers), None)
    return "open the dashboard in Snowsight" if maker is None else f"copperline snowflake {maker}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _named(one: Found) -> dict[str, str]:
    return {"kind": one.about.kind.lower(), "name": one.about.name}


def _described(one: Found) -> dict[str, Any]:
    return {**_named(one), "state": str(one.state), "owner": one.owner, "made_by": one.about.maker}
