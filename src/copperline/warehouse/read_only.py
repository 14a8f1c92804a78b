"""What a query may do that is only to read: on SQLite asked of SQLite itself, elsewhere checked before it is sent."""

from __future__ import annotations

import re
import sqlite3

from copperline.errors import WarehouseError

WRITE_FIX = "use --write (write=True) if it is meant to change the warehouse"

_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# Pragmas that only tell; without an argument too.
_PRAGMAS = {
    "collation_list",
    "compile_options",
    "database_list",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
}
_VERBS = {
    sqlite3.SQLITE_INSERT: "INSERT into",
    sqlite3.SQLITE_UPDATE: "UPDATE of",
    sqlite3.SQLITE_DELETE: "DELETE from",
    sqlite3.SQLITE_ATTACH: "ATTACH of",
    sqlite3.SQLITE_DETACH: "DETACH of",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_SAVEPOINT: "SAVEPOINT:",
    sqlite3.SQLITE_TRANSACTION: "transaction control:",
}


class ReadOnlyAuthorizer:
    """Lets SQLite read, and refuses all else: new kinds of statement too. To be given to `set_authorizer`.

    The connection is to be opened read-only besides: this adds what that leaves open, such as ATTACH, VACUUM INTO,
    temporary tables, pragmas and loading of extensions.

    Attributes:
        refused: what was refused first, for the message; None if nothing was.
    """

    def __init__(self) -> None:
        self.refused: str | None = None

    def __call__(self, action: int, first: str | None, second: str | None, schema: str | None, via: str | None) -> int:
        if self._allows(action, first, second):
            return sqlite3.SQLITE_OK
        if self.refused is None:
            schema_changes = action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_UPDATE) and (
                first or ""
            ).startswith("sqlite_")
            if schema_changes:
                self.refused = "a change of the schema"
            elif action == sqlite3.SQLITE_FUNCTION:
                self.refused = f"{second}()"
            else:
                self.refused = f"{_VERBS.get(action, 'a change of')} {first or ''}".strip()
        return sqlite3.SQLITE_DENY

    @staticmethod
    def _allows(action: int, first: str | None, second: str | None) -> bool:
        if action == sqlite3.SQLITE_FUNCTION:
            return (second or "").lower() != "load_extension"
        if action == sqlite3.SQLITE_PRAGMA:
            return (first or "").lower() in _PRAGMAS
        # Table-valued functions such as json_each declare their columns so; a true UPDATE of sqlite_master is
        # refused by SQLite, and by the read-only file.
        declares = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
        return action in _READS or declares


# Literals, quoted names and comments that every dialect reads alike: no backslash, no nesting.
_QUIET = re.compile(
    r"""'(?:[^'\\]|'')*' | "(?:[^"\\]|"")*" | --[^\n]* | /\*(?:(?!/\*|\*/).)*\*/""", re.VERBOSE | re.DOTALL
)
_AMBIGUOUS = re.compile(r"""['"`]|\$\w*\$|/\*|\*/""")
# What can write inside a SELECT or WITH. Not CALL and its like: the first word tells, and a column is called so.
_WRITING = re.compile(r"\b(insert|update|delete|merge|into)\b", re.IGNORECASE)


def without_literals(query: str, where: str) -> str:
    """`query` with literals, quoted names and comments blanked; raises WarehouseError if dialects differ on them.

    >>> without_literals("SELECT 'drop; table' AS x -- ;", "db")
    'SELECT   AS x  '
    """
    bare = _QUIET.sub(" ", query)
    if odd := _AMBIGUOUS.search(bare):
        raise WarehouseError(
            f"expected plain literals and comments, found {odd.group()!r} that databases read in different ways",
            where=where,
            fix="give the value as a parameter",
        )
    return bare


def escape_colons(query: str) -> str:
    """Marks the colons in literals, names and comments, so that SQLAlchemy's `text` takes no parameter for them."""
    return _QUIET.sub(lambda match: match.group().replace(":", r"\:"), query)


def require_statement(query: str, where: str) -> None:
    """Raises WarehouseError if `query` is nothing but spaces, comments and semicolons."""
    if not _QUIET.sub(lambda match: " " if match.group()[0] in "-/" else match.group(), query).strip("; \t\r\n"):
        raise WarehouseError("expected one SQL statement, found none", where=where, fix="write a query")


def require_one_select(query: str, where: str) -> None:
    """Raises WarehouseError unless `query` is a single SELECT, or WITH ... SELECT, and nothing in it writes.

    >>> require_one_select("WITH x AS (SELECT 1) SELECT * FROM x;", "db")
    """
    bare = without_literals(query, where).strip().rstrip(";").strip()
    first = (re.match(r"\w+", bare.lstrip("( \n\t")) or [""])[0].upper()
    if first not in ("SELECT", "WITH"):
        raise WarehouseError(
            f"expected a query that only reads (SELECT or WITH), found {first or 'no statement'}",
            where=where,
            fix=WRITE_FIX,
        )
    if ";" in bare:
        raise WarehouseError("expected one SQL statement, found several", where=where, fix="run them one by one")
    if word := _WRITING.search(bare):
        raise WarehouseError(
            f"expected a query that only reads, found {word.group().upper()}",
            where=where,
            fix=f'{WRITE_FIX}, or write a column of that name in "quotes"',
        )
