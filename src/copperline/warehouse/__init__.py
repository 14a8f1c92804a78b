"""The warehouse: tables, writers, named queries and one-statement SQL, on SQLite, PostgreSQL or Snowflake.

An inspection and its detections are written in one transaction, once, the good boards too; what people decide of
calls is only ever added. All times are UTC.
"""

from copperline.warehouse.board_filter import HOUR, BoardFilter, ModelVersionKey, full_hour
from copperline.warehouse.boards import (
    BoardRow,
    BoardTrace,
    DetectionRow,
    DispositionRow,
    InspectionTrace,
    boards_query,
    detections_of,
    inspection_detections,
    list_boards,
    trace_board,
)
from copperline.warehouse.engine import open_warehouse, read_transaction, write_transaction
from copperline.warehouse.failures import place
from copperline.warehouse.labels import label_text, normalised_boxes, parse_label_text, pixel_boxes
from copperline.warehouse.model_pairs import BoardCalls, ModelPairs, boards_of_two_models
from copperline.warehouse.plant import (
    BoardCounts,
    DefectCounts,
    Extent,
    boards_by,
    count_boards,
    count_defects,
    count_values,
    defects_by,
    extent,
    histograms_by,
    hours_span,
    lines_counts,
    plant_counts,
    statement_text,
)
from copperline.warehouse.records import (
    BoardRecord,
    InspectionRecord,
    LabeledBoard,
    inference_id_for,
    inspection_id_for,
)
from copperline.warehouse.review_queue import (
    Queue,
    ReviewProgress,
    clock_ahead,
    judgements_query,
    next_for_review,
    queue_query,
    review_progress,
    shared_judgements,
)
from copperline.warehouse.reviews import Judgement, record_disposition, record_dispositions
from copperline.warehouse.schema import SCHEMA_VERSION
from copperline.warehouse.simulated import simulate_metadata, simulated_time
from copperline.warehouse.sql import Predict, Result, format_value, json_value, run_sql
from copperline.warehouse.tallies import differences, rebuild_derived
from copperline.warehouse.writer import (
    write_boards,
    write_inspection,
    write_inspections,
    write_labeled_boards,
)

__all__ = [
    "HOUR",
    "SCHEMA_VERSION",
    "BoardCalls",
    "BoardCounts",
    "BoardFilter",
    "BoardRecord",
    "BoardRow",
    "BoardTrace",
    "DefectCounts",
    "DetectionRow",
    "DispositionRow",
    "Extent",
    "InspectionRecord",
    "InspectionTrace",
    "Judgement",
    "LabeledBoard",
    "ModelPairs",
    "ModelVersionKey",
    "Predict",
    "Queue",
    "Result",
    "ReviewProgress",
    "boards_by",
    "boards_of_two_models",
    "boards_query",
    "clock_ahead",
    "count_boards",
    "count_defects",
    "count_values",
    "defects_by",
    "detections_of",
    "differences",
    "extent",
    "format_value",
    "full_hour",
    "histograms_by",
    "hours_span",
    "inference_id_for",
    "inspection_detections",
    "inspection_id_for",
    "json_value",
    "judgements_query",
    "label_text",
    "lines_counts",
    "list_boards",
    "next_for_review",
    "normalised_boxes",
    "open_warehouse",
    "parse_label_text",
    "pixel_boxes",
    "place",
    "plant_counts",
    "queue_query",
    "read_transaction",
    "rebuild_derived",
    "record_disposition",
    "record_dispositions",
    "review_progress",
    "run_sql",
    "shared_judgements",
    "simulate_metadata",
    "simulated_time",
    "statement_text",
    "trace_board",
    "write_boards",
    "write_inspection",
    "write_inspections",
    "write_labeled_boards",
    "write_transaction",
]
