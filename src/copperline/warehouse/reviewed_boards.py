"""What people decided of inspected images, place by place, for training to learn from.

The latest disposition of a detection counts, of itself or of its whole board, as in all figures (`verdicts.py`).
Several inspections of one image, by several models, are one image here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Engine, RowMapping, Select, select, true

from copperline.data.reviewed import Finding
from copperline.detections import SAME_PLACE_IOU, box_iou
from copperline.taxonomy import Call, Disposition
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.labels import pixel_boxes
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_metadata

_BOX = ("bbox_x_center", "bbox_y_center", "bbox_width", "bbox_height")
_FINDINGS = {
    Disposition.CONFIRMED.value: Finding.DEFECT,
    Disposition.FALSE_CALL.value: Finding.FALSE_CALL,
}


@dataclass(frozen=True, slots=True)
class ReviewedPlace:
    """A detection, or a defect that a person found.

    Attributes:
        box: x_center, y_center, width, height as fractions of the image: as corrected, or as detected.
        finding: what is known of it.
        defect_class: as corrected, or as detected; None: a person told where a defect is, but not which.
        decided_at: UTC; None: unjudged.
    """

    box: tuple[float, float, float, float]
    finding: Finding
    defect_class: str | None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReviewedImage:
    """An inspected image pair of which a person judged something.

    Attributes:
        board_id, product_type, simulated: of the board; the empty text is an unknown product.
        conditioning: JSON text of the recipe that both images went through; None: none.
        withheld: the model was not shown it, since the reference is not that board's.
        looked_at: a person judged the board as a whole: it is good, or it was passed and here is what was missed on it.
            Who tells a defect that was missed on a board that failed does not say that there is no other.
        unlocated_escape: a defect was missed on it, and nobody has said where.
        disagreed: one person found it good as a whole, and another a defect on it.
        places: in a stable order.
    """

    board_id: str
    product_type: str
    simulated: bool
    image_path: str
    image_sha256: str
    reference_path: str | None
    reference_sha256: str | None
    conditioning: str | None
    withheld: bool
    looked_at: bool
    unlocated_escape: bool
    disagreed: bool
    places: tuple[ReviewedPlace, ...]


@dataclass(frozen=True, slots=True)
class _Judged:
    """One inspection of an image: its detections, and what was missed on it."""

    row: RowMapping
    places: tuple[ReviewedPlace, ...]
    missed: tuple[ReviewedPlace, ...]
    looked_at: bool
    good: bool
    unlocated: bool
    latest: datetime | None


def reviewed_images(
    engine: Engine,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    lines: Sequence[str] = (),
    products: Sequence[str] = (),
) -> tuple[ReviewedImage, ...]:
    """The images with a decision, by board.

    Args:
        since: leave out images whose latest decision is older, with its time zone.
        until: decisions from then on do not count, as if they had not been made yet.
        lines, products: of the boards; none: all. The empty text stands for unknown.

    Raises:
        WarehouseError: the database cannot be read.
    """
    reviewed = select(inspections.c.board_id).join(
        dispositions, dispositions.c.inspection_id == inspections.c.inspection_id
    )
    chosen = inspections.c.board_id.in_(reviewed.where(_before(until)))
    wanted = (
        select(
            inspections,
            pcb_metadata.c.factory_line_id,
            pcb_metadata.c.product_type,
            pcb_metadata.c.source,
        )
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == inspections.c.board_id)
        .where(chosen)
        .order_by(inspections.c.board_id, inspections.c.inspected_at, inspections.c.inspection_id)
    )
    these = select(inspections.c.inspection_id).where(chosen)
    called: Select[Any] = (
        select(defect_logs).where(defect_logs.c.inspection_id.in_(these)).order_by(defect_logs.c.inference_id)
    )
    decided: Select[Any] = (
        select(dispositions)
        .where(dispositions.c.inspection_id.in_(these), _before(until))
        .order_by(dispositions.c.decided_at, dispositions.c.disposition_id)
    )
    with read_transaction(engine) as connection:
        rows = connection.execute(wanted).mappings().all()
        detections = _by_inspection(connection.execute(called).mappings().all())
        said = _by_inspection(connection.execute(decided).mappings().all())
    images: dict[tuple[Any, ...], list[_Judged]] = defaultdict(list)
    for row in rows:
        if (lines and (row["factory_line_id"] or "") not in lines) or (
            products and (row["product_type"] or "") not in products
        ):
            continue
        key = (row["board_id"], row["image_sha256"], row["reference_sha256"] or "", row["conditioning"] or "")
        images[key].append(_judged(row, detections[row["inspection_id"]], said[row["inspection_id"]]))
    found = []
    for _, of_image in sorted(images.items()):
        latest = max((j.latest for j in of_image if j.latest is not None), default=None)
        if latest is not None and (since is None or latest >= since):
            found.append(_image(of_image))
    return tuple(found)


def _before(until: datetime | None) -> ColumnElement[bool]:
    return true() if until is None else dispositions.c.decided_at < until


def _by_inspection(rows: Sequence[RowMapping]) -> dict[str, list[RowMapping]]:
    found: dict[str, list[RowMapping]] = defaultdict(list)
    for row in rows:
        found[row["inspection_id"]].append(row)
    return found


def _judged(row: RowMapping, called: Sequence[RowMapping], said: Sequence[RowMapping]) -> _Judged:
    """What was decided of one inspection; `said` in the order of time."""
    passed = row["call"] == Call.PASS.value
    of_board = [d for d in said if d["inference_id"] is None]
    places = [_place(detection, said, passed=passed) for detection in called]
    escapes = _standing_escapes(of_board, passed=passed)
    located = [d for d in escapes if _is_missed_defect(d)]
    missed = [
        ReviewedPlace(
            _box(d),
            Finding.UNJUDGED if d["corrected_class"] is None else Finding.DEFECT,
            d["corrected_class"],
            d["decided_at"],
        )
        for d in located
    ]
    good = passed and bool(of_board) and of_board[-1]["disposition"] == Disposition.CONFIRMED.value
    # As in `verdicts.py`: a board of which every detection is a false call is good.
    all_false = bool(called) and not passed and all(place.finding is Finding.FALSE_CALL for place in places)
    good = good or (all_false and not missed)
    return _Judged(
        row=row,
        places=tuple(places),
        missed=tuple(missed),
        looked_at=good or (passed and bool(located)),
        good=good,
        unlocated=bool(escapes) and not located,
        latest=said[-1]["decided_at"] if said else None,
    )


def _place(detection: RowMapping, said: Sequence[RowMapping], *, passed: bool) -> ReviewedPlace:
    """The latest of what was said of the detection or of its board. That a board was rightly passed, or not, says
    nothing of a detection on it that did not fail it."""
    own = detection["inference_id"]
    about = [
        d
        for d in said
        if d["inference_id"] == own or (d["inference_id"] is None and not passed and not _is_missed_defect(d))
    ]
    finding = _FINDINGS.get(about[-1]["disposition"], Finding.UNJUDGED) if about else Finding.UNJUDGED
    if finding is Finding.UNJUDGED:
        return ReviewedPlace(_box(detection), finding, detection["detected_class"])
    latest = about[-1]
    corrected = finding is Finding.DEFECT and latest[_BOX[0]] is not None
    named = latest["corrected_class"] if finding is Finding.DEFECT else None
    box = _box(latest) if corrected else _box(detection)
    return ReviewedPlace(box, finding, named or detection["detected_class"], latest["decided_at"])


def _is_missed_defect(row: RowMapping) -> bool:
    """As in `verdicts.py`."""
    of_board = row["inference_id"] is None and row["disposition"] == Disposition.ESCAPE.value
    return of_board and row[_BOX[0]] is not None


def _standing_escapes(of_board: Sequence[RowMapping], *, passed: bool) -> list[RowMapping]:
    """Several defects that were missed are several rows; what was said before the board was last found to be something
    else does not stand. That the detections of a board that was not passed are defects is nothing else."""
    standing: list[RowMapping] = []
    for row in of_board:
        if row["disposition"] == Disposition.ESCAPE.value:
            standing.append(row)
        elif passed or row["disposition"] == Disposition.FALSE_CALL.value:
            standing = []
        else:
            standing = [escape for escape in standing if _is_missed_defect(escape)]
    return standing


def _image(of_image: Sequence[_Judged]) -> ReviewedImage:
    first = of_image[0].row
    places = _one_for_each_place(of_image)
    defects = any(place.finding is Finding.DEFECT for place in places)
    escaped = any(judged.unlocated for judged in of_image)
    return ReviewedImage(
        board_id=first["board_id"],
        product_type=first["product_type"] or "",
        simulated=first["source"] == "simulated",
        image_path=first["image_path"],
        image_sha256=first["image_sha256"],
        reference_path=first["reference_path"],
        reference_sha256=first["reference_sha256"],
        conditioning=first["conditioning"],
        withheld=all(judged.row["call"] == Call.WITHHELD.value for judged in of_image),
        looked_at=any(judged.looked_at for judged in of_image),
        unlocated_escape=escaped and not defects,
        disagreed=any(judged.good for judged in of_image) and (defects or escaped),
        places=places,
    )


def _one_for_each_place(of_image: Sequence[_Judged]) -> tuple[ReviewedPlace, ...]:
    """Where several inspections called one place, or people marked it, what was decided last; what was decided goes
    before what was not."""
    every = [(place, number) for number, judged in enumerate(of_image) for place in judged.places]
    marks = [place for judged in of_image for place in judged.missed]
    every += [(place, -1 - number) for number, place in enumerate(marks)]  # two people may mark one defect
    decided = [(p, n, p.decided_at) for p, n in every if p.finding is not Finding.UNJUDGED and p.decided_at is not None]
    decided.sort(key=lambda each: (each[2], each[0].box, each[1]), reverse=True)
    in_order = [(p, n) for p, n, _ in decided] + [(p, n) for p, n in every if p.finding is Finding.UNJUDGED]
    kept: list[tuple[ReviewedPlace, int]] = []
    for place, number in in_order:
        others = [other for other, of in kept if of != number]  # one inspection calls each place once
        if not others or _overlap(place, others) <= SAME_PLACE_IOU:
            kept.append((place, number))
    return tuple(sorted((p for p, _ in kept), key=lambda p: (p.box[1], p.box[0], p.box, p.finding)))


def _overlap(place: ReviewedPlace, others: Sequence[ReviewedPlace]) -> float:
    boxes = np.asarray(pixel_boxes([place.box, *(other.box for other in others)], 1, 1), np.float32)
    return float(box_iou(boxes[:1], boxes[1:]).max())


def _box(row: RowMapping) -> tuple[float, float, float, float]:
    x, y, width, height = (float(row[name]) for name in _BOX)
    return x, y, width, height
