"""Writing: each function leaves all of what it was given in the tables, once, or none of it.

Snowflake does not enforce keys, so every writer looks first and adds what is missing, in one transaction that holds a
write lock. On SQLite and PostgreSQL, where another program broke in, the key catches it and the writer looks again.
The derived tables are kept in the same transaction (tallies.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Engine, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from copperline.errors import WarehouseError
from copperline.labeled_board import LabeledBoard
from copperline.taxonomy import DEEPPCB, Call, Taxonomy
from copperline.warehouse.engine import write_transaction
from copperline.warehouse.labels import normalised_boxes
from copperline.warehouse.records import BoardRecord, InspectionRecord, inference_id_for
from copperline.warehouse.snowflake_load import load_transaction
from copperline.warehouse.snowflake_rows import insert_rows, merge_rows
from copperline.warehouse.tables import defect_logs, inspections, pcb_labeled_data, pcb_metadata
from copperline.warehouse.tallies import kept

Record = TypeVar("Record")
Answer = TypeVar("Answer")
Row = dict[str, Any]

# Well below the number of parameters that any of the databases takes in one statement.
_KEYS_PER_QUERY = 500
# From so many inspections in one transaction on, Snowflake gets them as a file instead of as text of statements.
_LOADED_FROM = 500
# Bytes: a value of type BINARY has 8 MiB at most, and the text that it arrives as 16 MiB with what stands before it.
_LARGEST_IMAGE = 8 * 1024 * 1024 - 1


def write_inspection(engine: Engine, record: InspectionRecord, taxonomy: Taxonomy = DEEPPCB) -> bool:
    """Writes one inspection and its detections in one transaction; a good board too.

    Returns:
        True; or False if the inspection is there already, which is then left as it is.

    Raises:
        WarehouseError: a class id is not in `taxonomy`, or the database refused; nothing was written.
    """
    return write_inspections(engine, [record], taxonomy) == 1


def write_inspections(
    engine: Engine,
    records: Iterable[InspectionRecord],
    taxonomy: Taxonomy = DEEPPCB,
    *,
    boards_per_transaction: int = 1,
) -> int:
    """Writes inspections as they come, and returns how many are new.

    Args:
        records: may be a generator; it is read as far as it has been written.
        boards_per_transaction: more than 1 is quicker on a distant database; a failure then undoes the whole batch,
            while the batches before it stay.

    Raises:
        WarehouseError: as `write_inspection`.
    """
    new = 0
    for batch in _batches(records, boards_per_transaction):
        if engine.dialect.name == "snowflake" and len(batch) >= _LOADED_FROM:
            new += _load_inspections(engine, batch, taxonomy)
        else:
            new += write_looking_again(engine, partial(_add_inspections, records=batch, taxonomy=taxonomy))
    return new


def write_boards(engine: Engine, boards: Iterable[BoardRecord]) -> int:
    """Adds or corrects board metadata, and returns how many rows were added or changed.

    A row that is there is corrected, but keeps its `created_at`; simulated metadata never replaces real.
    """
    return sum(
        write_looking_again(engine, partial(_merge_boards, boards=batch)) for batch in _batches(boards, _KEYS_PER_QUERY)
    )


def write_labeled_boards(engine: Engine, boards: Iterable[LabeledBoard]) -> int:
    """Adds or replaces labelled boards by file name, and returns how many. The images of 50 are in memory at once.

    Raises:
        WarehouseError: the database refused, or, on Snowflake, an image has more than 8 MB; its batch was not written.
    """
    if engine.dialect.name == "snowflake":
        return sum(_load_labeled(engine, batch) for batch in _batches(boards, 50))
    return sum(write_looking_again(engine, partial(_replace_labeled, boards=batch)) for batch in _batches(boards, 50))


def write_looking_again(engine: Engine, write: Callable[[Connection], Answer]) -> Answer:
    """Runs `write` in a transaction; once more if another process has added the same key in between."""
    try:
        with write_transaction(engine) as connection:
            return write(connection)
    except WarehouseError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
    with write_transaction(engine) as connection:
        return write(connection)


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    if size < 1:
        raise ValueError(f"expected at least 1 record in a transaction, found {size}")
    rest = iter(records)
    while batch := list(islice(rest, size)):
        yield batch


def _add_inspections(connection: Connection, records: Sequence[InspectionRecord], taxonomy: Taxonomy) -> int:
    # The first of equal ids in the batch counts, as the first in the table does.
    wanted = {record.inspection_id: record for record in reversed(records)}
    there = present(connection, inspections.c.inspection_id, list(wanted))
    new = [record for key, record in wanted.items() if key not in there]
    if new:
        with kept(connection, sorted({record.board_id for record in new})):
            insert_inspections(connection, new, taxonomy)
    return len(new)


def _load_inspections(engine: Engine, records: Sequence[InspectionRecord], taxonomy: Taxonomy) -> int:
    """As `_add_inspections`, for many: on Snowflake, by a file."""
    wanted = list({record.inspection_id: record for record in reversed(records)}.values())
    defects = [row for record in wanted for row in _defect_rows(record, taxonomy)]
    loads: list[tuple[Table, list[Row]]] = [(inspections, [_inspection_row(record) for record in wanted])]
    if defects:
        loads.append((defect_logs, defects))
    boards = sorted({record.board_id for record in wanted})
    with load_transaction(engine, loads) as (connection, (inspected, *found)), kept(connection, boards):
        for detections in found:  # first: those of inspections that are there already stay as they are
            detections.insert_missing(connection, unless_in=inspections.c.inspection_id)
        return inspected.insert_missing(connection, unless_in=inspections.c.inspection_id)


def insert_inspections(connection: Connection, new: Sequence[InspectionRecord], taxonomy: Taxonomy) -> None:
    """Adds inspections that are not there, with their detections; the caller keeps the counts (`kept`)."""
    defects = [row for record in new for row in _defect_rows(record, taxonomy)]
    insert_rows(connection, inspections, [_inspection_row(record) for record in new])
    insert_rows(connection, defect_logs, defects)


def _inspection_row(record: InspectionRecord) -> Row:
    row = {column.name: getattr(record, column.name) for column in inspections.columns if column.name != "defect_count"}
    return row | {"call": Call(record.call).value, "defect_count": len(record.detections)}


def _defect_rows(record: InspectionRecord, taxonomy: Taxonomy) -> list[Row]:
    detections = record.detections
    unknown = [int(i) for i in detections.class_ids if not 0 <= i < len(taxonomy)]
    if unknown:
        raise WarehouseError(
            f"expected class ids 0-{len(taxonomy) - 1}, found {unknown[0]}",
            where=record.image_path,
            fix="use the taxonomy of the model that inspected",
        )
    boxes = normalised_boxes(detections, record.width, record.height)
    return [
        {
            "inference_id": inference_id_for(record.inspection_id, position),
            "board_id": record.board_id,
            "inference_timestamp": record.inspected_at,
            "detected_class": taxonomy[int(class_id)].name,
            "confidence_score": float(confidence),
            "bbox_x_center": float(box[0]),
            "bbox_y_center": float(box[1]),
            "bbox_width": float(box[2]),
            "bbox_height": float(box[3]),
            "image_path": record.image_path,
            "model_version": record.model_version,
            "inspection_id": record.inspection_id,
        }
        for position, (class_id, confidence, box) in enumerate(
            zip(detections.class_ids, detections.confidences, boxes, strict=True)
        )
    ]


def _merge_boards(connection: Connection, boards: Sequence[BoardRecord]) -> int:
    rows: dict[str, Row] = {}
    for board in boards:  # the last of equal ids counts, here too no simulated one over a real one
        if board.source == "real" or rows.get(board.board_id, {}).get("source") != "real":
            rows[board.board_id] = asdict(board)
    sources = present(connection, pcb_metadata.c.board_id, list(rows), value=pcb_metadata.c.source)
    added = [row for key, row in rows.items() if key not in sources]
    unchanged = ("board_id", "created_at")
    changed = [
        {"key": key} | {name: value for name, value in row.items() if name not in unchanged}
        for key, row in rows.items()
        if key in sources and (row["source"] == "real" or sources[key] == "simulated")
    ]
    with kept(connection, sorted([row["board_id"] for row in added] + [row["key"] for row in changed])):
        insert_rows(connection, pcb_metadata, added)
        if changed and connection.dialect.name == "snowflake":
            merge_rows(connection, pcb_metadata, [_with_board_id(row) for row in changed], found="replace")
        elif changed:
            values: dict[str, Any] = {name: bindparam(name) for name in changed[0] if name != "key"}
            connection.execute(
                update(pcb_metadata).where(pcb_metadata.c.board_id == bindparam("key")).values(values), changed
            )
    return len(added) + len(changed)


def _with_board_id(row: Row) -> Row:
    """A changed row, with its key where the table has it."""
    return {"board_id" if name == "key" else name: value for name, value in row.items()}


def _replace_labeled(connection: Connection, boards: Sequence[LabeledBoard]) -> int:
    rows = {board.filename: asdict(board) for board in boards}  # the last of equal names counts
    connection.execute(delete(pcb_labeled_data).where(pcb_labeled_data.c.filename.in_(rows)))
    connection.execute(insert(pcb_labeled_data), list(rows.values()))
    return len(rows)


def _load_labeled(engine: Engine, boards: Sequence[LabeledBoard]) -> int:
    rows = {board.filename: asdict(board) for board in boards}
    for board in rows.values():
        for name in ("image_bytes", "reference_bytes"):
            if len(board[name] or b"") > _LARGEST_IMAGE:
                raise WarehouseError(
                    f"expected images of {_LARGEST_IMAGE:,} bytes at most, which Snowflake takes, found "
                    f"{len(board[name]):,}",
                    where=board["filename"],
                    fix="store it as PNG or JPEG, or keep the images on a stage",
                )
    with load_transaction(engine, [(pcb_labeled_data, list(rows.values()))]) as (connection, (staged,)):
        staged.merge(connection)
    return len(rows)


def present(
    connection: Connection, key: Column[str], wanted: Sequence[str], value: Column[Any] | None = None
) -> Mapping[str, Any]:
    """Those of `wanted` that are in the key's table, each with its `value` (or itself)."""
    found: dict[str, Any] = {}
    for start in range(0, len(wanted), _KEYS_PER_QUERY):
        part = wanted[start : start + _KEYS_PER_QUERY]
        query = select(key, key if value is None else value).where(key.in_(part))
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found
