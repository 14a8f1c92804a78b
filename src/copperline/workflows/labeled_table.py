"""The table `pcb_labeled_data` as a data set on disk, whichever database it is on, to train where there are no files.

`copperline data import` fills the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from copperline.data import BoardDataset, ImportReport
from copperline.data.rows import dataset_of_rows
from copperline.data.thinning import thinned_indices
from copperline.labeled_board import TABLE, LabeledBoard
from copperline.progress import Report, progress
from copperline.settings import Settings
from copperline.warehouse import list_labeled_boards, open_warehouse, place, read_labeled_boards


def read_labeled_table(
    settings: Settings, folder: Path, boards: int | None = None
) -> tuple[BoardDataset, ImportReport] | None:
    """The boards of the table, written to `folder` in YOLO's layout and read from there.

    Args:
        folder: new or empty, or what an earlier call wrote, which is replaced.
        boards: about so many, chosen as `thinned_indices` does; None: all.

    Returns:
        None if the table is empty. Boards whose image or labels are wrong are left out and named in the report.

    Raises:
        DataError: a row is no board (its file name, its split, no image), not one board can be used, or the folder
            cannot be written or holds something else.
        SettingsError: fewer than one board is asked for.
        WarehouseError: the table cannot be read.
    """
    engine = open_warehouse(settings.warehouse)
    try:
        there = list_labeled_boards(engine)
        if not there:
            return None
        groups = [(split, group or filename) for filename, split, group in there]
        names = [there[index][0] for index in thinned_indices(groups, len(there) if boards is None else boards)]
        with progress(f"Reading {TABLE}") as report_progress:
            rows = _told(read_labeled_boards(engine, filenames=names), len(names), report_progress)
            dataset, report = dataset_of_rows(rows, folder, settings.taxonomy, overwrite=True)
    finally:
        engine.dispose()
    notes = report.notes
    if len(names) < len(there):
        notes = (*notes, f"{len(names)} of {len(there)} rows of {TABLE}")
    source = place(engine.url)
    return replace(dataset, name=TABLE, source=source), report.model_copy(update={"source": source, "notes": notes})


def _told(boards: Iterable[LabeledBoard], total: int, report_progress: Report) -> Iterator[LabeledBoard]:
    for done, board in enumerate(boards, 1):
        yield board
        report_progress(done, total)
