"""The warehouse: tables, writers, named queries and one-statement SQL, on SQLite, PostgreSQL or Snowflake.

An inspection and its detections are written in one transaction, once, the good boards too; what people decide of
calls is only ever added. All times are UTC.
"""

from copperline.warehouse.engine import open_warehouse, read_transaction, write_transaction
from copperline.warehouse.failures import place
from copperline.warehouse.labels import label_text, normalised_boxes, parse_label_text, pixel_boxes
from copperline.warehouse.model_pairs import BoardCalls, ModelPairs, boards_of_two_models
from copperline.warehouse.queries import (
    DetectionRow,
    InspectionRow,
    LineSummary,
    ModelUse,
    ParetoRow,
    Summary,
    defect_pareto,
    inspection_detections,
    recent_inspections,
    summary,
)
from copperline.warehouse.records import (
    BoardRecord,
    InspectionRecord,
    LabeledBoard,
    inference_id_for,
    inspection_id_for,
)
from copperline.warehouse.simulated import simulate_metadata
from copperline.warehouse.sql import Predict, Result, format_value, json_value, run_sql
from copperline.warehouse.tables import SCHEMA_VERSION
from copperline.warehouse.writer import (
    record_disposition,
    write_boards,
    write_inspection,
    write_inspections,
    write_labeled_boards,
)

__all__ = [
    "SCHEMA_VERSION",
    "BoardCalls",
    "BoardRecord",
    "DetectionRow",
    "InspectionRecord",
    "InspectionRow",
    "LabeledBoard",
    "LineSummary",
    "ModelPairs",
    "ModelUse",
    "ParetoRow",
    "Predict",
    "Result",
    "Summary",
    "boards_of_two_models",
    "defect_pareto",
    "format_value",
    "inference_id_for",
    "inspection_detections",
    "inspection_id_for",
    "json_value",
    "label_text",
    "normalised_boxes",
    "open_warehouse",
    "parse_label_text",
    "pixel_boxes",
    "place",
    "read_transaction",
    "recent_inspections",
    "record_disposition",
    "run_sql",
    "simulate_metadata",
    "summary",
    "write_boards",
    "write_inspection",
    "write_inspections",
    "write_labeled_boards",
    "write_transaction",
]
