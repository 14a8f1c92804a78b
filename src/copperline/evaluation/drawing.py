"""Detections and labels drawn on board images, for reports and the dashboard."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.taxonomy import Taxonomy

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

LABEL_COLOUR: Colour = (84, 64, 48)
PAPER: Colour = (255, 255, 255)
INK: Colour = (50, 40, 33)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_detections(
    image: Image,
    detections: Detections,
    taxonomy: Taxonomy,
    labels: Detections | None = None,
    confidences: bool = True,
    *,
    zoom: float = 1.0,
) -> Image:
    """The image with a box in its class's colour and a tag for each detection.

    A tag is put where it covers the fewest boxes and other tags, wholly inside the image.

    Args:
        image: (H, W) grey or (H, W, 3) BGR uint8; not changed.
        detections: in pixels of `image`.
        taxonomy: gives names and colours.
        labels: drawn as dashed boxes with their class below; those that a detection states already (same class,
            nearly the same box) get no tag.
        confidences: whether the tags say them, in per cent.
        zoom: size of the result relative to `image`; lines and text keep their size in pixels of the result, so that
            2 gives sharp small tags.

    Returns:
        (round(H * zoom), round(W * zoom), 3) BGR uint8.
    """
    canvas = _enlarged(image, zoom)
    taken = [scaled(box, zoom) for box in detections.boxes]
    if labels is not None:
        taken += [scaled(box, zoom) for box in labels.boxes]
        for box in labels.boxes:
            dashed_box(canvas, scaled(box, zoom))
    # The most confident is drawn last, on top.
    order = detections.by_confidence()[::-1]
    for box, class_id in zip(order.boxes, order.class_ids, strict=True):
        solid_box(canvas, scaled(box, zoom), bgr(taxonomy[int(class_id)].colour))
    for box, class_id, confidence in zip(order.boxes, order.class_ids, order.confidences, strict=True):
        name, colour = taxonomy[int(class_id)].name, bgr(taxonomy[int(class_id)].colour)
        text = f"{name} {100 * confidence:.0f}" if confidences else name
        taken.append(_tag(canvas, text, scaled(box, zoom), colour, taken))
    if labels is not None:
        for box, class_id in zip(labels.boxes, labels.class_ids, strict=True):
            if not _stated(box, int(class_id), detections):
                text = taxonomy[int(class_id)].name
                taken.append(_tag(canvas, text, scaled(box, zoom), LABEL_COLOUR, taken, outlined=True))
    return canvas


def pair_panel(
    test: Image,
    reference: Image | None,
    detections: Detections,
    taxonomy: Taxonomy,
    labels: Detections | None = None,
    *,
    zoom: float = 1.0,
    titles: Sequence[str] = ("Reference", "Inspected board"),
) -> Image:
    """Reference and inspected board side by side, each with its title; the inspected board alone without a reference.

    Args:
        test, reference: (H, W) or (H, W, 3) uint8 of the same height and width.
        detections, taxonomy, labels, zoom: as in `draw_detections`.
        titles: of the reference and of the test image.

    Returns:
        BGR uint8.
    """
    pictures = [(titles[1], draw_detections(test, detections, taxonomy, labels, zoom=zoom))]
    if reference is not None:
        pictures.insert(0, (titles[0], _enlarged(reference, zoom)))
    return gallery(pictures, columns=len(pictures))


def gallery(pictures: Sequence[tuple[str, Image]], *, columns: int) -> Image:
    """Pictures row by row, each with its title above.

    Args:
        pictures: at least one, (title in ASCII, BGR uint8 image); they may differ in size.
        columns: in a row.

    Returns:
        BGR uint8.
    """
    gap, header = 16, 34
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    width = max(sum(picture.shape[1] + gap for _, picture in row) for row in rows) + gap
    heights = [header + max(picture.shape[0] for _, picture in row) for row in rows]
    panel = np.full((sum(heights) + gap * len(rows), width, 3), PAPER, dtype=np.uint8)
    top = header
    for row, height in zip(rows, heights, strict=True):
        left = gap
        for title, picture in row:
            h, w = picture.shape[:2]
            cv2.putText(panel, title, (left, top - 11), FONT, 0.55, INK, 1, cv2.LINE_AA)
            panel[top : top + h, left : left + w] = picture
            cv2.rectangle(panel, (left - 1, top - 1), (left + w, top + h), (214, 208, 204), 1)
            left += w + gap
        top += height + gap
    return panel


def stacked(panels: Sequence[Image]) -> Image:
    """Panels one below the other, on paper: (sum of heights, largest width, 3) BGR uint8; at least one."""
    width = max(panel.shape[1] for panel in panels)
    sides = [((0, 0), (0, width - panel.shape[1]), (0, 0)) for panel in panels]
    return np.concatenate([np.pad(panel, side, constant_values=255) for panel, side in zip(panels, sides, strict=True)])


def _enlarged(image: Image, zoom: float) -> Image:
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    if zoom == 1:
        return np.asarray(colour, dtype=np.uint8)
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(colour, size, interpolation=how), dtype=np.uint8)


def scaled(box: np.ndarray, zoom: float) -> Box:
    """The box in whole pixels of an image enlarged by `zoom`."""
    x1, y1, x2, y2 = (int(v) for v in np.rint(box * zoom))
    return x1, y1, x2, y2


def bgr(colour: str) -> Colour:
    """From `#rrggbb`."""
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _readable_on(colour: Colour) -> Colour:
    """Black or white, whichever contrasts more (luma of ITU-R BT.601)."""
    blue, green, red = colour
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else (255, 255, 255)


def solid_box(canvas: Image, box: Box, colour: Colour) -> None:
    """Draws a detection's box, in pixels of `canvas`."""
    # A white line around the coloured one keeps it visible on copper and on background.
    corners = (box[0], box[1]), (box[2] - 1, box[3] - 1)
    cv2.rectangle(canvas, *corners, (255, 255, 255), 4, cv2.LINE_AA)
    cv2.rectangle(canvas, *corners, colour, 2, cv2.LINE_AA)


def dashed_box(
    canvas: Image, box: Box, colour: Colour = LABEL_COLOUR, *, width: int = 1, dash: int = 6, halo: bool = True
) -> None:
    """Draws a label's box, in pixels of `canvas`: lines of `width` pixels, with a white `halo`, in dashes of `dash`."""
    # Outside the detection's box, so that neither hides the other.
    x1, y1, x2, y2 = box[0] - 4, box[1] - 4, box[2] + 3, box[3] + 3
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        a, b = np.array(start, float), np.array(end, float)
        length = max(float(np.abs(b - a).max()), 1.0)
        for offset in np.arange(0, length, 2 * dash):
            first, last = a + (b - a) * offset / length, a + (b - a) * min(offset + dash, length) / length
            ends = tuple(first.round().astype(int).tolist()), tuple(last.round().astype(int).tolist())
            if halo:
                cv2.line(canvas, *ends, (255, 255, 255), width + 2, cv2.LINE_AA)
            cv2.line(canvas, *ends, colour, width, cv2.LINE_AA)


def _stated(box: np.ndarray, class_id: int, detections: Detections) -> bool:
    """Whether a detection of the same class has its edges within a quarter of the label's size."""
    size = max(box[2] - box[0], box[3] - box[1])
    near = (np.abs(detections.boxes - box) <= size / 4).all(axis=1)
    return bool((near & (detections.class_ids == class_id)).any())


def _tag(canvas: Image, text: str, box: Box, colour: Colour, taken: Sequence[Box], *, outlined: bool = False) -> Box:
    """Writes `text` beside `box` and returns the place, x1, y1, x2, y2."""
    scale, pad = 0.4, 3
    width = cv2.getTextSize(text, FONT, scale, 1)[0][0] + 2 * pad
    letters = 8  # height of a capital at this scale; what getTextSize gives depends on OpenCV's version
    height = letters + 2 * pad + 2
    x1, y1, x2, y2 = _best_place(box, width, height, canvas.shape[1], canvas.shape[0], taken)
    cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), PAPER if outlined else colour, cv2.FILLED)
    if outlined:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), colour, 1)
    ink = colour if outlined else _readable_on(colour)
    cv2.putText(canvas, text, (x1 + pad, y2 - pad - 1), FONT, scale, ink, 1, cv2.LINE_AA)
    return x1, y1, x2, y2


def _best_place(box: Box, width: int, height: int, image_width: int, image_height: int, taken: Sequence[Box]) -> Box:
    """Above, below, right or left of the box, inside the image, where it covers the fewest pixels of `taken`."""
    x1, y1, x2, y2 = box
    gap = 4
    corners = [(x, y) for y in (y1 - height - gap, y2 + gap) for x in (x1, x2 - width, (x1 + x2 - width) // 2)] + [
        (x, y) for x in (x2 + gap, x1 - width - gap) for y in (y1, y2 - height)
    ]
    right, bottom = max(image_width - width, 0), max(image_height - height, 0)
    places = [(min(max(x, 0), right), min(max(y, 0), bottom)) for x, y in corners]
    boxes = [(x, y, x + width, y + height) for x, y in places]
    return min(boxes, key=lambda place: sum(_overlap(place, other) for other in taken))


def _overlap(a: Box, b: Box) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
