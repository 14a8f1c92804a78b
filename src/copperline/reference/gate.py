"""Which tiles of a scan equal their reference, so that the network need not look at them.

On a binarised scan copper is dark and laminate light, and nothing lies between. Two scans of one board then differ in
pixels along the edges. A defect adds or takes away copper: where it is two pixels wide and two high, it changes a block
of 2 x 2 pixels wholly. A tile without any such block is skipped. This loses no defect that shows such a block, since
every tile that shows it is inspected just as it would be without the gate. That all labelled defects do, and what is
saved, is in docs/whole-boards.md.
"""

from __future__ import annotations

import cv2
import numpy as np

from copperline.data.images import Image

# Of 255, from which on a pixel has changed. Dark and light are more than twice as far apart.
LEAST_CHANGE = 96
# Grey levels that neither copper nor laminate has on a binarised scan, and the share of a tile's pixels that may have
# them: of DeepPCB's trainval boards none has more than 0.08 %, from JPEG compression.
_BETWEEN = (64, 191)
_MOST_BETWEEN = 0.005


def equals_reference(test: Image, reference: Image) -> bool:
    """Whether a tile needs no look by the network, since it shows what its reference shows.

    A tile that is binarised does if no block of 2 x 2 pixels has changed by `LEAST_CHANGE` throughout. Any other tile
    does if all of its pixels are the reference's.

    Args:
        test: (h, w) uint8 grey.
        reference: (h, w) uint8 grey, registered to `test`.

    >>> test = np.full((32, 32), 255, np.uint8)
    >>> reference, worn, pin_hole = test.copy(), test.copy(), test.copy()
    >>> worn[:, 10] = 0
    >>> pin_hole[5:7, 5:7] = 0
    >>> [equals_reference(tile, reference) for tile in (test, worn, pin_hole)]
    [True, True, False]
    """
    if not is_binarised(test):
        return bool(np.array_equal(test, reference))
    changed = cv2.threshold(cv2.absdiff(test, reference), LEAST_CHANGE - 1, 255, cv2.THRESH_BINARY)[1]
    blocks = cv2.erode(changed, np.ones((2, 2), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return cv2.countNonZero(blocks) == 0


def is_binarised(tile: Image) -> bool:
    """Whether nearly all pixels are dark or light, as copper and laminate are once a scan has been binarised."""
    return cv2.countNonZero(cv2.inRange(tile, *_BETWEEN)) <= _MOST_BETWEEN * tile.size
