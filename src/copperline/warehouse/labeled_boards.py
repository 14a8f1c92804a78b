"""Reading labelled boards back, images included, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, Select, select, true

from copperline.warehouse.engine import read_transaction
from copperline.warehouse.records import LabeledBoard
from copperline.warehouse.tables import pcb_labeled_data

_IMAGES_AT_ONCE = 50


def read_labeled_boards(engine: Engine, splits: Sequence[str] = ()) -> Iterator[LabeledBoard]:
    """All labelled boards in the order of their file names; the images of 50 are in memory at once.

    Args:
        splits: only of these; none: of all.

    Raises:
        WarehouseError: the table cannot be read.
    """
    table = pcb_labeled_data.c
    query = (
        select(pcb_labeled_data)
        .where(table.split.in_(list(splits)) if splits else true())
        .order_by(table.filename)
        .limit(_IMAGES_AT_ONCE)
    )
    page = _page(engine, query)
    while page:
        yield from page
        page = _page(engine, query.where(table.filename > page[-1].filename))


def _page(engine: Engine, query: Select[Any]) -> list[LabeledBoard]:
    with read_transaction(engine) as connection:
        return [LabeledBoard(**row) for row in connection.execute(query).mappings()]
