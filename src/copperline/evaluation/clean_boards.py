"""Defect-free boards, made from labelled ones, to count false calls on."""

from __future__ import annotations

import numpy as np

from copperline.data.images import Image
from copperline.detections import Detections


def clean_board(test: Image, registered_reference: Image, labels: Detections) -> Image:
    """The test image with its labelled boxes filled with its registered reference's pixels.

    A reference compared with itself would prove nothing. This board is free of (labelled) defects and keeps its own
    scan's noise and misregistration everywhere else; inspect it against the same reference as the test image.

    Args:
        test: (H, W) or (H, W, 3) uint8; not changed.
        registered_reference: of the same shape, aligned with `test`.
        labels: in pixels of `test`; boxes are taken out to whole pixels and cut to the image.

    Returns:
        A new array of the shape of `test`.

    Raises:
        ValueError: the shapes differ.

    >>> test, reference = np.zeros((4, 4), np.uint8), np.full((4, 4), 9, np.uint8)
    >>> clean_board(test, reference, Detections.of([[1, 1, 2.5, 2]], [0])).tolist()
    [[0, 0, 0, 0], [0, 9, 9, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    if test.shape != registered_reference.shape:
        raise ValueError(f"expected a reference of shape {test.shape}, found {registered_reference.shape}")
    clean = test.copy()
    corners = np.concatenate([np.floor(labels.boxes[:, :2]), np.ceil(labels.boxes[:, 2:])], axis=1)
    for x1, y1, x2, y2 in corners.clip(min=0).astype(int):
        clean[y1:y2, x1:x2] = registered_reference[y1:y2, x1:x2]
    return clean
