"""What people decide of machine calls: rows are only ever added, and the latest counts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, insert, select

from copperline.errors import NotFoundError, WarehouseError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse.engine import write_transaction
from copperline.warehouse.failures import place
from copperline.warehouse.tables import defect_logs, dispositions, inspections
from copperline.warehouse.tallies import kept

_BOX = ("bbox_x_center", "bbox_y_center", "bbox_width", "bbox_height")
# What a whole board cannot be, by its call.
_IMPOSSIBLE = {Disposition.FALSE_CALL: Call.PASS, Disposition.ESCAPE: Call.FAIL}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One decision. An ESCAPE with a box is a missed defect: one that was not detected, whatever the call was.

    Attributes:
        inference_id: the detection that is judged; None: the whole board.
        note: in the reviewer's words.
        corrected_class: what the defect really is, where the class was wrong or, with an ESCAPE, was not seen.
        box: where it really is: x_center, y_center, width, height as fractions of the image.
    """

    inspection_id: str
    disposition: Disposition
    inference_id: str | None = None
    note: str | None = None
    corrected_class: str | None = None
    box: tuple[float, float, float, float] | None = None


def record_disposition(
    engine: Engine,
    inspection_id: str,
    disposition: Disposition,
    reviewer: str,
    *,
    inference_id: str | None = None,
    note: str | None = None,
    decided_at: datetime | None = None,
) -> str:
    """Adds one decision and gives its disposition_id; see `record_dispositions`."""
    judgement = Judgement(inspection_id, disposition, inference_id, note)
    return record_dispositions(engine, [judgement], reviewer, decided_at=decided_at)[0]


def record_dispositions(
    engine: Engine, judgements: Sequence[Judgement], reviewer: str, *, decided_at: datetime | None = None
) -> tuple[str, ...]:
    """Adds what one person decided, all in one transaction; earlier dispositions stay, and the latest counts.

    Args:
        judgements: later ones count over earlier ones: give the whole board first, then single detections.
        reviewer: who decided.
        decided_at: with its time zone; None: now. Each judgement is a microsecond later than the one before it.

    Returns:
        The new disposition_ids.

    Raises:
        NotFoundError: there is no such inspection or detection.
        WarehouseError: a disposition contradicts the call (a PASS cannot
            be a false call, nor a FAIL an escape other than a missed defect with class and box; a detection cannot be
            an escape; what is no defect has neither class nor box). Nothing was written.
    """
    if not reviewer.strip():
        raise WarehouseError("expected the name of a reviewer, found none", fix="say who decided")
    moment = datetime.now(UTC) if decided_at is None else decided_at
    rows = [
        {
            "disposition_id": str(uuid.uuid4()),
            "inspection_id": judgement.inspection_id,
            "inference_id": judgement.inference_id,
            "disposition": judgement.disposition.value,
            "reviewer": reviewer,
            "decided_at": moment + timedelta(microseconds=position),
            "note": judgement.note,
            "corrected_class": judgement.corrected_class,
            **dict(zip(_BOX, judgement.box or (None,) * 4, strict=True)),
        }
        for position, judgement in enumerate(judgements)
    ]
    with write_transaction(engine) as connection:
        boards = {_judged_board(connection, place(engine.url), judgement) for judgement in judgements}
        if rows:
            with kept(connection, sorted(boards)):
                connection.execute(insert(dispositions), rows)
    return tuple(str(row["disposition_id"]) for row in rows)


def _judged_board(connection: Connection, where: str, judgement: Judgement) -> str:
    """The board of a judgement that may be recorded."""
    _check_correction(where, judgement)
    key = judgement.inspection_id
    found = connection.execute(
        select(inspections.c.board_id, inspections.c.call).where(inspections.c.inspection_id == key)
    ).one_or_none()
    if found is None:
        raise NotFoundError(f"expected a known inspection, found no {key!r}", where=where, fix="give its inspection_id")
    board_id, call = found
    if judgement.inference_id is not None:
        _check_detection(connection, where, judgement, judgement.inference_id)
    elif call == _IMPOSSIBLE.get(judgement.disposition) and not _is_missed_defect(judgement):
        raise WarehouseError(
            f"expected a disposition that fits the call {call}, found {judgement.disposition.value}"
            + (f" without {_what_is_missing(judgement)}" if call == Call.FAIL else ""),
            where=where,
            fix="a FAIL can be a FALSE_CALL, a PASS can be an ESCAPE; a defect that was missed on a board that failed "
            "is an ESCAPE with its class and box",
        )
    return str(board_id)


def _is_missed_defect(judgement: Judgement) -> bool:
    """So that it can be told from the detections for which the board failed."""
    return judgement.disposition is Disposition.ESCAPE and not _what_is_missing(judgement)


def _what_is_missing(judgement: Judgement) -> str:
    missing = {"class": judgement.corrected_class, "box": judgement.box}
    return " and ".join(name for name, value in missing.items() if value is None)


def _check_correction(where: str, judgement: Judgement) -> None:
    if judgement.corrected_class is None and judgement.box is None:
        return
    of_one_defect = judgement.inference_id is not None or judgement.disposition is Disposition.ESCAPE
    if judgement.disposition is Disposition.FALSE_CALL or not of_one_defect:
        raise WarehouseError(
            f"expected a class or box with a confirmed detection or an escape, found them with "
            f"{judgement.disposition.value} of {'a detection' if judgement.inference_id else 'a whole board'}",
            where=where,
            fix="leave them out, or name the detection that they are of",
        )
    if judgement.box is not None:
        x, y, width, height = judgement.box
        # As `not (... <= ...)`, so that what is no number is refused too.
        if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1):
            raise WarehouseError(
                f"expected a box as x_center, y_center, width, height in fractions of the image, found {judgement.box}",
                where=where,
                fix="divide by the image's width and height",
            )


def _check_detection(connection: Connection, where: str, judgement: Judgement, inference_id: str) -> None:
    owner = connection.execute(
        select(defect_logs.c.inspection_id).where(defect_logs.c.inference_id == inference_id)
    ).scalar_one_or_none()
    if owner != judgement.inspection_id:
        raise NotFoundError(
            f"expected a detection of inspection {judgement.inspection_id}, found no {inference_id!r} in it",
            where=where,
            fix="give its inference_id, or none for the whole board",
        )
    if judgement.disposition is Disposition.ESCAPE:
        raise WarehouseError(
            "expected CONFIRMED or FALSE_CALL for a detection, found ESCAPE",
            where=where,
            fix="an escape is a defect that was not detected: give it without an inference_id",
        )
