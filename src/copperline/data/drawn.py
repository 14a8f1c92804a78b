"""A board pair from a golden image alone: another scan of it with defects drawn into it, and the image itself.

Two copies of one golden image are equal pixel for pixel wherever nothing was drawn. A detector that learned from such
pairs would take any difference for a defect, so one copy is scanned anew, and the other is distorted and its drill
holes are moved, as two boards of one product differ. How far was worked out from pairs of DeepPCB's training boards,
outside of their labels: after registration traces still lie 1 to 2 px apart, in places 5, and drill holes up to 5 px.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.images import Image
from copperline.data.synthetic import DefectSizes, ScanSettings, binarised_scan, draw_defects, misregister
from copperline.detections import Detections
from copperline.errors import SettingsError
from copperline.taxonomy import DEEPPCB, Taxonomy

# An image with more grey pixels than this share was never binarised: the edges of one that was and then was moved by
# a part of a pixel are up to 6 % of dense boards.
_MOST_GREY = 0.1
# Square pixels of a hole: a smaller piece of laminate inside copper is a speck, a larger one no drill's.
_HOLE_AREAS = (100, 16_000)
_HOLE_ROUNDNESS = 0.7  # of its area and the one of a circle of its perimeter: 1 for a circle, 0.79 for a square
_HOLE_RING = 6  # pixels of copper around a hole, so that moving it opens nothing
_HOLE_EDGE = 1  # pixels around a hole that belong to its edge and move with it
_HOLE_SHIFT = (1.8, 4.5)  # standard deviation in x and in y, and greatest length, pixels
_DISTORTION = (1.0, 2.5)  # mean and greatest standard deviation of a pair's displacements, pixels
_DISTORTION_GRID = 160  # pixels over which they change


Scanner = Callable[[Image, np.random.Generator], Image]
"""Gives one scan of an (H, W) uint8 image; the same shape and type."""


@dataclass(frozen=True, slots=True)
class DrawnPair:
    """An inspected board that never was.

    Attributes:
        test: (H, W) uint8, with the defects.
        reference: (H, W) uint8, without.
        labels: of the test image, whole-pixel boxes.
    """

    test: Image
    reference: Image
    labels: Detections


def drawn_pair(
    golden: Image, rng: np.random.Generator, *, classes: Sequence[int] | None = None, box_margin: float
) -> DrawnPair:
    """Two boards of one golden image: the first scanned anew, with defects; the second distorted, its holes moved.

    The defects are drawn into the scan, and so keep the flecks and thin bridges that the scan's optics would swallow:
    that is how the test boards of DeepPCB were made. Of a training crop a share is scanned once more.

    Args:
        golden: (H, W) uint8, at least 48 px per side; not changed.
        rng: decides everything.
        classes: class id of each defect to draw, as for `draw_defects`; one that finds no place is left out.
        box_margin: pixels between what was painted and its box.
    """
    scanned = scanner_of(golden)(golden, rng)
    test, labels = draw_defects(scanned, rng, classes=classes, sizes=DefectSizes(box_margin=box_margin))
    return DrawnPair(test, distorted(holes_moved(golden, *_hole_shift(rng)), rng), labels)


def drawn_scans(golden: Image, rng: np.random.Generator, *, box_margin: float) -> DrawnPair:
    """A whole board as it is inspected: as `drawn_pair`, with 3 to 10 defects, its reference misregistered and scanned
    anew too."""
    pair = drawn_pair(golden, rng, box_margin=box_margin)
    reference = misregister(pair.reference, ScanSettings(), rng)
    return DrawnPair(pair.test, scanner_of(golden)(reference, rng), pair.labels)


def require_drawable(taxonomy: Taxonomy) -> None:
    """Raises SettingsError if the classes are not those that can be drawn, in their order."""
    if taxonomy.names != DEEPPCB.names:
        raise SettingsError(
            f"expected the classes that can be drawn ({', '.join(DEEPPCB.names)}), found {', '.join(taxonomy.names)}",
            fix="train on labelled boards alone, or use these classes",
        )


def is_binarised(image: Image) -> bool:
    """Whether next to all pixels are nearly black or nearly white."""
    return bool(((image > 64) & (image < 192)).mean() <= _MOST_GREY)


def scanner_of(golden: Image) -> Scanner:
    """How another scan of the same board would look: with other edges if it is binarised; else, as a grey image, with
    other light, focus and noise. To be asked before the image is moved, which blurs its edges."""
    return _binary_scan if is_binarised(golden) else _grey_scan


def _binary_scan(image: Image, rng: np.random.Generator) -> Image:
    return binarised_scan(image, ScanSettings(), rng)


def _grey_scan(image: Image, rng: np.random.Generator) -> Image:
    gain, offset = rng.uniform(0.92, 1.08), rng.uniform(-8, 8)
    focused = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.9)))
    noise = rng.normal(offset, rng.uniform(1, 4), image.shape)
    return np.asarray(np.clip(np.rint(focused * gain + noise), 0, 255), np.uint8)


def distorted(image: Image, rng: np.random.Generator) -> Image:
    """The image with smoothly varying displacements, which no registration of the whole can undo."""
    mean, greatest = _DISTORTION
    spread = min(rng.exponential(mean), greatest)
    height, width = image.shape
    nodes = (height // _DISTORTION_GRID + 2, width // _DISTORTION_GRID + 2)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for axis in (columns, rows):
        coarse = rng.normal(0, spread, nodes).astype(np.float32)
        axis += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    moved = cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def holes_moved(image: Image, dx: float, dy: float) -> Image:
    """A copy with every drill hole moved by (dx, dy) pixels: round laminate inside copper."""
    laminate = np.asarray(cv2.threshold(image, 127, 1, cv2.THRESH_BINARY)[1], np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(laminate, connectivity=4, ltype=cv2.CV_32S)
    areas = stats[:, cv2.CC_STAT_AREA]
    moved = image.copy()
    for label in range(1, count):
        if not _HOLE_AREAS[0] <= areas[label] <= _HOLE_AREAS[1]:
            continue
        x, y, width, height = (int(value) for value in stats[label, :4])
        around = _HOLE_RING + 1
        if min(x, y) < around or x + width + around > image.shape[1] or y + height + around > image.shape[0]:
            continue
        window = np.s_[y - around : y + height + around, x - around : x + width + around]
        hole = np.asarray(labels[window] == label, np.uint8)
        near = cv2.dilate(hole, _disc(_HOLE_RING)) > 0
        if laminate[window][near & (hole == 0)].any() or not _is_round(hole):
            continue
        moved[window][near] = _shifted_hole(image[window], hole, near, dx, dy)[near]
    return moved


def _hole_shift(rng: np.random.Generator) -> tuple[float, float]:
    spread, furthest = _HOLE_SHIFT
    dx, dy = rng.normal(0, spread, 2)
    scale = min(1, furthest / max(np.hypot(dx, dy), 1e-9))
    return float(dx * scale), float(dy * scale)


def _shifted_hole(patch: Image, hole: Image, near: npt.NDArray[np.bool_], dx: float, dy: float) -> Image:
    """The patch with nothing but copper and the moved hole: what else lies near must not move with it."""
    with_edge = cv2.dilate(hole, _disc(_HOLE_EDGE)) > 0
    copper = float(np.median(patch[near & ~with_edge]))
    alone = np.where(with_edge, patch, np.uint8(copper))
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    shifted = cv2.warpAffine(alone, shift, patch.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=copper)
    return np.asarray(shifted, np.uint8)


def _disc(radius: int) -> Image:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _is_round(hole: Image) -> bool:
    contours, _ = cv2.findContours(hole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    perimeter = cv2.arcLength(contours[0], closed=True)
    return 4 * np.pi * cv2.contourArea(contours[0]) > _HOLE_ROUNDNESS * perimeter**2
