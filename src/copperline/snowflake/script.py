"""Setup and teardown as SQL: one after another for a connection, or a script to read and to run by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from copperline.snowflake.objects import AccountObject, Statement
from copperline.snowflake_settings import SnowflakeSettings, quoted

_BY_HAND = (
    "Run by hand, nothing checks whose an object is that is there already: run `copperline snowflake status` first."
)


@dataclass(frozen=True)
class Step:
    """One statement, the object that it is about (None: the session itself), and the role that it runs as."""

    statement: Statement
    about: AccountObject | None
    role: str


def setup_steps(objects: Sequence[AccountObject]) -> list[Step]:
    """What makes all that is missing and grants its use: the administrator's part first, and only it."""
    steps: list[Step] = []
    role = None
    for thing in objects:
        if thing.maker != "setup" or not thing.wanted:
            continue
        if thing.owner != role:
            role = thing.owner
            steps.append(Step(_use(role), None, role))
        steps += [Step(statement, thing, role) for statement in thing.make]
    return steps


def teardown_steps(names: SnowflakeSettings, objects: Sequence[AccountObject]) -> list[Step]:
    """What removes these objects, last made first, as the administrator: all of it belongs to roles below.

    What lies in the database goes with it, in one statement, which UNDROP DATABASE can take back.
    """
    admin = names.admin_role
    steps = [Step(_use(admin), None, admin)]
    whole = any(thing.kind == "DATABASE" for thing in objects)
    for thing in reversed(objects):
        if whole and thing.place != "account":
            continue
        needs = f"OWNERSHIP ON {thing.kind} {quoted(thing.name)}"
        if thing.stop is not None:
            steps.append(Step(Statement(thing.stop, f"ends what runs on {thing}", needs), thing, admin))
        steps.append(Step(Statement(thing.drop, f"removes {thing}", needs), thing, admin))
    return steps


def setup_script(objects: Sequence[AccountObject]) -> str:
    """The whole setup for a worksheet."""
    title = (
        "Written by `copperline snowflake setup --dry-run`.",
        "Makes what is missing, leaves what is there, and starts nothing that costs credits.",
        _BY_HAND,
    )
    return _script(title, setup_steps(objects))


def teardown_script(names: SnowflakeSettings, objects: Sequence[AccountObject]) -> str:
    """The whole teardown for a worksheet: unlike the command, it removes whatever has these names."""
    title = (
        "Written by `copperline snowflake teardown --dry-run`.",
        "Removes everything, with all boards, models and files in it.",
        _BY_HAND,
    )
    return _script(title, teardown_steps(names, objects))


def _use(role: str) -> Statement:
    return Statement(f"USE ROLE {quoted(role)}", f"from here on as {role}", f"ROLE {quoted(role)}")


def _script(title: Iterable[str], steps: Sequence[Step]) -> str:
    return "\n".join((*(f"-- {line}" for line in title), "", *_lines(steps)))


def _lines(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        yield f"-- {step.statement.why}\n{step.statement.sql};\n"
