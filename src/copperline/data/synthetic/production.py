"""One product as a line makes it: its golden image, and scan after scan of boards, most of them good."""

from __future__ import annotations

import numpy as np

from copperline.data.synthetic.boards import draw_board
from copperline.data.synthetic.defects import draw_defects
from copperline.data.synthetic.generate import product_number
from copperline.data.synthetic.scan import ScanSettings, binarised_scan, misregister
from copperline.data.synthetic.shapes import GreyImage
from copperline.data.synthetic.styles import BoardStyle
from copperline.detections import Detections

_GOLDEN, _BOARD = 0, 1


class Product:
    """A product that boards are made of.

    Args:
        seed: 0 or more.
        index: of the product among those of the seed; each has its own style and layout.
        size: pixels per side, at least 64.
        scan: how scans differ; None for the defaults.

    Raises:
        DataError: the size is too small.

    Attributes:
        golden: (size, size) uint8, 0 and 255, copper dark: a scan of a good board.
    """

    def __init__(self, seed: int, index: int, size: int = 640, scan: ScanSettings | None = None) -> None:
        self._seed, self._index = seed, index
        self._scan = scan or ScanSettings()
        rng = np.random.default_rng((seed, index, _GOLDEN))
        self._drawing = draw_board(BoardStyle.of_product(product_number(seed, index)), rng, size)
        self.golden = binarised_scan(self._drilled(rng), self._scan, rng)

    def board(self, number: int, defects: int = 0) -> tuple[GreyImage, Detections]:
        """A scan of the board `number` with so many defects at most, and its labels; the same each time.

        Labels are in the pixels of the drawing; the scan is shifted by up to two pixels, as it lay on the machine.

        >>> product = Product(0, 0, 160)
        >>> image, labels = product.board(7, defects=2)
        >>> image.shape, len(labels) <= 2, len(product.board(7)[1])
        ((160, 160), True, 0)
        """
        rng = np.random.default_rng((self._seed, self._index, _BOARD, number))
        image, labels = self._drilled(rng), Detections.empty()
        if defects:
            classes = rng.integers(0, 6, defects).tolist()
            image, labels = draw_defects(image, rng, classes=classes)
        return binarised_scan(misregister(image, self._scan, rng), self._scan, rng), labels

    def _drilled(self, rng: np.random.Generator) -> GreyImage:
        x, y = rng.uniform(-0.5, 0.5, 2) * self._scan.drill_shift
        return self._drawing.image((float(x), float(y)))
