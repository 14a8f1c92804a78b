"""Keeping the derived tables true, in the transaction of the rows that they follow from.

Each table has one definition (definitions.py). `kept` runs the definitions for the boards that a transaction touches,
before and after, and adds the difference; `rebuild_derived` runs them for all. Days follow from hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    TextClause,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
)

from copperline.warehouse.definitions import (
    BOARDS,
    among,
    boards_definition,
    defects_definition,
    histograms_definition,
    states_definition,
)
from copperline.warehouse.derived_tables import BY_DAY, board_states, hourly_boards, hourly_defects, hourly_histograms
from copperline.warehouse.portable import day_of
from copperline.warehouse.snowflake_rows import merge_rows

# Well below the number of parameters that any of the databases takes in one statement.
BOARDS_AT_ONCE = 500

# Dialects that have INSERT ... ON CONFLICT.
_UPSERTS = frozenset({"sqlite", "postgresql"})

Key = tuple[Any, ...]
Counts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """A table of counts.

    Attributes:
        table: its primary key says what is counted together; the other columns are counts.
        size: the count that is 0 only where all are.
    """

    table: Table
    size: str

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key.columns)

    @property
    def counts(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.columns if not column.primary_key)

    def definition(self, *, scoped: bool) -> Select[Any]:
        """What the rows are, over all boards; scoped: over those of the parameter `boards`."""
        if self.table is hourly_boards:
            return boards_definition(scoped)
        return defects_definition(scoped) if self.table is hourly_defects else histograms_definition(scoped)

    def by_day(self) -> Tally:
        """The same counts by UTC day."""
        return Tally(BY_DAY[self.table], self.size)

    def days_definition(self) -> Select[Any]:
        """What the rows by day are, from those by hour."""
        hour, *others = (self.table.c[name] for name in self.keys)
        day = day_of(hour).label("day")
        sums = [func.sum(self.table.c[name]).label(name) for name in self.counts]
        return select(day, *others, *sums).group_by(day, *others)


TALLIES = (
    Tally(hourly_boards, "boards"),
    Tally(hourly_defects, "defects"),
    Tally(hourly_histograms, "samples"),
)


@contextmanager
def kept(connection: Connection, board_ids: Sequence[str]) -> Iterator[None]:
    """Around writes that touch these boards' inspections, detections, metadata or dispositions."""
    parts = [board_ids[start : start + BOARDS_AT_ONCE] for start in range(0, len(board_ids), BOARDS_AT_ONCE)]
    before = [_counted(connection, part) for part in parts]
    yield
    for part, old in zip(parts, before, strict=True):
        connection.execute(_DELETE_STATES, {BOARDS: part})
        connection.execute(_insert_states(True), {BOARDS: part})
        new = _counted(connection, part)
        for tally in TALLIES:
            changes = _difference(old.get(tally.table.name, {}), new.get(tally.table.name, {}))
            _apply(connection, tally, changes)
            _apply(connection, tally.by_day(), _of_days(changes))


def rebuild_derived(connection: Connection) -> None:
    """Makes all rows of the derived tables anew."""
    connection.execute(delete(board_states))
    connection.execute(_insert_states(False))
    for tally, definition in _all_tallies():
        connection.execute(delete(tally.table))
        connection.execute(insert(tally.table).from_select([*tally.keys, *tally.counts], definition))


def differences(connection: Connection) -> list[str]:
    """The derived tables whose rows are not what they follow from; none if all is well."""
    columns = [column.name for column in board_states.columns]
    wanted = states_definition(False).subquery()
    pairs: list[tuple[str, Select[Any], Select[Any]]] = [
        (board_states.name, select(board_states), select(*(wanted.c[name] for name in columns)))
    ]
    for tally, definition in _all_tallies():
        names = [*tally.keys, *tally.counts]
        pairs.append((tally.table.name, select(*(tally.table.c[n] for n in names)), definition))
    return [
        name
        for name, kept_rows, defined in pairs
        if connection.execute(kept_rows.except_(defined).limit(1)).first()
        or connection.execute(defined.except_(kept_rows).limit(1)).first()
    ]


def _all_tallies() -> Iterator[tuple[Tally, Select[Any]]]:
    """Each with its definition over all boards, hours before the days that follow from them."""
    for tally in TALLIES:
        yield tally, tally.definition(scoped=False)
        yield tally.by_day(), tally.days_definition()


@cache
def _insert_states(scoped: bool) -> Any:
    return insert(board_states).from_select([column.name for column in board_states.columns], states_definition(scoped))


_DELETE_STATES = delete(board_states).where(among(board_states.c.board_id, True))
_KNOWN = select(board_states.c.board_id).where(among(board_states.c.board_id, True)).limit(1)


def _counted(connection: Connection, boards: Sequence[str]) -> dict[str, dict[Key, Counts]]:
    """Table -> key -> counts, as the boards' states are now; empty at once if they have none."""
    if connection.execute(_KNOWN, {BOARDS: boards}).first() is None:
        return {}
    counted = {}
    for tally in TALLIES:
        keys = len(tally.keys)
        rows = connection.execute(tally.definition(scoped=True), {BOARDS: boards})
        counted[tally.table.name] = {tuple(row[:keys]): tuple(map(int, row[keys:])) for row in rows}
    return counted


def _difference(old: dict[Key, Counts], new: dict[Key, Counts]) -> dict[Key, Counts]:
    """New less old, where it is not 0; in the order of the keys, so that two writers never wait for each other."""
    changed = {}
    for key in sorted(old.keys() | new.keys()):
        size = len(new.get(key) or old[key])
        pairs = zip(new.get(key, (0,) * size), old.get(key, (0,) * size), strict=True)
        counts = tuple(a - b for a, b in pairs)
        if any(counts):
            changed[key] = counts
    return changed


def _of_days(changes: dict[Key, Counts]) -> dict[Key, Counts]:
    """The same changes by UTC day."""
    days: dict[Key, list[Counts]] = {}
    for (hour, *others), counts in changes.items():
        days.setdefault((hour.replace(hour=0), *others), []).append(counts)
    summed = {key: tuple(map(sum, zip(*parts, strict=True))) for key, parts in days.items()}
    return {key: counts for key, counts in summed.items() if any(counts)}


def _apply(connection: Connection, tally: Tally, changes: dict[Key, Counts]) -> None:
    if not changes:
        return
    names = (*tally.keys, *tally.counts)
    rows = [dict(zip(names, (*key, *counts), strict=True)) for key, counts in changes.items()]
    if connection.dialect.name in _UPSERTS:
        connection.execute(_upsert(tally), rows)
    else:
        merge_rows(connection, tally.table, rows, found="add")
    if any(count < 0 for counts in changes.values() for count in counts):
        connection.execute(delete(tally.table).where(tally.table.c[tally.size] == 0, _times(tally, changes)))


@cache
def _upsert(tally: Tally) -> TextClause:
    """As text: SQLAlchemy compiles its own upserts anew each time, which takes longer than all else in a write."""
    table, names = tally.table, (*tally.keys, *tally.counts)
    added = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in tally.counts)
    statement = (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(tally.keys)}) DO UPDATE SET {added}"
    )
    return text(statement).bindparams(*(bindparam(name, type_=table.c[name].type) for name in names))


def _times(tally: Tally, changes: dict[Key, Counts]) -> ColumnElement[bool]:
    return tally.table.c[tally.keys[0]].in_(sorted({key[0] for key in changes}))
