"""Boxes in the tables: normalised centre and size, as numbers in `defect_logs` and as YOLO lines elsewhere."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB, Taxonomy


def normalised_boxes(detections: Detections, width: int, height: int) -> npt.NDArray[np.float64]:
    """Boxes as (N, 4) float64 x_center, y_center, box width, box height, each divided by the image's size in pixels.

    >>> normalised_boxes(Detections.of([[10, 20, 30, 60]], [0]), width=100, height=200).tolist()
    [[0.2, 0.2, 0.2, 0.2]]
    """
    boxes = detections.boxes.astype(np.float64)
    corners_sum = boxes[:, :2] + boxes[:, 2:]
    sizes = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([corners_sum / 2, sizes], axis=1) / np.array([width, height, width, height], np.float64)


def pixel_boxes(normalised: npt.ArrayLike, width: int, height: int) -> npt.NDArray[np.float64]:
    """The inverse of `normalised_boxes`: (N, 4) float64 x1, y1, x2, y2 in pixels."""
    scaled = np.asarray(normalised, np.float64).reshape(-1, 4) * np.array([width, height, width, height], np.float64)
    half = scaled[:, 2:] / 2
    return np.concatenate([scaled[:, :2] - half, scaled[:, :2] + half], axis=1)


def label_text(labels: Detections, width: int, height: int) -> str:
    """One line `class x_center y_center width height` for each label, 0-based class, fractions of the image.

    Boxes are cut to the image; those that are left without area are dropped. Nine decimals keep a float32 pixel.

    >>> label_text(Detections.of([[10, 20, 30, 60]], [3]), width=100, height=200)
    '3 0.200000000 0.200000000 0.200000000 0.200000000\\n'
    """
    inside = labels.clipped(width, height)
    return "".join(
        f"{class_id} {x:.9f} {y:.9f} {w:.9f} {h:.9f}\n"
        for class_id, (x, y, w, h) in zip(inside.class_ids, normalised_boxes(inside, width, height), strict=True)
    )


def parse_label_text(
    text: str, width: int, height: int, taxonomy: Taxonomy = DEEPPCB, where: str | None = None
) -> Detections:
    """Labels in pixels from YOLO lines; blank lines are skipped.

    Args:
        text: lines `class x_center y_center width height`.
        width, height: of the image in pixels.
        where: name of the row or file, for the error.

    Raises:
        DataError: with the line, if it has not five numbers, an unknown class, or a value outside 0-1.
    """
    rows = [
        _parse_line(line.split(), number, len(taxonomy), where)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    return Detections.of(pixel_boxes([row[1:] for row in rows], width, height), [int(row[0]) for row in rows])


def _parse_line(fields: list[str], number: int, classes: int, where: str | None) -> tuple[float, ...]:
    expected = f"expected `class x_center y_center width height` with class 0-{classes - 1} and values 0-1"
    problem = DataError(
        f"{expected}, found {' '.join(fields)[:80]!r}", where=where, line=number, fix="correct the line"
    )
    try:
        class_id, *values = int(fields[0]), *map(float, fields[1:])
    except ValueError as error:
        raise problem from error
    # NaN and infinities fail the comparison too.
    if len(values) != 4 or not 0 <= class_id < classes or not all(0 <= v <= 1 and math.isfinite(v) for v in values):
        raise problem
    return (class_id, *values)
