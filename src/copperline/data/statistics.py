"""How bright an image is, and how much its grey levels differ: a lamp that ages or a lens that mists shows here."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from copperline.data.images import Image


@dataclass(frozen=True, slots=True)
class GreyLevels:
    """Of one image.

    Attributes:
        brightness: mean, 0-255.
        contrast: standard deviation over all pixels, 0-127.5.
    """

    brightness: float
    contrast: float


def grey_levels(image: Image) -> GreyLevels:
    """Measures an (H, W) uint8 grey image.

    >>> import numpy as np
    >>> grey_levels(np.array([[0, 255], [255, 0]], np.uint8))
    GreyLevels(brightness=127.5, contrast=127.5)
    """
    mean, deviation = cv2.meanStdDev(image)
    return GreyLevels(float(mean[0, 0]), float(deviation[0, 0]))
