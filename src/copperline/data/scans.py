"""Decoding whole-board scans, of hundreds of millions of pixels: in grey at once, and only where there is memory."""

from __future__ import annotations

import io
import os

from copperline.data.images import Image, decode_image, image_size, to_grey
from copperline.data.memory import available_memory
from copperline.errors import DataError

# From so many pixels on, colours would cost memory that matters, and an image is decoded only if there is enough.
SCAN_PIXELS = 16_000_000
# Bytes for each pixel that decoding takes at most: progressive JPEG in colour and TIFF of one strip; others take 2.
_DECODING = 4
# What inspection itself needs beside the images, bytes: network, registration on reduced images.
_SPARE = 300 << 20


def decode_grey(data: bytes, where: str | os.PathLike[str]) -> Image:
    """As `decode_image`, always (H, W) uint8 grey. A scan never is in memory in colour.

    Raises:
        DataError: as `decode_image`; or the image is a scan, and there is not enough memory to decode it.
    """
    width, height = image_size(io.BytesIO(data), where)
    is_scan = width * height >= SCAN_PIXELS
    if is_scan:
        _require_memory(width * height * _DECODING + _SPARE, where)
    return to_grey(decode_image(data, where, grey=is_scan))


def _require_memory(needed: int, where: str | os.PathLike[str]) -> None:
    free = available_memory()
    if free is not None and free < needed:
        raise DataError(
            f"expected {needed >> 20:,} MiB of free memory to inspect a scan of this size, found {free >> 20:,}",
            where=where,
            fix="end other programs, use a machine with more memory, or export the board in smaller tiles",
        )
