"""Contact sheets: each error as a small picture of its place on the board and on the reference."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.evaluation.drawing import FONT, INK, PAPER, Box, Colour, bgr, dashed_box, scaled, solid_box
from copperline.evaluation.error_analysis import ErrorCase, LabelRecord
from copperline.evaluation.error_kinds import ErrorKind
from copperline.taxonomy import Taxonomy

VIEW = 192
"""Pixels of each of a tile's two pictures."""

_ZOOM = 2
_MARGIN = 8
_GAP = 12
_CAPTION = 40
_HEADER = 58
_MUTED: Colour = (133, 112, 102)
_OTHER: Colour = (170, 160, 150)
_FRAME: Colour = (214, 208, 204)
_OUTSIDE = 238


def error_tile(
    case: ErrorCase, test: Image, reference: Image | None, called: Detections, labels: Detections, taxonomy: Taxonomy
) -> Image:
    """The place of an error: test image, reference, and a caption below.

    96 px around the error at twice the size; 192 px at their size where the box needs more room, and so on down for
    what is larger still. The label is dashed and the detection solid, each in the colour of its class; other labels
    and detections nearby are thin and grey. What lies outside the image is light grey.

    Args:
        case: the error.
        test: (H, W) or (H, W, 3) uint8.
        reference: likewise, registered; None: the tile shows the test image alone.
        called: detections of this board at the operating point.
        labels: of this board.
        taxonomy: gives the colours.

    Returns:
        (VIEW + caption, W', 3) BGR uint8; the same size for all cases with a reference.
    """
    left, top, side = _window(case)
    picture = _marked(_view(test, left, top, side), case, called, labels, taxonomy, left, top, VIEW / side)
    pictures = [picture] if reference is None else [picture, _view(reference, left, top, side)]
    tile = np.full((VIEW + _CAPTION, len(pictures) * (VIEW + 4) - 4, 3), PAPER, dtype=np.uint8)
    for i, view in enumerate(pictures):
        start = i * (VIEW + 4)
        tile[:VIEW, start : start + VIEW] = view
        cv2.rectangle(tile, (start, 0), (start + VIEW - 1, VIEW - 1), _FRAME, 1)
    what, where = caption(case)
    _write(tile, what, (0, VIEW + 15), INK, 0.42)
    _write(tile, where, (0, VIEW + 32), _MUTED, 0.38)
    return tile


def contact_sheet(title: str, tiles: Sequence[Image], taxonomy: Taxonomy, *, columns: int = 3) -> Image:
    """Tiles in rows, under a title and the colours of the classes.

    Args:
        title: one line.
        tiles: at least one; from `error_tile`.
        taxonomy: for the colours.
        columns: tiles in a row, at least two.

    Returns:
        BGR uint8.
    """
    height, width = tiles[0].shape[0], max(tile.shape[1] for tile in tiles)
    rows, columns = -(-len(tiles) // columns), max(2, min(columns, len(tiles)))  # two have room for the title
    size = (_HEADER + rows * (height + _GAP), _GAP + columns * (width + _GAP), 3)
    sheet = np.full(size, PAPER, dtype=np.uint8)
    _write(sheet, title, (_GAP, 22), INK, 0.55)
    x = _GAP
    for c in taxonomy:
        cv2.rectangle(sheet, (x, 34), (x + 10, 44), bgr(c.colour), cv2.FILLED)
        _write(sheet, c.name, (x + 16, 44), _MUTED, 0.4)
        x += 16 + cv2.getTextSize(c.name, FONT, 0.4, 1)[0][0] + 18
    for i, tile in enumerate(tiles):
        y, x = _HEADER + i // columns * (height + _GAP), _GAP + i % columns * (width + _GAP)
        sheet[y : y + height, x : x + tile.shape[1]] = tile
    return sheet


def caption(case: ErrorCase) -> tuple[str, str]:
    """What went wrong, and where and how far: two short lines of ASCII."""
    label, detection = case.label, case.detection
    sure = "" if detection is None else f" {100 * detection.confidence:.0f} %"
    if detection is None:
        what = f"{case.class_name} missed"
    elif label is None:
        what = f"{detection.class_name}{sure}, nothing labelled"
    elif label.class_name != detection.class_name:
        second = " as well" if case.kind is ErrorKind.DUPLICATE else ""
        what = f"{label.class_name} called {detection.class_name}{sure}{second}"
    else:
        second = " a second time" if case.kind is ErrorKind.DUPLICATE else ""
        what = f"{label.class_name} called{sure}{second}"
    where = f"{case.board_id}  {case.side:.0f} px"
    if label is not None and detection is not None:
        where += f"  IoU {case.iou:.2f}"
    if case.kind is ErrorKind.MISSED and case.blind:
        where += "  blind"
    elif case.uncalled is not None and case.kind is not ErrorKind.LOOSE_BOX:
        where += f"  {case.class_name} was at {100 * case.uncalled:.0f} %"
    return f"#{case.number}  {what}", where


def _window(case: ErrorCase) -> tuple[int, int, int]:
    """Left, top and side of the square to show, in pixels of the test image."""
    boxes = np.array([record.box for record in (case.label, case.detection) if record is not None])
    first, last = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    needed = float((last - first).max()) + 2 * _MARGIN
    side = next((VIEW // zoom for zoom in range(_ZOOM, 0, -1) if needed <= VIEW // zoom), int(np.ceil(needed)))
    left, top = np.rint((first + last - side) / 2)
    return int(left), int(top), side


def _view(image: Image, left: int, top: int, side: int) -> Image:
    """The square, VIEW x VIEW x 3 BGR."""
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
    height, width = colour.shape[:2]
    window = np.full((side, side, 3), _OUTSIDE, dtype=np.uint8)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    window[y1 - top : y2 - top, x1 - left : x2 - left] = colour[y1:y2, x1:x2]
    how = cv2.INTER_NEAREST if side <= VIEW else cv2.INTER_AREA
    return np.asarray(cv2.resize(window, (VIEW, VIEW), interpolation=how), dtype=np.uint8)


def _marked(
    view: Image,
    case: ErrorCase,
    called: Detections,
    labels: Detections,
    taxonomy: Taxonomy,
    left: int,
    top: int,
    zoom: float,
) -> Image:
    def placed(box: Sequence[float] | np.ndarray) -> Box:
        return scaled(np.asarray(box, dtype=np.float64) - (left, top, left, top), zoom)

    def colour(record: LabelRecord) -> Colour:
        return bgr(next(c.colour for c in taxonomy if c.name == record.class_name))

    canvas = view.copy()
    for box in labels.boxes:
        dashed_box(canvas, placed(box), _OTHER, dash=4, halo=False)
    for box in called.boxes:
        x1, y1, x2, y2 = placed(box)
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), _OTHER, 1, cv2.LINE_AA)
    if case.label is not None:
        dashed_box(canvas, placed(case.label.box), colour(case.label), width=2)
    if case.detection is not None:
        solid_box(canvas, placed(case.detection.box), colour(case.detection))
    return canvas


def _write(canvas: Image, text: str, at: tuple[int, int], colour: Colour, scale: float) -> None:
    cv2.putText(canvas, text, at, FONT, scale, colour, 1, cv2.LINE_AA)
