"""Registration of a whole-board scan: as a whole on reduced images, then each tile by itself.

A scanner's carriage does not run evenly and a panel is not quite flat, so one rotation and shift does not bring all of
a scan of 16,000 px onto its reference. It tells where a tile's part of the reference lies to within some px; the tile's
own registration finds the rest. Of the full images no copy is made.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import cv2
import numpy as np

from copperline.data.images import Image
from copperline.detections import FloatArray
from copperline.errors import DataError
from copperline.reference.motion import Motion, centre_of, moved_by, reduced, reduction
from copperline.reference.registration import (
    agreement,
    best_motion,
    best_motion_with_size,
    match_score,
    size_left,
)

# Of each side. Beyond the reference's edge its last pixels go on, so what lies there is compared with those.
MAX_SIZE_DIFFERENCE = 0.01
# A change of size is tried where it moves a corner of the scan so far; below, a tile's moves by a fraction of a pixel.
_SIZE_ABOVE = 8.0  # px


@dataclass(frozen=True, slots=True)
class RegisteredTile:
    """The part of the reference that belongs to a tile of the scan.

    Attributes:
        reference: (h, w) uint8, aligned to the tile.
        score: how surely the two show the same part of the board, in [0, 1], see `match_score`.
    """

    reference: Image
    score: float


class ScanRegistration:
    """Where each part of a scan lies in its reference. Safe to call from several threads.

    Args:
        test: (H, W) uint8 grey.
        reference: (H', W') uint8 grey; its sides may differ from the scan's by 1 %, see `require_similar_size`.

    Raises:
        DataError: the sizes differ by more.
    """

    def __init__(self, test: Image, reference: Image) -> None:
        require_similar_size(test, reference, "reference")
        self._reference = reference
        self._centre = centre_of(test.shape)
        factor = reduction(test.shape)
        small_test = reduced(test, factor)
        small_reference = _fitted(reduced(reference, factor), small_test.shape)
        self._whole = _whole_motion(small_test, small_reference, factor).enlarged(factor)

    def tile(self, test: Image, x: int, y: int) -> RegisteredTile:
        """The reference of one tile.

        Args:
            test: (h, w) uint8, the scan's pixels from (x, y) on.
            x, y: the tile's top left corner in the scan.
        """
        shape = test.shape
        origin = complex(x, y)
        expected = self._whole.about(origin + centre_of(shape) - self._centre)
        factor = reduction(shape)
        small_test = reduced(test, factor)
        at_expected = self._window(expected, origin, shape)
        found = expected.after(best_motion(small_test, reduced(at_expected, factor)).enlarged(factor))
        # Whole pixels leave edges as sharp as they are.
        whole_pixels = Motion(complex(round(found.shift.real), round(found.shift.imag)))
        candidates = [self._window(motion, origin, shape) for motion in (whole_pixels, found)] + [at_expected]
        best = min(candidates, key=lambda window: cv2.norm(test, window, cv2.NORM_L1))
        return RegisteredTile(best, match_score(small_test, reduced(best, factor)))

    def _window(self, motion: Motion, origin: complex, shape: tuple[int, int]) -> Image:
        """The (h, w) pixels of the reference where `motion`, about the tile's centre, says that the tile lies."""
        matrix = motion.matrix(shape).astype(np.float64)
        matrix[:, 2] += origin.real, origin.imag
        window = cv2.warpAffine(
            self._reference,
            matrix,
            (shape[1], shape[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(window, np.uint8)


def require_similar_size(test: Image, reference: Image, where: str | os.PathLike[str]) -> None:
    """Raises DataError naming `where`, the reference, if a side differs by more than 1 % of the scan's."""
    for found, side in zip(reference.shape[:2], test.shape[:2], strict=True):
        if abs(found - side) > MAX_SIZE_DIFFERENCE * side:
            raise DataError(
                f"expected a reference of the scan's size {test.shape[1]} x {test.shape[0]}, up to "
                f"{MAX_SIZE_DIFFERENCE:.0%} of a side more or less, found {reference.shape[1]} x {reference.shape[0]}",
                where=where,
                fix="export both from the same crop, at the same resolution",
            )


def _whole_motion(test: FloatArray, reference: FloatArray, factor: int) -> Motion:
    """What brings the reduced reference onto the reduced scan best, with a change of size where there seems to be one.

    `factor` is by how much they are reduced.
    """
    motion = best_motion(test, reference)
    height, width = test.shape
    size_step = Motion(log_scale=size_left(test, reference, motion))
    if size_step.reach((height * factor, width * factor)) <= _SIZE_ABOVE:
        return motion
    sized = best_motion_with_size(test, reference)
    if sized is None:
        return motion
    return max(motion, sized, key=lambda candidate: agreement(test, moved_by(reference, candidate)))


def _fitted(image: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """The image cut to `shape`, or filled up by repeating its edge, at the right and the bottom."""
    height, width = shape
    image = image[:height, :width]
    bottom, right = height - image.shape[0], width - image.shape[1]
    if bottom == 0 and right == 0:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.float32)
