"""Counts of boards and defects by hour, line, product, model version and class, from the derived tables.

Each question is a query, of which `statement_text` gives the SQL: so every figure on a screen can be traced.
Rates are left to whoever knows their definition (`copperline.quality`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Engine, Select, Subquery, Table, and_, func, select, true, union_all

from copperline.errors import WarehouseError
from copperline.monitoring import Quantity
from copperline.warehouse.board_filter import BoardFilter, ModelVersionKey, within
from copperline.warehouse.derived_tables import (
    BIN_COLUMNS,
    BOARD_COUNTS,
    BY_DAY,
    DEFECT_COUNTS,
    daily_boards,
    hourly_boards,
    hourly_defects,
    hourly_histograms,
)
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.portable import day_of

# A UTC day is made of whole days and, at the ends of a period, of what hours of it the period has.
BOARD_GROUPS = ("hour", "day", "line_id", "product_type", "model_name", "model_version")
DEFECT_GROUPS = (*BOARD_GROUPS, "detected_class")

Group = tuple[Any, ...]
Where = Callable[[Table], ColumnElement[bool]]


class Summable:
    """Counts over different boards can be added up."""

    __slots__ = ()

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The sums over all parts; 0 throughout where there is none."""
        values = attrgetter(*cls.__dataclass_fields__)  # type: ignore[attr-defined]
        return cls(*map(sum, zip(*map(values, parts), strict=True)))

    def __add__(self, other: Self) -> Self:
        return self.total((self, other))


@dataclass(frozen=True, slots=True)
class BoardCounts(Summable):
    """What is counted of boards; each field is explained in the table `hourly_boards`."""

    boards: int = 0
    inspections: int = 0
    first_passed: int = 0
    first_failed: int = 0
    first_defects: int = 0
    first_reviewed: int = 0
    first_false_calls: int = 0
    first_escapes: int = 0
    passed: int = 0
    failed: int = 0
    withheld: int = 0
    defects: int = 0
    awaiting_review: int = 0
    reviewed_good: int = 0
    reviewed_bad: int = 0
    false_call_boards: int = 0
    escaped_boards: int = 0
    audited_boards: int = 0
    simulated: int = 0
    rated_boards: int = 0
    rated_defects: int = 0
    opportunities: int = 0


@dataclass(frozen=True, slots=True)
class DefectCounts(Summable):
    """What is counted of the detections of one class or several; explained in the table `hourly_defects`."""

    defects: int = 0
    boards: int = 0
    false_calls: int = 0
    confirmed: int = 0


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is to choose from.

    Attributes:
        first_hour, last_hour: of the boards' first inspections, UTC; None: no board was inspected.
        lines, products: in order; the empty text stands for unknown.
        models: in order.
    """

    first_hour: datetime | None
    last_hour: datetime | None
    lines: tuple[str, ...]
    products: tuple[str, ...]
    models: tuple[ModelVersionKey, ...]


def count_boards(chosen: BoardFilter, by: tuple[str, ...] = (), counts: Sequence[str] = ()) -> Select[Any]:
    """Board counts for each group of `by` (of BOARD_GROUPS); see `boards_by`.

    Args:
        counts: names of BoardCounts, to ask for these alone; empty: all, in their order.
    """
    return _sums(hourly_boards, counts or BOARD_COUNTS, chosen, by, BOARD_GROUPS)


def count_defects(chosen: BoardFilter, by: tuple[str, ...] = ()) -> Select[Any]:
    """Defect counts of the chosen classes for each group of `by` (of DEFECT_GROUPS); see `defects_by`.

    Over several classes, `boards` counts a board once for each class that it has.
    """
    return _sums(
        hourly_defects,
        DEFECT_COUNTS,
        chosen,
        by,
        DEFECT_GROUPS,
        lambda table: chosen.class_condition(table.c.detected_class),
    )


def count_values(chosen: BoardFilter, quantity: Quantity, by: tuple[str, ...] = ()) -> Select[Any]:
    """Histogram of a watched quantity for each group of `by` (of DEFECT_GROUPS); see `histograms_by`."""

    def where(table: Table) -> ColumnElement[bool]:
        of_quantity = table.c.quantity == quantity.name
        return and_(of_quantity, chosen.class_condition(table.c.detected_class)) if quantity.by_class else of_quantity

    return _sums(hourly_histograms, BIN_COLUMNS, chosen, by, DEFECT_GROUPS, where)


def boards_by(connection: Connection, chosen: BoardFilter, by: tuple[str, ...] = ()) -> dict[Group, BoardCounts]:
    """Group -> counts, in the order of the groups; without `by` always the one group ()."""
    found = _grouped(connection, count_boards(chosen, by), by)
    return {group: BoardCounts(*counts) for group, counts in found.items()} or ({} if by else {(): BoardCounts()})


def defects_by(connection: Connection, chosen: BoardFilter, by: tuple[str, ...] = ()) -> dict[Group, DefectCounts]:
    """Group -> counts, in the order of the groups; without `by` always the one group ()."""
    found = _grouped(connection, count_defects(chosen, by), by)
    return {group: DefectCounts(*counts) for group, counts in found.items()} or ({} if by else {(): DefectCounts()})


def histograms_by(
    connection: Connection, chosen: BoardFilter, quantity: Quantity, by: tuple[str, ...] = ()
) -> dict[Group, tuple[int, ...]]:
    """Group -> (BINS,) counts in the bins of `quantity`; groups without a value are left out."""
    return _grouped(connection, count_values(chosen, quantity, by), by)


def hours_span(connection: Connection) -> tuple[datetime | None, datetime | None]:
    """First and last hour that a board was first inspected in; None: none was."""
    hour = hourly_boards.c.hour
    # Two queries: SQLite finds an end of the index at once, but not both in one.
    first, last = (connection.execute(select(end(hour))).scalar() for end in (func.min, func.max))
    return first, last


def extent(engine: Engine) -> Extent:
    """The period, lines, products and model versions that boards were inspected in."""
    column = daily_boards.c
    models = (column.model_name, column.model_version)
    with read_transaction(engine) as connection:
        first, last = hours_span(connection)
        lines = connection.execute(select(column.line_id).distinct().order_by(column.line_id)).scalars()
        products = connection.execute(select(column.product_type).distinct().order_by(column.product_type)).scalars()
        used = connection.execute(select(*models).distinct().order_by(*models))
        return Extent(first, last, tuple(lines), tuple(products), tuple(ModelVersionKey(*row) for row in used))


def plant_counts(engine: Engine, chosen: BoardFilter | None = None) -> BoardCounts:
    """The counts of all chosen boards."""
    with read_transaction(engine) as connection:
        return boards_by(connection, chosen or BoardFilter())[()]


def lines_counts(engine: Engine, chosen: BoardFilter | None = None) -> dict[str, BoardCounts]:
    """Line -> counts, in the order of their names; the empty text stands for unknown and comes last."""
    with read_transaction(engine) as connection:
        found = boards_by(connection, chosen or BoardFilter(), ("line_id",))
    return {line: counts for (line,), counts in sorted(found.items(), key=lambda item: (not item[0][0], item[0]))}


def statement_text(engine: Engine, query: Select[Any]) -> str:
    """The query as the database runs it, every value in its place: `copperline sql` runs it too."""
    compiled = query.compile(engine, compile_kwargs={"literal_binds": True})
    return str(compiled)


def _grouped(connection: Connection, query: Select[Any], by: tuple[str, ...]) -> dict[Group, tuple[int, ...]]:
    """Group -> sums; a sum over no row is null, and such a group is left out."""
    keys = len(by)
    rows = connection.execute(query)
    return {tuple(row[:keys]): tuple(map(int, row[keys:])) for row in rows if row[keys] is not None}


def _sums(
    table: Table,
    counts: Iterable[str],
    chosen: BoardFilter,
    by: tuple[str, ...],
    allowed: tuple[str, ...],
    where: Where | None = None,
) -> Select[Any]:
    unknown = [name for name in by if name not in allowed]
    if unknown:
        raise WarehouseError(
            f"expected groups of {', '.join(allowed)}, found {unknown[0]!r}", fix="choose one of these columns"
        )
    rows = _rows(table, [*by, *counts], chosen, apart="hour" in by, where=where)
    keys = [rows.c[name] for name in by]
    sums = [func.sum(rows.c[name]).label(name) for name in counts]
    return select(*keys, *sums).group_by(*keys).order_by(*keys)


def _rows(table: Table, names: Sequence[str], chosen: BoardFilter, *, apart: bool, where: Where | None) -> Subquery:
    """The rows that are to be added up: whole UTC days, and the hours at their ends; `apart`: hours alone."""

    def part(of: Table, in_time: ColumnElement[bool]) -> Select[Any]:
        columns = [day_of(of.c.hour).label(name) if name == "day" and of is table else of.c[name] for name in names]
        return select(*columns).where(in_time, chosen.but_time(of), true() if where is None else where(of))

    days = None if apart else chosen.whole_days()
    if days is None:
        return part(table, within(table.c.hour, chosen.since, chosen.until)).subquery()
    first, end = days
    parts = [part(BY_DAY[table], within(BY_DAY[table].c.day, first, end))]
    if first is not None and first != chosen.since:
        parts.append(part(table, within(table.c.hour, chosen.since, first)))
    if end is not None and end != chosen.until:
        parts.append(part(table, within(table.c.hour, end, chosen.until)))
    return parts[0].subquery() if len(parts) == 1 else union_all(*parts).subquery()
