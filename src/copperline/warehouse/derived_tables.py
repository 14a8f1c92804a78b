"""Tables that follow from the others: where each board stands, and exact counts by hour and by day.

Writers keep them in the transaction of the rows that they follow from (`tallies.py`), so that a screen adds up some
days and the hours at their ends instead of millions of detections. `copperline warehouse verify` compares them with
their sources.

A board counts in the UTC hour of its first inspection and stays there, so that hours add up to any period and a
board is in one of them. Unknown lines and products are the empty text, because a key cannot be null.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Double, Integer, String, Table

from copperline.monitoring import BINS
from copperline.warehouse.tables import ID, NAME, UtcDateTime, metadata

board_states = Table(
    "board_states",
    metadata,
    Column("board_id", NAME, primary_key=True, comment="Inspected board"),
    Column("hour", UtcDateTime, nullable=False, comment="Start of the UTC hour of the first inspection"),
    Column("line_id", NAME, nullable=False, comment="Factory line; empty: unknown"),
    Column("product_type", NAME, nullable=False, comment="Product; empty: unknown"),
    Column("model_name", NAME, nullable=False, comment="Model of the latest inspection"),
    Column("model_version", NAME, nullable=False, comment="Its version"),
    Column("inspections", Integer, nullable=False, comment="How often the board was inspected"),
    Column("first_inspection_id", ID, nullable=False, comment="First inspection"),
    Column("first_inspected_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("first_call", String(16), nullable=False, comment="Call of the first inspection"),
    Column("first_defects", Integer, nullable=False, comment="Detections of the first inspection"),
    Column("first_verdict", String(8), comment="GOOD or BAD, as review found at the first inspection; null: not yet"),
    Column("inspection_id", ID, nullable=False, comment="Latest inspection, which counts"),
    Column("inspected_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("call", String(16), nullable=False, comment="Call of the latest inspection"),
    Column("defects", Integer, nullable=False, comment="Detections of the latest inspection"),
    Column("lowest_confidence", Double, comment="Of these detections; null: none"),
    Column("verdict", String(8), comment="GOOD or BAD, as review found at the latest inspection; null: not yet"),
    Column(
        "awaits_review", Integer, nullable=False, comment="1: called FAIL or WITHHELD, and that call not reviewed yet"
    ),
    Column("simulated", Integer, nullable=False, comment="1: line, product or times are made up"),
    Column("opportunities", Integer, comment="Defect opportunities of the board; null: unknown"),
    comment="One row for every inspected board: its first and its latest inspection, and what review found",
)


def _key(grain: str) -> tuple[Column[Any], ...]:
    return (
        Column(
            grain, UtcDateTime, primary_key=True, comment=f"Start of the UTC {grain} of the boards' first inspection"
        ),
        Column("line_id", NAME, primary_key=True, comment="Factory line; empty: unknown"),
        Column("product_type", NAME, primary_key=True, comment="Product; empty: unknown"),
        Column("model_name", NAME, primary_key=True, comment="Model of the boards' latest inspection"),
        Column("model_version", NAME, primary_key=True, comment="Its version"),
    )


def _count(name: str, comment: str) -> Column[int]:
    return Column(name, Integer, nullable=False, comment=comment)


# Name -> what is counted. The definition in SQL of each is in definitions.py.
BOARD_COUNTS = {
    "boards": "Inspected boards",
    "inspections": "Inspections of these boards, repeated ones too",
    "first_passed": "Boards whose first inspection was PASS",
    "first_failed": "Boards whose first inspection was FAIL",
    "first_defects": "Detections of the first inspections",
    "first_reviewed": "Boards whose first inspection was reviewed",
    "first_false_calls": "Boards not passed at first that review found good",
    "first_escapes": "Boards passed at first that review or a later test found bad",
    "passed": "Boards whose latest inspection was PASS",
    "failed": "Boards whose latest inspection was FAIL",
    "withheld": "Boards whose latest inspection was WITHHELD",
    "defects": "Detections of the latest inspections",
    "awaiting_review": "Boards called FAIL or WITHHELD whose call is not reviewed yet",
    "reviewed_good": "Boards that review found good",
    "reviewed_bad": "Boards that review or a later test found bad",
    "false_call_boards": "Boards called FAIL that review found good",
    "escaped_boards": "Boards called PASS that review or a later test found bad",
    "audited_boards": "Boards called PASS that were reviewed",
    "simulated": "Boards whose line, product or times are made up",
    "rated_boards": "Boards whose opportunities are known",
    "rated_defects": "Detections of the latest inspections of rated boards",
    "opportunities": "Opportunities of the rated boards, in all",
}
DEFECT_COUNTS = {
    "defects": "Detections of the boards' latest inspections",
    "boards": "Boards with such a detection that is no false call",
    "false_calls": "Detections that review found to be none",
    "confirmed": "Detections that review confirmed",
}
BIN_COLUMNS = tuple(f"bin_{position:02}" for position in range(BINS))


def _boards(name: str, grain: str) -> Table:
    return Table(
        name,
        metadata,
        *_key(grain),
        *(_count(count, comment) for count, comment in BOARD_COUNTS.items()),
        sqlite_with_rowid=False,
        comment=f"Boards by {grain}, line, product and model version",
    )


def _defects(name: str, grain: str) -> Table:
    return Table(
        name,
        metadata,
        *_key(grain),
        Column("detected_class", NAME, primary_key=True, comment="Name of the defect class"),
        *(_count(count, comment) for count, comment in DEFECT_COUNTS.items()),
        sqlite_with_rowid=False,
        comment=f"Detections by {grain}, line, product, model version and class",
    )


def _histograms(name: str, grain: str) -> Table:
    return Table(
        name,
        metadata,
        *_key(grain),
        Column("quantity", String(32), primary_key=True, comment="What is watched: see copperline.monitoring"),
        Column("detected_class", NAME, primary_key=True, comment="Class of the detections; empty: of the image"),
        _count("samples", "Sum of the bins"),
        *(_count(column, f"Values in bin {position} of {BINS}") for position, column in enumerate(BIN_COLUMNS)),
        sqlite_with_rowid=False,
        comment=f"Histograms of the watched quantities by {grain}, line, product and model version",
    )


hourly_boards, daily_boards = _boards("hourly_boards", "hour"), _boards("daily_boards", "day")
hourly_defects, daily_defects = _defects("hourly_defects", "hour"), _defects("daily_defects", "day")
hourly_histograms, daily_histograms = _histograms("hourly_histograms", "hour"), _histograms("daily_histograms", "day")

# Hours -> the same by UTC day: what a long period is added up from.
BY_DAY = {hourly_boards: daily_boards, hourly_defects: daily_defects, hourly_histograms: daily_histograms}
