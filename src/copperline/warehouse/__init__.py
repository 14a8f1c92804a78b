"""The warehouse: tables, writers, named queries and one-statement SQL, on SQLite, PostgreSQL or Snowflake.

An inspection and its detections are written in one transaction, once, the good boards too; what people decide of
calls is only ever added. All times are UTC.
"""

from copperline.labeled_board import LabeledBoard
from copperline.warehouse.board_filter import HOUR, BoardFilter, ModelVersionKey, full_hour
from copperline.warehouse.boards import (
    BoardRow,
    BoardTrace,
    DetectionRow,
    DispositionRow,
    InspectionTrace,
    boards_query,
    detections_of,
    find_inspection,
    inspection_detections,
    list_boards,
    trace_board,
)
from copperline.warehouse.copying import Copied, copy_warehouse
from copperline.warehouse.engine import open_warehouse, open_warehouse_of, read_transaction, write_transaction
from copperline.warehouse.failures import place
from copperline.warehouse.golden_references import (
    NewReference,
    ReferenceRecord,
    add_reference,
    current_reference,
    get_reference,
    list_references,
    retire_reference,
)
from copperline.warehouse.inspected_files import InspectedFiles, inspected_files
from copperline.warehouse.inspection_list import (
    InspectionFilter,
    InspectionPage,
    PageEnd,
    list_inspections,
    read_inspections,
)
from copperline.warehouse.labeled_boards import list_labeled_boards, read_labeled_boards
from copperline.warehouse.labels import label_text, normalised_boxes, parse_label_text, pixel_boxes
from copperline.warehouse.line_results import (
    BoardTold,
    Event,
    LineResult,
    RequestKey,
    Written,
    add_event,
    answered_request,
    write_line_results,
)
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
from copperline.warehouse.stations import (
    CLOCK_TOLERANCE,
    StationRow,
    last_hour_query,
    list_stations,
    newest_inspection,
)
from copperline.warehouse.tallies import differences, rebuild_derived
from copperline.warehouse.writer import (
    write_boards,
    write_inspection,
    write_inspections,
    write_labeled_boards,
)

__all__ = [
    "CLOCK_TOLERANCE",
    "HOUR",
    "SCHEMA_VERSION",
    "BoardCalls",
    "BoardCounts",
    "BoardFilter",
    "BoardRecord",
    "BoardRow",
    "BoardTold",
    "BoardTrace",
    "Copied",
    "DefectCounts",
    "DetectionRow",
    "DispositionRow",
    "Event",
    "Extent",
    "InspectedFiles",
    "InspectionFilter",
    "InspectionPage",
    "InspectionRecord",
    "InspectionTrace",
    "Judgement",
    "LabeledBoard",
    "LineResult",
    "ModelPairs",
    "ModelVersionKey",
    "NewReference",
    "PageEnd",
    "Predict",
    "Queue",
    "ReferenceRecord",
    "RequestKey",
    "Result",
    "ReviewProgress",
    "StationRow",
    "Written",
    "add_event",
    "add_reference",
    "answered_request",
    "boards_by",
    "boards_of_two_models",
    "boards_query",
    "clock_ahead",
    "copy_warehouse",
    "count_boards",
    "count_defects",
    "count_values",
    "current_reference",
    "defects_by",
    "detections_of",
    "differences",
    "extent",
    "find_inspection",
    "format_value",
    "full_hour",
    "get_reference",
    "histograms_by",
    "hours_span",
    "inference_id_for",
    "inspected_files",
    "inspection_detections",
    "inspection_id_for",
    "json_value",
    "judgements_query",
    "label_text",
    "last_hour_query",
    "lines_counts",
    "list_boards",
    "list_inspections",
    "list_labeled_boards",
    "list_references",
    "list_stations",
    "newest_inspection",
    "next_for_review",
    "normalised_boxes",
    "open_warehouse",
    "open_warehouse_of",
    "parse_label_text",
    "pixel_boxes",
    "place",
    "plant_counts",
    "queue_query",
    "read_inspections",
    "read_labeled_boards",
    "read_transaction",
    "rebuild_derived",
    "record_disposition",
    "record_dispositions",
    "retire_reference",
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
    "write_line_results",
    "write_transaction",
]
