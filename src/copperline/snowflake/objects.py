"""What an object of the account is: how it is made, found, told from others' and removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from copperline.snowflake.sql import like
from copperline.snowflake_settings import SnowflakeSettings, quoted

Place = Literal["account", "database", "schema"]
Maker = Literal["setup", "deploy", "train"]


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        sql: without the semicolon.
        why: what it is for, in one line.
        needs: the privilege that the role has to have for it, as it stands in GRANT: `CREATE DATABASE ON ACCOUNT`.
    """

    sql: str
    why: str
    needs: str


@dataclass(frozen=True)
class TableDdl:
    """A table to make.

    Attributes:
        name: as Snowflake keeps it.
        sql: CREATE TABLE IF NOT EXISTS with its full name, without the semicolon.
        readable: the reader role may read it: it holds nothing that only the service is to know.
    """

    name: str
    sql: str
    readable: bool


@dataclass(frozen=True)
class Voucher:
    """Another object whose comment says that an object which cannot have one is ours.

    Attributes:
        show: lists the other object.
        name: of the other object.
        ending: of its comment.
    """

    show: str
    name: str
    ending: str


@dataclass(frozen=True)
class AccountObject:
    """One object.

    Attributes:
        kind: as in SQL, such as `COMPUTE POOL`.
        name: as Snowflake keeps it.
        place: where it lies.
        maker: the command that makes it.
        owner: role that makes it.
        make: statements that make it if it is missing, then those that grant its use.
        drop: removes it.
        show: lists it, perhaps among others.
        wanted: the settings ask for it; else setup leaves it out.
        marked: only a comment of ours says that it is ours; else it is enough that a role of ours owns it.
        voucher: says it where the object cannot have a comment.
        stop: ends what runs on it, which has to come before `drop`.
    """

    kind: str
    name: str
    place: Place
    maker: Maker
    owner: str
    make: tuple[Statement, ...]
    drop: str
    show: str
    wanted: bool = True
    marked: bool = False
    voucher: Voucher | None = None
    stop: str | None = None

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.name}"


def of_account(
    names: SnowflakeSettings,
    kind: str,
    name: str,
    make: tuple[Statement, ...],
    *,
    wanted: bool = True,
    marked: bool = True,
    voucher: Voucher | None = None,
    stop: str | None = None,
) -> AccountObject:
    """An object of the account itself, which the administrator owns."""
    dropped_as = "INTEGRATION" if kind.endswith(" INTEGRATION") else kind
    return AccountObject(
        kind=kind,
        name=name,
        place="account",
        maker="setup",
        owner=names.admin_role,
        make=make,
        drop=f"DROP {dropped_as} IF EXISTS {quoted(name)}",
        show=f"SHOW {_plural(kind)} LIKE {like(name)}",
        wanted=wanted,
        marked=marked,
        voucher=voucher,
        stop=stop,
    )


def of_schema(
    names: SnowflakeSettings,
    kind: str,
    name: str,
    make: tuple[Statement, ...] = (),
    *,
    maker: Maker = "setup",
    owner: str | None = None,
    drop: str | None = None,
    wanted: bool = True,
) -> AccountObject:
    """An object of the schema, which our role owns unless `owner` says who does."""
    return AccountObject(
        kind=kind,
        name=name,
        place="schema",
        maker=maker,
        owner=owner or names.role,
        make=make,
        drop=drop or f"DROP {kind} IF EXISTS {names.in_schema(name)}",
        show=f"SHOW {_plural(kind)} LIKE {like(name)} IN SCHEMA {names.schema_in_sql}",
        wanted=wanted,
    )


def _plural(kind: str) -> str:
    return f"{kind[:-1]}IES" if kind.endswith("Y") else f"{kind}S"


def grant(privileges: str, kind: str, full_name: str, role: str, why: str) -> Statement:
    """Lets a role do that; whoever owns the object can grant it."""
    sql = f"GRANT {privileges} ON {kind} {full_name} TO ROLE {quoted(role)}"
    return Statement(sql, why, owns(kind, full_name))


def owns(kind: str, full_name: str) -> str:
    """The privilege of an object's owner."""
    return f"OWNERSHIP ON {kind} {full_name}"
