"""What the overview shows, read in one transaction: every number is of the same moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Connection, Engine

from copperline.monitoring import CONFIDENCE
from copperline.quality import ParetoRow, Rate, class_defect_rate, machine_yield, pareto
from copperline.warehouse import (
    BoardCounts,
    BoardFilter,
    DefectCounts,
    boards_by,
    count_boards,
    count_defects,
    count_values,
    defects_by,
    histograms_by,
    hours_span,
    read_transaction,
    statement_text,
)
from copperline.workflows.control import Calendar, Grain, grouped

# Up to here the trend is by the hour.
HOURLY_UP_TO = timedelta(days=3)
# Up to here by the plant's day, which is counted from hours; over longer periods by the UTC day.
LOCAL_UP_TO = timedelta(days=400)

UTC_DAY = "UTC day"

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Trend:
    """First-pass yield over time.

    Attributes:
        unit: hour or day, in the plant's time zone; UTC day over more than a year.
        starts: of the hours or days, with their zone; those without a board are left out.
        yields, boards: of each.
    """

    unit: str
    starts: tuple[datetime, ...]
    yields: tuple[Rate, ...]
    boards: tuple[int, ...]

    @property
    def is_utc(self) -> bool:
        """Whether the days are UTC days, and not the plant's."""
        return self.unit == UTC_DAY


@dataclass(frozen=True, slots=True)
class OverviewData:
    """Everything that the overview counts.

    Attributes:
        current, previous: board counts of the period and the one before; `previous` None: there is none.
        defects: of the chosen classes together.
        pareto: without false calls.
        false_calls: class -> detections that review found to be none.
        lines, classes, cells: rate of boards with a defect of the class, for each line and class.
        trend: over the period.
        confidences: class -> counts in the bins of confidence.
        statements: name of the part -> the SQL of its counts.
    """

    current: BoardCounts
    previous: BoardCounts | None
    defects: DefectCounts
    pareto: tuple[ParetoRow, ...]
    false_calls: dict[str, int]
    lines: tuple[str, ...]
    classes: tuple[str, ...]
    cells: dict[Cell, Rate]
    trend: Trend
    confidences: dict[str, tuple[int, ...]]
    statements: dict[str, str]


def read_overview(engine: Engine, chosen: BoardFilter, class_order: tuple[str, ...], zone: tzinfo) -> OverviewData:
    """Reads the overview.

    Args:
        chosen: the boards; its classes narrow the figures of defects.
        class_order: classes of the taxonomy, in their order; others that the tables hold come after them.
        zone: the plant's, whose days the trend shows.
    """
    before = chosen.previous()
    with read_transaction(engine) as connection:
        time = ("day",) if _length(connection, chosen) > LOCAL_UP_TO else ("hour",)
        by_time = boards_by(connection, chosen, time)
        by_line = boards_by(connection, chosen, ("line_id",))
        previous = None if before is None else boards_by(connection, before)[()]
        found = defects_by(connection, chosen, ("line_id", "detected_class"))
        confidences = histograms_by(connection, chosen, CONFIDENCE, ("detected_class",))
    current = BoardCounts.total(by_line.values())
    classes = _in_order({name for _, name in found}, class_order)
    by_class = {name: DefectCounts.total(counts for key, counts in found.items() if key[1] == name) for name in classes}
    return OverviewData(
        current=current,
        previous=previous,
        defects=DefectCounts.total(by_class.values()),
        pareto=tuple(pareto({name: counts.defects - counts.false_calls for name, counts in by_class.items()})),
        false_calls={name: counts.false_calls for name, counts in by_class.items()},
        lines=tuple(line for (line,) in by_line),
        classes=classes,
        cells=_cells(by_line, classes, found),
        trend=_trend({start: counts for (start,), counts in by_time.items()}, zone, in_days=time == ("day",)),
        confidences={name: confidences[name,] for name in classes if (name,) in confidences},
        statements={
            "lines": statement_text(engine, count_boards(chosen, ("line_id",), ("boards",))),
            "hours": statement_text(engine, count_boards(chosen, time, ("first_passed", "boards"))),
            "defects": statement_text(engine, count_defects(chosen, ("line_id", "detected_class"))),
            "confidences": statement_text(engine, count_values(chosen, CONFIDENCE, ("detected_class",))),
        },
    )


def _in_order(names: set[str], order: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(name for name in order if name in names)
    return known + tuple(sorted(names - set(known)))


def _cells(
    by_line: dict[tuple[str, ...], BoardCounts], classes: tuple[str, ...], found: dict[tuple[str, ...], DefectCounts]
) -> dict[Cell, Rate]:
    return {
        (line, name): class_defect_rate(found.get((line, name), DefectCounts()).boards, counts.boards)
        for (line,), counts in by_line.items()
        for name in classes
    }


def _length(connection: Connection, chosen: BoardFilter) -> timedelta:
    """Of the period, as far as boards were inspected in it."""
    first, last = hours_span(connection)
    since, until = chosen.since or first, chosen.until or last
    return until - since if since is not None and until is not None else timedelta()


def _trend(by_time: dict[datetime, BoardCounts], zone: tzinfo, *, in_days: bool) -> Trend:
    """By the hour where few hours are shown, else by the plant's day, or the UTC day where `by_time` has days."""
    if in_days:
        parts, unit = by_time, UTC_DAY
    else:
        hourly = not by_time or max(by_time) - min(by_time) < HOURLY_UP_TO
        grain = Grain.HOUR if hourly else Grain.DAY
        parts, unit = grouped(by_time, grain, Calendar(zone, ())), grain.value
    return Trend(
        unit,
        tuple(parts),
        tuple(machine_yield(counts.first_passed, counts.boards) for counts in parts.values()),
        tuple(counts.boards for counts in parts.values()),
    )
