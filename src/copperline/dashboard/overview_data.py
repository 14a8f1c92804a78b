"""What the overview shows, read in one transaction: every number is of the same moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Engine

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
    read_transaction,
    statement_text,
)
from copperline.workflows.control import Calendar, Grain, grouped

# Up to here the trend is by the hour.
HOURLY_UP_TO = timedelta(days=3)

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Trend:
    """First-pass yield over time.

    Attributes:
        unit: hour or day, in the plant's time zone.
        starts: of the hours or days, with their zone; those without a board are left out.
        yields, boards: of each.
    """

    unit: str
    starts: tuple[datetime, ...]
    yields: tuple[Rate, ...]
    boards: tuple[int, ...]


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
        statements: name of the part -> its SQL, as it ran.
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
        by_hour = boards_by(connection, chosen, ("hour",))
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
        trend=_trend({hour: counts for (hour,), counts in by_hour.items()}, zone),
        confidences={name: confidences[name,] for name in classes if (name,) in confidences},
        statements={
            "boards": statement_text(engine, count_boards(chosen)),
            **({} if before is None else {"previous": statement_text(engine, count_boards(before))}),
            "lines": statement_text(engine, count_boards(chosen, ("line_id",))),
            "hours": statement_text(engine, count_boards(chosen, ("hour",))),
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


def _trend(by_hour: dict[datetime, BoardCounts], zone: tzinfo) -> Trend:
    """By the hour where few hours are shown, else by the plant's day."""
    hourly = not by_hour or max(by_hour) - min(by_hour) < HOURLY_UP_TO
    grain = Grain.HOUR if hourly else Grain.DAY
    parts = grouped(by_hour, grain, Calendar(zone, ()))
    return Trend(
        grain.value,
        tuple(parts),
        tuple(machine_yield(counts.first_passed, counts.boards) for counts in parts.values()),
        tuple(counts.boards for counts in parts.values()),
    )
