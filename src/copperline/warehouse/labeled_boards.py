"""Reading labelled boards back: which there are, and their rows, images included, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, Select, select, true

from copperline.labeled_board import COLUMNS, LabeledBoard, row_of
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.tables import pcb_labeled_data

_IMAGES_AT_ONCE = 50


def list_labeled_boards(engine: Engine) -> list[tuple[str, str, str | None]]:
    """File name, split and group (None: a group of its own) of all labelled boards, in the order of the file names.

    No image is read.

    Raises:
        WarehouseError: the table cannot be read.
    """
    table = pcb_labeled_data.c
    query = select(table.filename, table.split, table.board_group).order_by(table.filename)
    with read_transaction(engine) as connection:
        return [(filename, split, group) for filename, split, group in connection.execute(query)]


def read_labeled_boards(
    engine: Engine, splits: Sequence[str] = (), *, filenames: Sequence[str] | None = None
) -> Iterator[LabeledBoard]:
    """Labelled boards in the order of their file names; the images of 50 are in memory at once.

    Args:
        splits: only of these; none: of all.
        filenames: only these, in this order; those that the table has not are passed over. None: all.

    Raises:
        DataError: a row has no image, or a value of another type.
        WarehouseError: the table cannot be read.
    """
    table = pcb_labeled_data.c
    query = select(*(table[name] for name in COLUMNS)).where(table.split.in_(list(splits)) if splits else true())
    if filenames is None:
        ordered = query.order_by(table.filename).limit(_IMAGES_AT_ONCE)
        page = _page(engine, ordered)
        while page:
            yield from page
            page = _page(engine, ordered.where(table.filename > page[-1].filename))
    else:
        for start in range(0, len(filenames), _IMAGES_AT_ONCE):
            part = list(filenames[start : start + _IMAGES_AT_ONCE])
            found = {board.filename: board for board in _page(engine, query.where(table.filename.in_(part)))}
            yield from (found[filename] for filename in part if filename in found)


def _page(engine: Engine, query: Select[Any]) -> list[LabeledBoard]:
    with read_transaction(engine) as connection:
        return [row_of(row) for row in connection.execute(query)]
