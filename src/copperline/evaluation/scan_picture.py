"""The picture of a whole-board scan: the board reduced, its findings framed and numbered, and in close-up."""

from __future__ import annotations

import math

import cv2
import numpy as np

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.evaluation.drawing import FONT, INK, PAPER, bgr, draw_detections, solid_box
from copperline.taxonomy import Taxonomy

OVERVIEW = 2000  # px, longer side of the reduced board
MOST_CLOSE_UPS = 48
_FRAME = 18  # px of the picture, least side of a frame
_VIEW = 236  # px of the picture, side of a close-up
_AROUND = 118  # px of the scan that a close-up shows at least
_GAP, _CAPTION = 12, 26


def draw_scan(image: Image, detections: Detections, taxonomy: Taxonomy) -> Image:
    """The board reduced to `OVERVIEW` px, with a frame large enough to be seen around each finding; below it, in rows,
    the most confident findings in close-up, under the numbers that their frames have.

    Args:
        image: (H, W) uint8 grey; not changed.
        detections: in pixels of `image`; those after the first `MOST_CLOSE_UPS` by confidence have a frame alone.
        taxonomy: gives names and colours.

    Returns:
        (H', W', 3) BGR uint8, about 2,000 px wide or high and a few rows.
    """
    zoom = min(1.0, OVERVIEW / max(image.shape))
    ordered = detections.by_confidence()
    overview = _overview(image, ordered, taxonomy, zoom)
    shown = min(len(ordered), MOST_CLOSE_UPS)
    if shown == 0:
        return overview
    width = max(overview.shape[1], _VIEW + 2 * _GAP)
    columns = max(1, (width - _GAP) // (_VIEW + _GAP))
    rows = math.ceil(shown / columns)
    top = overview.shape[0] + _GAP
    note = 0 if shown == len(ordered) else _CAPTION
    picture = np.full((top + rows * (_VIEW + _CAPTION + _GAP) + note, width, 3), PAPER, np.uint8)
    picture[: overview.shape[0], : overview.shape[1]] = overview
    for number in range(shown):
        x = _GAP + number % columns * (_VIEW + _GAP)
        y = top + number // columns * (_VIEW + _CAPTION + _GAP)
        picture[y : y + _VIEW, x : x + _VIEW] = _close_up(image, ordered, number, taxonomy)
        centre = ordered.boxes[number].reshape(2, 2).mean(axis=0)
        _write(picture, f"{number + 1}: x {centre[0]:.0f}, y {centre[1]:.0f} px", (x, y + _VIEW + _CAPTION - 9))
    if note:
        _write(picture, f"The {shown} most confident of {len(ordered)}.", (_GAP, picture.shape[0] - 9))
    return picture


def _overview(image: Image, detections: Detections, taxonomy: Taxonomy, zoom: float) -> Image:
    size = max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom))
    reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # Faint, so that frames stand out from copper.
    canvas = np.asarray(cv2.cvtColor(cv2.addWeighted(reduced, 0.6, reduced, 0, 102), cv2.COLOR_GRAY2BGR), np.uint8)
    for number in reversed(range(len(detections))):
        centre = detections.boxes[number].reshape(2, 2).mean(axis=0) * zoom
        half = np.maximum((detections.boxes[number, 2:] - detections.boxes[number, :2]) * zoom / 2, _FRAME / 2)
        x1, y1, x2, y2 = (int(v) for v in np.rint(np.concatenate((centre - half, centre + half))))
        solid_box(canvas, (x1, y1, x2, y2), bgr(taxonomy[int(detections.class_ids[number])].colour))
        if number < MOST_CLOSE_UPS:
            _write(canvas, str(number + 1), (min(x2 + 3, size[0] - 30), max(y1 + 12, 12)))
    return canvas


def _close_up(image: Image, detections: Detections, number: int, taxonomy: Taxonomy) -> Image:
    """(_VIEW, _VIEW, 3): one finding, with a quarter of its size around it at least."""
    box = detections.boxes[number]
    side = math.ceil(max(_AROUND, 1.5 * float((box[2:] - box[:2]).max())))
    left, top = (round(float(v)) for v in box.reshape(2, 2).mean(axis=0) - side / 2)
    inside = image[max(top, 0) : top + side, max(left, 0) : left + side]
    edge = max(-top, 0), max(top + side - image.shape[0], 0), max(-left, 0), max(left + side - image.shape[1], 0)
    crop = np.asarray(cv2.copyMakeBorder(inside, *edge, cv2.BORDER_CONSTANT, value=PAPER[0]), np.uint8)
    drawn = draw_detections(crop, detections[number].shifted(-left, -top), taxonomy, zoom=_VIEW / side)
    return np.asarray(cv2.resize(drawn, (_VIEW, _VIEW)) if drawn.shape[:2] != (_VIEW, _VIEW) else drawn, np.uint8)


def _write(canvas: Image, text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, FONT, 0.45, PAPER, 4, cv2.LINE_AA)
    cv2.putText(canvas, text, place, FONT, 0.45, INK, 1, cv2.LINE_AA)
