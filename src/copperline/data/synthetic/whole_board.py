"""A whole board as one scan, of up to 16,000 px a side: a panel of drawn boards, under a scanner that is not rigid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from copperline.data.synthetic.boards import draw_board
from copperline.data.synthetic.defects import SMALLEST_SIDE, draw_defects
from copperline.data.synthetic.scan import ScanSettings, binarised_scan
from copperline.data.synthetic.shapes import GreyImage
from copperline.data.synthetic.sizes import DefectSizes
from copperline.data.synthetic.styles import BoardStyle
from copperline.detections import Detections
from copperline.errors import DataError

_BOARD = 640  # px, side of the boards that the panel is made of
_WINDOW = 256  # px, side of the squares of which each gets one defect at most
_AT_WINDOW = 96  # px, around a place that is asked for
_BLOCK, _HALO = 1024, 16  # px, scanned at once, and what is scanned around it
_CLASSES = 6


@dataclass(frozen=True, slots=True)
class Distortion:
    """How the reference of a whole board lies to its test image.

    Attributes:
        shift: px, to the right and down.
        rotation: degrees.
        bend: px, by which it is off here and there, in a wave of 1.5 periods over the board.
    """

    shift: tuple[float, float] = (5.3, -3.6)
    rotation: float = 0.02
    bend: float = 4.0


def draw_whole_board(
    seed: int,
    side: int,
    *,
    defects: int = 0,
    at: Sequence[tuple[int, int]] = (),
    sizes: DefectSizes | None = None,
    scan: ScanSettings | None = None,
    distortion: Distortion | None = None,
) -> tuple[GreyImage, GreyImage, Detections]:
    """A whole board and its reference. Takes some two bytes of memory for each pixel.

    Args:
        seed: 0 or more; the same seed gives the same boards.
        side: pixels, at least 512.
        defects: to draw in random places, of all classes; where there is no room, fewer are.
        at: places x, y that a defect is drawn around, where one fits.
        sizes: of the defects; None for the defaults.
        scan: how rough the scans are; None for the defaults. Shift, rotation and JPEG are not taken from it.
        distortion: None for the defaults.

    Returns:
        test (side, side) uint8, reference (side, side) uint8, 0 and 255, copper dark; and the labels of the test image.

    Raises:
        DataError: the side is too small.

    >>> test, reference, labels = draw_whole_board(3, 700, defects=2)
    >>> test.shape == reference.shape == (700, 700), len(labels)
    (True, 2)
    """
    if side < 2 * _WINDOW:
        raise DataError(f"expected a side of at least {2 * _WINDOW} px, found {side}", fix="ask for a larger board")
    rng = np.random.default_rng(seed)
    golden = _panel(side, rng)
    reference = _distorted(golden, distortion or Distortion())
    labels = _draw_defects(golden, at, defects, sizes, rng)
    scan = scan or ScanSettings()
    return _scanned(golden, scan, rng), _scanned(reference, scan, rng), labels


def _panel(side: int, rng: np.random.Generator) -> GreyImage:
    panel = np.empty((side, side), np.uint8)
    for y, x in _corners(side, _BOARD):
        board = draw_board(BoardStyle.of_product(int(rng.integers(1 << 31))), rng, _BOARD).image()
        part = panel[y : y + _BOARD, x : x + _BOARD]
        part[:] = board[: part.shape[0], : part.shape[1]]
    return panel


def _draw_defects(
    image: GreyImage,
    at: Sequence[tuple[int, int]],
    count: int,
    sizes: DefectSizes | None,
    rng: np.random.Generator,
) -> Detections:
    """Draws into `image` itself; the labels."""
    side = len(image)
    half = _AT_WINDOW // 2
    wanted = [(min(max(x - half, 0), side - _AT_WINDOW), min(max(y - half, 0), side - _AT_WINDOW)) for x, y in at]
    taken = np.zeros((-(-side // _WINDOW),) * 2, bool)
    labels = []
    for x, y in wanted:
        # Its own squares stay free of others, so that no two labels overlap.
        squares = taken[
            y // _WINDOW : (y + _AT_WINDOW - 1) // _WINDOW + 1, x // _WINDOW : (x + _AT_WINDOW - 1) // _WINDOW + 1
        ]
        if squares.any():
            continue
        drawn = _draw_one(image, x, y, _AT_WINDOW, sizes, rng)
        squares[:] = len(drawn) > 0
        labels.append(drawn)
    free = np.argwhere(~taken)
    for row, column in rng.permutation(free):
        if count <= 0:
            break
        drawn = _draw_one(image, column * _WINDOW, row * _WINDOW, _WINDOW, sizes, rng)
        count -= len(drawn)
        labels.append(drawn)
    return Detections.concatenate(labels)


def _draw_one(
    image: GreyImage, x: int, y: int, side: int, sizes: DefectSizes | None, rng: np.random.Generator
) -> Detections:
    """One defect in a square of the image, of the first class in a random order that fits well inside."""
    window = image[y : y + side, x : x + side]
    if min(window.shape) < SMALLEST_SIDE:
        return Detections.empty()
    for class_id in rng.permutation(_CLASSES).tolist():
        drawn, labels = draw_defects(window, rng, classes=[class_id], sizes=sizes)
        # A box that the square's edge cut has no margin there, and what lies beyond was not looked at.
        if len(labels) and labels.boxes.min() > 0 and (labels.boxes[0, 2:] < window.shape[::-1]).all():
            window[:] = drawn
            return labels.shifted(x, y)
    return Detections.empty()


def _distorted(image: GreyImage, distortion: Distortion) -> GreyImage:
    """Moved, turned and bent, strip by strip."""
    side = len(image)
    centre, wave = (side - 1) / 2, 3 * np.pi / side
    turn = np.exp(1j * np.radians(distortion.rotation)).astype(np.complex64)
    columns = np.arange(side, dtype=np.float32)
    moved = np.empty_like(image)
    for top in range(0, side, _BLOCK):
        rows = np.arange(top, min(top + _BLOCK, side), dtype=np.float32)[:, None]
        place = (columns - centre + 1j * (rows - centre)).astype(np.complex64) * turn
        from_x = place.real + np.float32(centre - distortion.shift[0]) + distortion.bend * np.sin(wave * rows)
        from_y = place.imag + np.float32(centre - distortion.shift[1]) + distortion.bend * np.cos(wave * columns)
        moved[top : top + len(rows)] = cv2.remap(
            image,
            from_x.astype(np.float32),
            from_y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return moved


def _scanned(image: GreyImage, scan: ScanSettings, rng: np.random.Generator) -> GreyImage:
    """As `binarised_scan`, block by block, since it takes many times an image's memory. One machine, one focus."""
    blur, roughness = float(rng.uniform(*scan.blur)), float(rng.uniform(*scan.roughness))
    same = replace(scan, blur=(blur, blur), roughness=(roughness, roughness), exposure=0.0)
    scanned = np.empty_like(image)
    for y, x in _corners(len(image), _BLOCK):
        top, left = max(0, y - _HALO), max(0, x - _HALO)
        block = binarised_scan(image[top : y + _BLOCK + _HALO, left : x + _BLOCK + _HALO], same, rng)
        part = scanned[y : y + _BLOCK, x : x + _BLOCK]
        part[:] = block[y - top : y - top + part.shape[0], x - left : x - left + part.shape[1]]
    return scanned


def _corners(side: int, step: int) -> Iterator[tuple[int, int]]:
    return ((y, x) for y in range(0, side, step) for x in range(0, side, step))
