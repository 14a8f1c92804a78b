"""Labelled boards from the table `pcb_labeled_data` of the warehouse, whichever database that is on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Engine, select

from copperline.data import BoardDataset, ImportReport, read_yolo
from copperline.data.rows import TABLE, BoardRow, write_board_rows
from copperline.data.thinning import thinned_indices
from copperline.progress import Report, progress
from copperline.settings import Settings
from copperline.warehouse import open_warehouse, read_transaction
from copperline.warehouse.tables import pcb_labeled_data

_AT_ONCE = 50  # boards, some MB


def read_labeled_table(settings: Settings, boards: int, folder: Path) -> tuple[BoardDataset, ImportReport] | None:
    """About `boards` boards of the table, chosen as `thinned_indices` does, written to `folder` and read from there.

    Args:
        folder: in the workspace; what an earlier call wrote there is replaced.

    Returns:
        None if the table is empty.

    Raises:
        DataError: a row cannot be used, or the folder cannot be written.
        WarehouseError: the table cannot be read.
    """
    columns = pcb_labeled_data.c
    engine = open_warehouse(settings.warehouse)
    try:
        with read_transaction(engine) as connection:
            query = select(columns.filename, columns.split, columns.board_group).order_by(columns.filename)
            found = [tuple(row) for row in connection.execute(query)]
        if not found:
            return None
        kept = thinned_indices([(split, group or name) for name, split, group in found], boards)
        shutil.rmtree(folder, ignore_errors=True)
        with progress("Reading pcb_labeled_data") as report_progress:
            names = [found[index][0] for index in kept]
            write_board_rows(_rows(engine, names, report_progress), folder, settings.taxonomy)
    finally:
        engine.dispose()
    dataset, report = read_yolo(folder, settings.taxonomy)
    if len(kept) < len(found):
        note = f"{len(kept)} of {len(found)} rows of {TABLE}"
        report = report.model_copy(update={"notes": (*report.notes, note)})
    return dataset, report


def _rows(engine: Engine, names: Sequence[str], report_progress: Report) -> Iterator[BoardRow]:
    columns = pcb_labeled_data.c
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        query = (
            select(
                columns.filename,
                columns.image_bytes,
                columns.label_text,
                columns.split,
                columns.reference_bytes,
                columns.board_group,
            )
            .where(columns.filename.in_(part))
            .order_by(columns.filename)
        )
        with read_transaction(engine) as connection:
            rows = connection.execute(query).all()
        for name, image, labels, split, reference, group in rows:
            yield BoardRow(
                name, bytes(image), labels or "", split, None if reference is None else bytes(reference), group
            )
        report_progress(start + len(part), len(names))
