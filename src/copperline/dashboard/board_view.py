"""What a browser is sent of a board: pictures below two megapixels, and a table of what was found."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

import cv2
import numpy as np

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.evaluation import BoardComparison
from copperline.taxonomy import DefectClass, Taxonomy

# A browser decodes and scales this at once; a whole-panel scan has 268 megapixels.
MOST_PIXELS = 1_600_000
_LARGE_PNG = 700_000  # bytes; a photograph is sent as JPEG instead
_JPEG_QUALITY = 90
# BGR. Readable on both copper and ground, and apart for those who cannot tell red from green.
_LIGHTER, _DARKER = (20, 110, 230), (190, 90, 20)
_FADED = 0.25  # how much is left of the board under the difference


@dataclass(frozen=True, slots=True)
class Picture:
    """An image on its way to the browser.

    Attributes:
        uri: `data:` URI of a PNG or JPEG.
        x, y, width, height: the part of the board that it shows, in px of the test image.
    """

    uri: str
    x: int
    y: int
    width: int
    height: int

    @property
    def nbytes(self) -> int:
        return len(self.uri)


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A line of the table: a detection, or a label that was missed.

    Attributes:
        severity: of the class.
        confidence: in [0, 1]; None for a missed label.
        box: x1, y1, x2, y2 in px of the test image.
        truth: what the ground truth says of it, in words; empty where there is none.
        missed: a label, not a detection.
    """

    defect_class: str
    severity: str
    confidence: float | None
    box: tuple[float, float, float, float]
    truth: str
    missed: bool = False


def reduced(image: Image, most_pixels: int = MOST_PIXELS) -> Image:
    """The image, by area averaging with at most so many pixels.

    >>> reduced(np.zeros((400, 100), np.uint8), 10_000).shape
    (200, 50)
    """
    height, width = image.shape[:2]
    scale = math.sqrt(most_pixels / (height * width))
    if scale >= 1:
        return image
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def difference(test: Image, reference: Image, most_pixels: int = MOST_PIXELS) -> Image:
    """Where the test image is lighter (orange) or darker (blue) than its reference, on the faded board.

    Args:
        test, reference: (H, W) uint8 grey of one size, registered.
        most_pixels: of the result; both differences are averaged at full size, so that none cancels the other.

    Returns:
        (h, w, 3) uint8 BGR.
    """
    faded = 255 - _FADED * (255 - reduced(test, most_pixels).astype(np.float32))
    canvas = np.repeat(faded[:, :, None], 3, axis=2)
    for parts, colour in ((cv2.subtract(test, reference), _LIGHTER), (cv2.subtract(reference, test), _DARKER)):
        share = reduced(np.asarray(parts, np.uint8), most_pixels).astype(np.float32)[:, :, None] / 255
        canvas += share * (np.array(colour, np.float32) - canvas)
    return np.asarray(canvas.round().clip(0, 255), np.uint8)


def picture(image: Image, width: int, height: int, x: int = 0, y: int = 0) -> Picture:
    """`image`, already small enough, as it shows the part of the board at (x, y) of `width` x `height` px."""
    encoded = cv2.imencode(".png", image)[1]
    kind = "png"
    if encoded.size > _LARGE_PNG:
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        kind = "jpeg"
    text = base64.b64encode(encoded.tobytes()).decode("ascii")
    return Picture(f"data:image/{kind};base64,{text}", x, y, width, height)


def around(
    box: tuple[float, float, float, float], width: int, height: int, *, least: int = 160, times: float = 4.0
) -> tuple[int, int, int, int]:
    """A square around `box`, `times` its longer side but at least `least` px, moved and cut to fit the image.

    >>> around((10, 10, 20, 20), 640, 480)
    (0, 0, 160, 160)
    """
    x1, y1, x2, y2 = box
    side = math.ceil(max(least, times * max(x2 - x1, y2 - y1)))
    side_x, side_y = min(side, width), min(side, height)
    left = min(max(round((x1 + x2 - side_x) / 2), 0), width - side_x)
    top = min(max(round((y1 + y2 - side_y) / 2), 0), height - side_y)
    return left, top, left + side_x, top + side_y


def display_taxonomy(of_model: Taxonomy, of_plant: Taxonomy) -> Taxonomy:
    """The model's classes, in the colours that the plant has for classes of these names."""
    colours = {c.name: c.colour for c in of_plant}
    return Taxonomy(tuple(DefectClass(c.id, c.name, c.severity, colours.get(c.name, c.colour)) for c in of_model))


def finding_rows(
    called: Detections, taxonomy: Taxonomy, labels: Detections | None = None, compared: BoardComparison | None = None
) -> tuple[FindingRow, ...]:
    """The table: what was called, the most confident first, then the labels that were missed."""
    rows = []
    for i, (box, class_id, confidence) in enumerate(
        zip(called.boxes.tolist(), called.class_ids.tolist(), called.confidences.tolist(), strict=True)
    ):
        shown = taxonomy[class_id]
        truth = "" if labels is None or compared is None else _truth(i, taxonomy, labels, compared)
        rows.append(FindingRow(shown.name, shown.severity.value, confidence, tuple(box), truth))
    if labels is not None and compared is not None:
        lost = labels[~compared.found_labels]
        for box, class_id in zip(lost.boxes.tolist(), lost.class_ids.tolist(), strict=True):
            shown = taxonomy[class_id]
            rows.append(FindingRow(shown.name, shown.severity.value, None, tuple(box), "missed", missed=True))
    return tuple(rows)


def _truth(i: int, taxonomy: Taxonomy, labels: Detections, compared: BoardComparison) -> str:
    label = int(compared.label_of[i])
    if label < 0:
        return "false"
    if compared.right[i]:
        return f"found, IoU {compared.iou[i]:.2f}"
    return f"false: is {taxonomy[int(labels.class_ids[label])].name}"
