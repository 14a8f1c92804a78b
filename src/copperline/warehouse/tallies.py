"""Keeping the derived tables true, in the transaction of the rows that they follow from.

Each table has one definition, a SELECT over the tables that people and machines write. `kept` runs the definitions for
the boards that a transaction touches, before and after, and adds the difference; `rebuild_derived` runs them for all.
Days follow from hours.
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
    String,
    Table,
    TextClause,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    true,
    union_all,
)

from copperline.monitoring import BINS, CONFIDENCE, QUANTITIES, Quantity
from copperline.taxonomy import Call, Disposition
from copperline.warehouse.derived_tables import (
    BIN_COLUMNS,
    BY_DAY,
    board_states,
    hourly_boards,
    hourly_defects,
    hourly_histograms,
)
from copperline.warehouse.portable import day_of, hour_of, whole
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_metadata
from copperline.warehouse.verdicts import BAD, GOOD, detection_verdicts, inspection_verdicts

# Well below the number of parameters that any of the databases takes in one statement.
BOARDS_AT_ONCE = 500
# Name of the parameter of the definitions that says which boards.
BOARDS = "boards"

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
            return _boards_definition(scoped)
        return _defects_definition(scoped) if self.table is hourly_defects else _histograms_definition(scoped)

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
def states_definition(scoped: bool) -> Select[Any]:
    """What `board_states` is, its columns in their order: of all boards, or of those of the parameter `boards`."""
    at, key, board = inspections.c.inspected_at, inspections.c.inspection_id, inspections.c.board_id
    ranked = (
        select(
            inspections,
            # The id settles a tie, so that every database chooses the same row.
            func.row_number().over(partition_by=board, order_by=(at.desc(), key.desc())).label("age"),
            func.row_number().over(partition_by=board, order_by=(at, key)).label("turn"),
            func.count().over(partition_by=board).label("inspections"),
        )
        .where(_among(board, scoped))
        .cte("ranked")
    )
    first, latest = ranked.alias("first"), ranked.alias("latest")
    scope = None
    if scoped:
        scope = dispositions.c.inspection_id.in_(select(key).where(_among(board, scoped)))
    verdicts = inspection_verdicts(scope)
    then, now = verdicts.alias("first_verdicts"), verdicts.alias("verdicts")
    lowest = (
        select(func.min(defect_logs.c.confidence_score))
        .where(defect_logs.c.inspection_id == latest.c.inspection_id)
        .scalar_subquery()
    )
    waits = and_(latest.c.call != Call.PASS.value, now.c.verdict.is_(None))
    return (
        select(
            first.c.board_id,
            hour_of(first.c.inspected_at).label("hour"),
            func.coalesce(pcb_metadata.c.factory_line_id, "").label("line_id"),
            func.coalesce(pcb_metadata.c.product_type, "").label("product_type"),
            latest.c.model_name,
            latest.c.model_version,
            first.c.inspections,
            first.c.inspection_id.label("first_inspection_id"),
            first.c.inspected_at.label("first_inspected_at"),
            first.c.call.label("first_call"),
            first.c.defect_count.label("first_defects"),
            then.c.verdict.label("first_verdict"),
            latest.c.inspection_id,
            latest.c.inspected_at,
            latest.c.call,
            latest.c.defect_count.label("defects"),
            lowest.label("lowest_confidence"),
            now.c.verdict,
            case((waits, 1), else_=0).label("awaits_review"),
            case((pcb_metadata.c.source == "simulated", 1), else_=0).label("simulated"),
            pcb_metadata.c.opportunities,
        )
        .join(latest, and_(latest.c.board_id == first.c.board_id, latest.c.age == 1))
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == first.c.board_id)
        .outerjoin(then, then.c.inspection_id == first.c.inspection_id)
        .outerjoin(now, now.c.inspection_id == latest.c.inspection_id)
        .where(first.c.turn == 1)
    )


@cache
def _insert_states(scoped: bool) -> Any:
    return insert(board_states).from_select([column.name for column in board_states.columns], states_definition(scoped))


@cache
def _boards_definition(scoped: bool) -> Select[Any]:
    state = board_states.c

    def number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((and_(*conditions), 1), else_=0))

    passed, failed = state.call == Call.PASS.value, state.call == Call.FAIL.value
    first_passed = state.first_call == Call.PASS.value
    rated = state.opportunities.is_not(None)
    counts = {
        "boards": func.count(),
        "inspections": func.sum(state.inspections),
        "first_passed": number(first_passed),
        "first_failed": number(state.first_call == Call.FAIL.value),
        "first_defects": func.sum(state.first_defects),
        "first_reviewed": number(state.first_verdict.is_not(None)),
        "first_false_calls": number(~first_passed, state.first_verdict == GOOD),
        "first_escapes": number(first_passed, state.first_verdict == BAD),
        "passed": number(passed),
        "failed": number(failed),
        "withheld": number(state.call == Call.WITHHELD.value),
        "defects": func.sum(state.defects),
        "awaiting_review": func.sum(state.awaits_review),
        "reviewed_good": number(state.verdict == GOOD),
        "reviewed_bad": number(state.verdict == BAD),
        "false_call_boards": number(failed, state.verdict == GOOD),
        "escaped_boards": number(passed, state.verdict == BAD),
        "audited_boards": number(passed, state.verdict.is_not(None)),
        "simulated": func.sum(state.simulated),
        "rated_boards": func.count(state.opportunities),
        "rated_defects": func.sum(case((rated, state.defects), else_=0)),
        "opportunities": func.coalesce(func.sum(state.opportunities), 0),
    }
    keys = _hour_key()
    wanted = [counts[name].label(name) for name in TALLIES[0].counts]
    return select(*keys, *wanted).where(_among(state.board_id, scoped)).group_by(*keys)


@cache
def _defects_definition(scoped: bool) -> Select[Any]:
    """Counted by board first, so that a board with three opens is one board with opens."""
    found = detection_verdicts(_dispositions_of_boards() if scoped else None)
    false = case((found.c.disposition == Disposition.FALSE_CALL.value, 1), else_=0)
    confirmed = case((found.c.disposition == Disposition.CONFIRMED.value, 1), else_=0)
    keys = (*_hour_key(), defect_logs.c.detected_class)
    by_board = (
        select(
            *keys,
            func.count().label("defects"),
            func.sum(false).label("false_calls"),
            func.sum(confirmed).label("confirmed"),
        )
        .select_from(board_states)
        .join(defect_logs, defect_logs.c.inspection_id == board_states.c.inspection_id)
        .outerjoin(found, found.c.inference_id == defect_logs.c.inference_id)
        .where(_among(board_states.c.board_id, scoped))
        .group_by(*keys, board_states.c.board_id)
        .subquery()
    )
    count = by_board.c
    key = [count[name] for name in TALLIES[1].keys]
    return select(
        *key,
        func.sum(count.defects).label("defects"),
        func.sum(case((count.defects > count.false_calls, 1), else_=0)).label("boards"),
        func.sum(count.false_calls).label("false_calls"),
        func.sum(count.confirmed).label("confirmed"),
    ).group_by(*key)


@cache
def _histograms_definition(scoped: bool) -> Select[Any]:
    keys = _hour_key()
    confidences = (
        select(
            *keys,
            literal(CONFIDENCE.name, String).label("quantity"),
            defect_logs.c.detected_class,
            _bin(CONFIDENCE, defect_logs.c.confidence_score).label("bin"),
        )
        .select_from(board_states)
        .join(defect_logs, defect_logs.c.inspection_id == board_states.c.inspection_id)
        .where(_among(board_states.c.board_id, scoped))
    )
    of_images = [
        select(
            *keys,
            literal(quantity.name, String).label("quantity"),
            literal("", String).label("detected_class"),
            _bin(quantity, inspections.c[quantity.name]).label("bin"),
        )
        .select_from(board_states)
        .join(inspections, inspections.c.inspection_id == board_states.c.inspection_id)
        .where(_among(board_states.c.board_id, scoped), inspections.c[quantity.name].is_not(None))
        for quantity in QUANTITIES
        if not quantity.by_class
    ]
    values = union_all(confidences, *of_images).subquery()
    key = [values.c[name] for name in TALLIES[2].keys]
    bins = [
        func.sum(case((values.c.bin == position, 1), else_=0)).label(name) for position, name in enumerate(BIN_COLUMNS)
    ]
    return select(*key, func.count().label("samples"), *bins).group_by(*key)


def _bin(quantity: Quantity, value: ColumnElement[float]) -> ColumnElement[int]:
    """The bin of a value, as `Quantity.counts` counts it: what lies outside is in the first or the last."""
    position = whole((value - quantity.low) / quantity.width)
    return case((value < quantity.low, 0), (value >= quantity.high, BINS - 1), else_=position)


def _hour_key() -> tuple[ColumnElement[Any], ...]:
    return tuple(board_states.c[name] for name in TALLIES[0].keys)


def _among(column: ColumnElement[str], scoped: bool) -> ColumnElement[bool]:
    return column.in_(bindparam(BOARDS, expanding=True)) if scoped else true()


def _dispositions_of_boards() -> ColumnElement[bool]:
    states = select(board_states.c.inspection_id).where(_among(board_states.c.board_id, True))
    return dispositions.c.inspection_id.in_(states)


# Built once, like the definitions: building a statement and its text takes many times as long as running it.
_DELETE_STATES = delete(board_states).where(_among(board_states.c.board_id, True))
_KNOWN = select(board_states.c.board_id).where(_among(board_states.c.board_id, True)).limit(1)


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
        _update_or_insert(connection, tally, rows)
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


def _update_or_insert(connection: Connection, tally: Tally, rows: list[dict[str, Any]]) -> None:
    """For databases without an upsert of this kind: Snowflake."""
    same = and_(*(tally.table.c[name] == bindparam(f"key_{name}") for name in tally.keys))
    added: dict[str, Any] = {name: tally.table.c[name] + bindparam(f"add_{name}") for name in tally.counts}
    change = tally.table.update().where(same).values(added)
    for row in rows:
        keys = {f"key_{name}": row[name] for name in tally.keys}
        counts = {f"add_{name}": row[name] for name in tally.counts}
        if connection.execute(change, keys | counts).rowcount == 0:
            connection.execute(insert(tally.table), [row])
