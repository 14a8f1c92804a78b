"""From places of an image that people judged to boards to learn from: the whole image, or crops of it.

An image may be learned from as a whole only where a person judged the board as a whole. Who confirms the defects that
were called says nothing of those that were not, and what is not labelled is learned as copper that is fine: with whole
images, the boards of a model that misses a fifth of the defects teach the next one to miss more
(docs/feedback.md). So crops are cut around what was judged, no larger than what a reviewer is shown of it, and none
holds anything that was not judged. They are larger than training's own, which still chooses where its crops lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from copperline.data.images import MIN_SIDE
from copperline.detections import Detections

# About four times a defect, which is what a reviewer is shown around it.
CROP_SIDE = 160
# A crop gives way to what was not judged down to this side: training's own crops are no larger.
SMALLEST_SIDE = 96
# Between a judged box and the crop's edge, where the image goes on: a defect is told from the copper around it.
CONTEXT = 12
_STEP = 8  # px between the places where a crop is tried

Box = tuple[float, float, float, float]


class Finding(StrEnum):
    """What is known of a place."""

    DEFECT = "defect"
    FALSE_CALL = "false call"
    UNJUDGED = "unjudged"


@dataclass(frozen=True, slots=True)
class JudgedPlace:
    """A place that a model called, or that a person found.

    Attributes:
        box: x1, y1, x2, y2 in pixels, inside the image and not empty.
        finding: what is known of it.
        class_id: of the defect, or what a false call was called; what it is for an unjudged place does not matter.
    """

    box: Box
    finding: Finding
    class_id: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of an image to learn from.

    Attributes:
        x, y, width, height: of the image, px.
        labels: the defects in it, in its own pixels, whole.
        false_calls: places in it that were called and are no defects, likewise.
    """

    x: int
    y: int
    width: int
    height: int
    labels: Detections
    false_calls: Detections


def whole_image(places: Sequence[JudgedPlace], width: int, height: int) -> Cut:
    """The image with all that was judged in it; raises ValueError if a place was not."""
    if any(place.finding is Finding.UNJUDGED for place in places):
        raise ValueError("expected judged places alone")
    return _cut(places, 0, 0, width, height)


def crops_around(
    places: Sequence[JudgedPlace], width: int, height: int, *, side: int = CROP_SIDE
) -> tuple[tuple[Cut, ...], tuple[JudgedPlace, ...]]:
    """Crops that hold every judged place at least once, several together where they lie near, and no unjudged one.

    A crop is square, of `side` px where there is room and down to 96 where an unjudged place is near; it cuts no
    defect. The same places give the same crops, in whatever order they come.

    Returns:
        The crops; and the judged places that cannot be had without an unjudged one, or without cutting another defect.
    """
    ordered = sorted(places, key=lambda place: (place.box[1], place.box[0], place.box, place.finding, place.class_id))
    boxes = np.array([place.box for place in ordered], float).reshape(-1, 4)
    barred = np.array([place.finding is Finding.UNJUDGED for place in ordered], bool)
    defects = np.array([place.finding is Finding.DEFECT for place in ordered], bool)
    crops: list[Cut] = []
    left: list[JudgedPlace] = []
    done = barred.copy()
    for position, place in enumerate(ordered):
        if done[position]:
            continue
        window = _window_around(place.box, boxes[barred], boxes[defects], width, height, side)
        if window is None:
            left.append(place)
            continue
        x, y, size_x, size_y = window
        done |= _inside(boxes, x, y, x + size_x, y + size_y)
        crops.append(_cut(ordered, x, y, size_x, size_y))
    return tuple(crops), tuple(place for place in left if not any(_holds(crop, place.box) for crop in crops))


def _window_around(
    box: Box, barred: np.ndarray, defects: np.ndarray, width: int, height: int, side: int
) -> tuple[int, int, int, int] | None:
    """x, y, width and height of the largest possible crop that holds `box`, its centre as near as can be."""
    for context, size in [(context, size) for context in (CONTEXT, 0) for size in _sides(box, side)]:
        size_x, size_y = min(size, width), min(size, height)
        corners = _corners(box, width, height, size_x, size_y, context)
        if not len(corners):
            continue
        ends = corners + np.array([size_x, size_y])
        free = ~_touched(corners, ends, barred).any(axis=1)
        touched = _touched(corners, ends, defects)
        held = (
            (defects[None, :, 0] >= corners[:, None, 0])
            & (defects[None, :, 1] >= corners[:, None, 1])
            & (defects[None, :, 2] <= ends[:, None, 0])
            & (defects[None, :, 3] <= ends[:, None, 1])
        )
        fits = free & ~(touched & ~held).any(axis=1)
        if fits.any():
            middle = np.array([box[0] + box[2] - size_x, box[1] + box[3] - size_y]) / 2
            far = np.abs(corners - middle).sum(axis=1)
            x, y = corners[np.lexsort((corners[:, 0], corners[:, 1], np.where(fits, far, np.inf)))[0]]
            return int(x), int(y), size_x, size_y
    return None


def _sides(box: Box, side: int) -> Iterator[int]:
    """From the wanted side down to the least that holds the box, each once."""
    least = max(SMALLEST_SIDE, MIN_SIDE, int(np.ceil(max(box[2] - box[0], box[3] - box[1]))) + 1)
    size = max(side, least + 2 * CONTEXT)
    while size > least:
        yield size
        size = int(size * 0.85)
    yield least


def _corners(box: Box, width: int, height: int, size_x: int, size_y: int, context: int) -> np.ndarray:
    """(N, 2) whole top left corners of crops of this size that hold the box and `context` px of the image around it."""
    columns = _starts(box[0], box[2], width, size_x, context)
    rows = _starts(box[1], box[3], height, size_y, context)
    grid = np.meshgrid(columns, rows)
    return np.stack([each.ravel() for each in grid], axis=1)


def _starts(low: float, high: float, length: int, size: int, context: int) -> np.ndarray:
    first = max(0, int(np.ceil(min(high + context, length) - size)))
    last = min(length - size, int(np.floor(max(low - context, 0))))
    if first > last:
        return np.empty(0, int)
    centred = int(np.clip(round((low + high - size) / 2), first, last))
    return np.unique([*range(first, last + 1, _STEP), centred, last])


def _touched(corners: np.ndarray, ends: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N, M) bool: whether crop and box have an area in common."""
    return np.asarray(
        (boxes[None, :, 0] < ends[:, None, 0])
        & (boxes[None, :, 2] > corners[:, None, 0])
        & (boxes[None, :, 1] < ends[:, None, 1])
        & (boxes[None, :, 3] > corners[:, None, 1])
    )


def _holds(crop: Cut, box: Box) -> bool:
    x1, y1, x2, y2 = box
    return x1 >= crop.x and y1 >= crop.y and x2 <= crop.x + crop.width and y2 <= crop.y + crop.height


def _inside(boxes: np.ndarray, x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    return np.asarray((boxes[:, 0] >= x1) & (boxes[:, 1] >= y1) & (boxes[:, 2] <= x2) & (boxes[:, 3] <= y2))


def _cut(places: Sequence[JudgedPlace], x: int, y: int, width: int, height: int) -> Cut:
    def found(finding: Finding) -> Detections:
        these = [place for place in places if place.finding is finding]
        boxes = np.array([place.box for place in these], float).reshape(-1, 4)
        kept = _inside(boxes, x, y, x + width, y + height)
        return Detections.of(boxes[kept], [p.class_id for p, keep in zip(these, kept, strict=True) if keep]).shifted(
            -x, -y
        )

    return Cut(x, y, width, height, found(Finding.DEFECT), found(Finding.FALSE_CALL))
