"""The tables, as SQLAlchemy Core sees them: one schema for SQLite, PostgreSQL and Snowflake.

Only types and constraints that all three have: no JSON, no ENUM, no CHECK. Snowflake accepts keys without enforcing
them, so no writer relies on a key error. Indexes are kept in schema.py, because the Snowflake dialect refuses to
create a table that has one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from copperline import labeled_board

ID = String(64)
NAME = String(255)
PATH = String(1024)
SHA256 = String(64)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as naive UTC, because SQLite has no time zones and Snowflake has three kinds."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else naive_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def naive_utc(moment: datetime) -> datetime:
    """The same moment in UTC without its zone; raises ValueError for a datetime that has no zone.

    >>> from datetime import timedelta, timezone
    >>> naive_utc(datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))))
    datetime.datetime(2025, 12, 31, 23, 30)
    """
    if moment.utcoffset() is None:
        raise ValueError(f"expected a time with its time zone, found {moment.isoformat()} without one; add tzinfo=UTC")
    return moment.astimezone(UTC).replace(tzinfo=None)


metadata = MetaData()

# Not called `schema_version`: in a database that is shared, migration tools own that name.
schema_version = Table(
    "copperline_schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False, comment="Version of the tables' layout"),
    Column("installed_at", UtcDateTime, nullable=False, comment="UTC"),
    comment="One row: which layout the tables of Copperline have",
)

pcb_metadata = Table(
    "pcb_metadata",
    metadata,
    Column("board_id", NAME, primary_key=True, comment="Serial number of the board"),
    Column("manufacturing_date", Date, comment="Day of manufacture in the plant's calendar"),
    Column("factory_line_id", NAME, comment="Line that made the board"),
    Column("product_type", NAME, comment="Product that the board belongs to"),
    Column("image_path", PATH, comment="Image of the board on the stage"),
    Column("created_at", UtcDateTime, comment="When the row was made, UTC"),
    Column("panel_id", NAME, comment="Panel that the board was cut from"),
    Column("source", String(16), comment="real: from the factory; simulated: made up for a demonstration"),
    Column("opportunities", Integer, comment="Defect opportunities per board, for DPMO; null: unknown"),
    comment="Boards as the factory knows them",
)

inspections = Table(
    "inspections",
    metadata,
    Column("inspection_id", ID, primary_key=True, comment="UUID of board, images, model and operating point"),
    # No foreign key: a board may be inspected before the factory system has told of it.
    Column("board_id", NAME, nullable=False, comment="Inspected board"),
    Column("inspected_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("station_id", NAME, nullable=False, comment="Station that inspected"),
    Column("model_name", NAME, nullable=False, comment="Registered model"),
    Column("model_version", NAME, nullable=False, comment="Version of the model"),
    Column("operating_point", Text, nullable=False, comment="JSON: thresholds in force and what they were chosen for"),
    Column("image_path", PATH, nullable=False, comment="Test image"),
    Column("image_sha256", SHA256, nullable=False, comment="SHA-256 of the test image's file, hexadecimal"),
    Column("reference_path", PATH, comment="Golden image; null: inspected without"),
    Column("reference_sha256", SHA256, comment="SHA-256 of the golden image's file, hexadecimal"),
    Column("registration_score", Double, comment="Quality of the registration, 0-1; null: no reference"),
    Column("call", String(16), nullable=False, comment="Machine call: PASS, FAIL or WITHHELD; never overwritten"),
    Column("defect_count", Integer, nullable=False, comment="Rows in defect_logs of this inspection"),
    Column("latency_ms", Double, nullable=False, comment="Milliseconds from image to call"),
    Column("brightness", Double, comment="Mean grey level of the test image, 0-255; null: not measured"),
    Column("contrast", Double, comment="Standard deviation of the test image's grey levels; null: not measured"),
    Column("width", Integer, comment="Of the test image, px; null: not recorded"),
    Column("height", Integer, comment="Of the test image, px; null: not recorded"),
    Column("reference_id", ID, comment="Golden reference of the library; null: none, or one from outside it"),
    Column("conditioning", Text, comment="JSON: how both images were brought to the model's form; null: as they were"),
    comment="One row for every inspected board, the good ones too",
)

defect_logs = Table(
    "defect_logs",
    metadata,
    Column("inference_id", ID, primary_key=True, comment="UUID of the inspection and the detection's position"),
    Column("board_id", NAME, nullable=False, comment="Inspected board"),
    Column("inference_timestamp", UtcDateTime, nullable=False, comment="UTC"),
    Column("detected_class", NAME, nullable=False, comment="Name of the defect class"),
    Column("confidence_score", Double, nullable=False, comment="0-1"),
    Column("bbox_x_center", Double, nullable=False, comment="Centre of the box / image width, 0-1"),
    Column("bbox_y_center", Double, nullable=False, comment="Centre of the box / image height, 0-1"),
    Column("bbox_width", Double, nullable=False, comment="Width of the box / image width, 0-1"),
    Column("bbox_height", Double, nullable=False, comment="Height of the box / image height, 0-1"),
    Column("image_path", PATH, comment="Test image"),
    Column("model_version", NAME, nullable=False, comment="Version of the model"),
    Column(
        "inspection_id",
        ID,
        ForeignKey("inspections.inspection_id"),
        comment="The inspection; null only in rows that another program wrote",
    ),
    comment="One row for every detection",
)

pcb_labeled_data = Table(
    labeled_board.TABLE,
    metadata,
    Column("filename", NAME, primary_key=True, comment="Name of the image in its data set"),
    Column("image_bytes", LargeBinary, nullable=False, comment="Encoded test image"),
    Column("label_text", Text, nullable=False, comment="YOLO lines: class x_center y_center width height, 0-1"),
    Column("split", String(16), nullable=False, comment="train, val or test"),
    Column("reference_bytes", LargeBinary, comment="Encoded golden image; null: none"),
    Column("board_group", NAME, comment="Boards of one product or plate; never in both train and val"),
    comment="Labelled boards, images included",
)

dispositions = Table(
    "dispositions",
    metadata,
    Column("disposition_id", ID, primary_key=True, comment="UUID"),
    Column("inspection_id", ID, ForeignKey("inspections.inspection_id"), nullable=False, comment="What was judged"),
    Column("inference_id", ID, ForeignKey("defect_logs.inference_id"), comment="One detection; null: the whole board"),
    Column(
        "disposition",
        String(16),
        nullable=False,
        comment="CONFIRMED, FALSE_CALL or ESCAPE, with a box: a missed defect",
    ),
    Column("reviewer", NAME, nullable=False, comment="Who judged"),
    Column("decided_at", UtcDateTime, nullable=False, comment="UTC; the latest counts"),
    Column("note", Text, comment="In the reviewer's words"),
    Column("corrected_class", NAME, comment="What the defect really is; null: as detected"),
    Column("bbox_x_center", Double, comment="Where it really is, / image width; null: as detected, or not said"),
    Column("bbox_y_center", Double, comment="/ image height"),
    Column("bbox_width", Double, comment="/ image width"),
    Column("bbox_height", Double, comment="/ image height"),
    comment="What people decided of machine calls; rows are only ever added",
)
