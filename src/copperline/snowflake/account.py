"""What there is in an account: looked up object by object, and told apart by whose it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from copperline.errors import SnowflakeError
from copperline.snowflake.failures import (
    denies_role,
    explained,
    is_missing,
    is_of_snowflake,
    lacks_privilege,
    snowflake_errors,
)
from copperline.snowflake.marks import is_marked
from copperline.snowflake.objects import AccountObject, Voucher
from copperline.snowflake_settings import SnowflakeSettings, quoted

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

Row = dict[str, Any]
# Runs one statement and gives its rows, by the names of their columns in lower case.
Run = Callable[[str], list[Row]]


class State(StrEnum):
    """What is found under an object's name."""

    THERE = "there"
    MISSING = "missing"
    FOREIGN = "of someone else"
    HIDDEN = "not visible"


@dataclass(frozen=True)
class Found:
    """What is found under an object's name, and the role that owns it (None: the account does not say)."""

    about: AccountObject
    state: State
    owner: str | None = None


def runner(connection: SnowflakeConnection) -> Run:
    """Runs statements over a connection. Raises what the connector raises."""

    def run(sql: str) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            columns = [column.name.lower() for column in cursor.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    return run


def may_become(run: Run, role: str) -> bool:
    """Takes on a role; False if the user may not, or it is not there."""
    try:
        run(f"USE ROLE {quoted(role)}")
    except Exception as error:
        if not is_of_snowflake(error):
            raise
        if not denies_role(error):
            raise explained(error, f"role {role}") from error
        return False
    return True


def become(run: Run, role: str) -> None:
    """Takes on a role. Raises SnowflakeError with the GRANT that gives it."""
    if not may_become(run, role):
        user = current(run, "USER")
        raise SnowflakeError(
            f"expected that {user} may act as this role, found that it is not granted, or not there",
            where=f"role {role}",
            fix=f"have it granted (GRANT ROLE {quoted(role)} TO USER {quoted(user)}), or name another in [snowflake]",
        )


def become_what_sees_most(run: Run, names: SnowflakeSettings) -> str:
    """Takes on the administrator's role, else that which works with the objects, else keeps its own; gives its name."""
    for role in (names.admin_role, names.role):
        if may_become(run, role):
            return role
    return current(run, "ROLE") or "no role"


def current(run: Run, what: Literal["USER", "ROLE"]) -> str:
    """The session's user or role; an empty text if there is none."""
    with snowflake_errors("Snowflake"):
        row = run(f"SELECT CURRENT_{what}()")[0]
    return str(next(iter(row.values())) or "")


def look(run: Run, names: SnowflakeSettings, objects: Sequence[AccountObject]) -> list[Found]:
    """What is found under each name, in the same order, as the role that the session has now.

    Raises:
        SnowflakeError: the account refuses for another reason than that something is hidden or missing.
    """
    with snowflake_errors("Snowflake"):
        role = current(run, "ROLE")
        sees_all = role in (names.admin_role, "ACCOUNTADMIN")
        shown = _Shown(run)
        states: dict[str, State] = {}
        found: list[Found] = []
        for thing in objects:
            parents = {"account": (), "database": ("DATABASE",), "schema": ("DATABASE", "SCHEMA")}[thing.place]
            absent = State.MISSING if sees_all or thing.place != "account" else State.HIDDEN
            if State.MISSING in (outside := [states.get(parent) for parent in parents]):
                one = Found(thing, State.MISSING)
            elif State.HIDDEN in outside:
                one = Found(thing, State.HIDDEN)
            else:
                one = _found(thing, shown, names, absent)
            states.setdefault(thing.kind, one.state)
            found.append(one)
        return found


def strangers(run: Run, names: SnowflakeSettings) -> list[str]:
    """Tables, views and schemas in the database that neither of our roles owns: they would go with it."""
    with snowflake_errors(f"database {names.database}"):
        database = quoted(names.database)
        ours = {names.admin_role, names.role}
        rows = run(f"SHOW SCHEMAS IN DATABASE {database}") + run(f"SHOW OBJECTS IN DATABASE {database}")
        # INFORMATION_SCHEMA has no owner.
        return [f"{row['name']} of {row['owner']}" for row in rows if row.get("owner") and row["owner"] not in ours]


def require_ours(found: Sequence[Found]) -> None:
    """Raises SnowflakeError that names the objects of others, if there are any under our names."""
    foreign = [one for one in found if one.state is State.FOREIGN]
    if not foreign:
        return
    listed = ", ".join(f"{one.about} (owner {one.owner or 'not told'})" for one in foreign[:5])
    more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
    raise SnowflakeError(
        f"expected none but Copperline's own objects under its names, found {listed}{more}; nothing was changed",
        fix="name others in [snowflake] of copperline.toml",
    )


def require_family(run: Run, names: SnowflakeSettings) -> None:
    """Raises SnowflakeError with the kinds of GPU node that there are, if the one asked for is not among them."""
    with snowflake_errors("compute pool"):
        rows = run("SHOW COMPUTE POOL INSTANCE FAMILIES")
    families = [str(row["name"]).upper() for row in rows]
    if names.instance_family in families:
        return
    gpus = [family for family in families if "GPU" in family]
    there = f"these with GPUs: {', '.join(gpus)}" if gpus else f"none with GPUs, only {', '.join(families) or 'none'}"
    raise SnowflakeError(
        f"expected nodes {names.instance_family} in this account's region, found {there}",
        where=f"compute pool {names.compute_pool}",
        fix="set instance_family in [snowflake] of copperline.toml to one of them, or use an account in another region",
    )


class _Shown:
    """Answers to SHOW, each asked for once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rows: dict[str, list[Row] | None] = {}

    def rows(self, sql: str) -> list[Row] | None:
        """The rows; None: what is to be looked into is hidden."""
        if sql not in self._rows:
            try:
                self._rows[sql] = self._run(sql)
            except Exception as error:
                if not is_of_snowflake(error) or not (is_missing(error) or lacks_privilege(error)):
                    raise
                self._rows[sql] = None
        return self._rows[sql]

    def row(self, thing: AccountObject) -> Row | None:
        """The row of exactly this name: SHOW ... LIKE takes any case."""
        return next((row for row in self.rows(thing.show) or () if row["name"] == thing.name), None)


def _found(thing: AccountObject, shown: _Shown, names: SnowflakeSettings, absent: State) -> Found:
    if shown.rows(thing.show) is None:
        return Found(thing, State.HIDDEN)
    row = shown.row(thing)
    if row is None:
        return Found(thing, absent)
    owner = row.get("owner")
    ours = "owner" not in row or owner in (names.admin_role, names.role)
    if thing.marked:
        ours = ours and is_marked(row.get("comment"))
    if thing.voucher is not None:
        ours = ours and _vouched(shown, thing.voucher)
    return Found(thing, State.THERE if ours else State.FOREIGN, None if owner is None else str(owner))


def _vouched(shown: _Shown, voucher: Voucher) -> bool:
    comments = [row.get("comment") for row in shown.rows(voucher.show) or () if row["name"] == voucher.name]
    return any(is_marked(comment) and str(comment).endswith(voucher.ending) for comment in comments)
