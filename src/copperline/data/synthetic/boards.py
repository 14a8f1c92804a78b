"""Golden boards: routed traces, pads, vias, grids and pours, in the style of a product.

The look follows binarised scans of bare boards at about 48 pixels per millimetre: copper is dark (0), laminate is
light (255).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from copperline.data.synthetic.elements import ELEMENTS, draw_bundle, draw_pour
from copperline.data.synthetic.shapes import Canvas, Disc, GreyImage
from copperline.data.synthetic.styles import BoardStyle
from copperline.errors import DataError

SMALLEST_SIZE = 64
_REFERENCE_AREA = 640 * 640  # the element counts of a style are for this area


@dataclass(frozen=True, slots=True)
class Board:
    """One golden board.

    Attributes:
        copper: (size, size) uint8, 255 where there is copper, before drilling.
        holes: drill holes.
    """

    copper: GreyImage
    holes: tuple[Disc, ...]

    def image(self, drill_shift: tuple[float, float] = (0.0, 0.0)) -> GreyImage:
        """(size, size) uint8: copper 0, laminate and holes 255.

        Args:
            drill_shift: pixels x, y by which the drill missed; on real boards it is no defect.
        """
        image: GreyImage = np.bitwise_not(self.copper)
        for hole in self.holes:
            Disc(hole.x + drill_shift[0], hole.y + drill_shift[1], hole.radius).draw(image, 255)
        return image


def draw_board(style: BoardStyle, rng: np.random.Generator, size: int = 640) -> Board:
    """A random board of a product. It always has some copper and some laminate.

    Args:
        style: the product's style.
        rng: source of all randomness.
        size: pixels per side, at least 64.

    Raises:
        DataError: the size is too small.
    """
    if size < SMALLEST_SIZE:
        raise DataError(
            f"expected a board size of at least {SMALLEST_SIZE} px, found {size}", fix="ask for a larger board"
        )
    while True:
        board = _finished(_filled_canvas(style, rng, size), style, rng)
        # A small crop may lie wholly on copper or laminate, which would show nothing of the product.
        if 0 < cv2.countNonZero(board.copper) < size * size:
            return board


def _filled_canvas(style: BoardStyle, rng: np.random.Generator, size: int) -> Canvas:
    canvas = Canvas(size, style.gap)
    for name, draw in ELEMENTS.items():
        for _ in range(rng.poisson(getattr(style, name) * size * size / _REFERENCE_AREA)):
            draw(canvas, style, rng)
    if not canvas.copper.any():
        draw_bundle(canvas, style, rng)
    draw_pour(canvas, style, rng)
    return canvas


def _finished(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> Board:
    """Rounds the corners, then turns and mirrors the board at random."""
    copper = cv2.GaussianBlur(canvas.copper, (0, 0), style.rounding)
    copper = cv2.threshold(copper, 127, 255, cv2.THRESH_BINARY)[1]
    holes = np.array([[hole.x, hole.y, hole.radius] for hole in canvas.holes]).reshape(-1, 3)
    if style.rotated:
        copper, holes = copper.T, holes[:, [1, 0, 2]]
    for axis in (0, 1):
        if rng.random() < 0.5:
            copper = np.flip(copper, 1 - axis)
            holes[:, axis] = canvas.size - 1 - holes[:, axis]
    return Board(np.ascontiguousarray(copper), tuple(Disc(*hole) for hole in holes.tolist()))
