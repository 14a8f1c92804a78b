"""From grey images to the network's input."""

from __future__ import annotations

import cv2
import numpy as np

from copperline.data.images import Image
from copperline.detections import FloatArray


def network_input(test: Image, reference: Image | None, stride: int) -> FloatArray:
    """The three channels that `ModelInfo` describes, as a batch of one.

    Args:
        test: (H, W) uint8 grey.
        reference: (H, W) uint8 grey, registered to `test`; or None.
        stride: H and W are padded to multiples of it at the right and the bottom by repeating the edge, so pixel
            (x, y) of the input is pixel (x, y) of the image.

    Returns:
        (1, 3, H', W') float32 in [0, 1]: test, reference, their absolute difference; without a reference the latter
        two are 0.

    >>> test = np.array([[255, 0], [0, 0]], np.uint8)
    >>> network_input(test, 255 - test, 2)[0, :, 0, 0].tolist()
    [1.0, 0.0, 1.0]
    >>> network_input(test, None, 32).shape
    (1, 3, 32, 32)
    """
    test = _padded(test, stride)
    channels = np.zeros((1, 3, *test.shape), np.float32)
    np.multiply(test, np.float32(1 / 255), out=channels[0, 0])
    if reference is not None:
        reference = _padded(reference, stride)
        np.multiply(reference, np.float32(1 / 255), out=channels[0, 1])
        np.multiply(cv2.absdiff(test, reference), np.float32(1 / 255), out=channels[0, 2])
    return channels


def _padded(image: Image, stride: int) -> Image:
    height, width = image.shape
    bottom, right = -height % stride, -width % stride
    if bottom == 0 and right == 0:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)
