"""Which image files were inspected with a model, and when: what a batch that is started again need not do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Engine, func, select

from copperline.warehouse.engine import read_transaction
from copperline.warehouse.tables import inspections

# Well below the number of parameters that any of the databases takes in one statement.
_BOARDS_AT_ONCE = 500

InspectedFiles = dict[tuple[str, str | None], datetime]
"""(image_path, reference_path) -> when the two were last inspected, UTC."""


def inspected_files(
    engine: Engine, board_ids: Iterable[str], *, model_name: str, model_version: str, operating_point: str
) -> InspectedFiles:
    """The files of these boards' inspections with one model at one operating point, as they were, without a recipe.

    Raises:
        WarehouseError: the database cannot be read.
    """
    found: InspectedFiles = {}
    files = (inspections.c.image_path, inspections.c.reference_path)
    query = (
        select(*files, func.max(inspections.c.inspected_at, type_=inspections.c.inspected_at.type))
        .where(
            inspections.c.model_name == model_name,
            inspections.c.model_version == model_version,
            inspections.c.operating_point == operating_point,
            inspections.c.conditioning.is_(None),
        )
        .group_by(*files)
    )
    wanted = sorted(set(board_ids))
    with read_transaction(engine) as connection:
        for start in range(0, len(wanted), _BOARDS_AT_ONCE):
            part = wanted[start : start + _BOARDS_AT_ONCE]
            for image, reference, inspected_at in connection.execute(query.where(inspections.c.board_id.in_(part))):
                found[image, reference] = max(inspected_at, found.get((image, reference), inspected_at))
    return found
