"""Reading whole-board scans, whose pixels are hundreds of millions: in grey at once, and only where there is memory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from copperline.data.images import Image, decode_image, image_size, out_of_memory, to_grey
from copperline.data.memory import available_memory
from copperline.errors import DataError

# From so many pixels on, colours would cost memory that matters, and the file is read only if there is enough.
SCAN_PIXELS = 16_000_000
# Bytes for each pixel that decoding takes at most: progressive JPEG in colour and TIFF of one strip; others take 2.
_DECODING = 4
# What inspection itself needs beside the images, bytes: network, registration on reduced images.
_SPARE = 300 << 20


def read_hashed(path: Path) -> tuple[Image, str]:
    """Reads and decodes an image once, in grey, with the SHA-256 of just those bytes.

    Args:
        path: as for `read_image`.

    Returns:
        (H, W) uint8, and the hexadecimal hash.

    Raises:
        DataError: as `read_image`; or the image is a scan, and there is not enough memory to decode it.
    """
    try:
        with path.open("rb") as stream:
            width, height = image_size(stream, path)
            is_scan = width * height >= SCAN_PIXELS
            if is_scan:
                _require_memory(os.fstat(stream.fileno()).st_size + width * height * _DECODING + _SPARE, path)
            data = stream.read()
    except MemoryError as error:
        raise out_of_memory(path) from error
    except OSError as error:
        raise DataError(
            f"expected an image, but the file cannot be read ({error.strerror})", where=path, fix="check the path"
        ) from error
    sha256 = hashlib.sha256(data).hexdigest()
    return to_grey(decode_image(data, path, grey=is_scan)), sha256


def _require_memory(needed: int, where: Path) -> None:
    free = available_memory()
    if free is not None and free < needed:
        raise DataError(
            f"expected {needed >> 20:,} MiB of free memory to inspect a scan of this size, found {free >> 20:,}",
            where=where,
            fix="end other programs, use a machine with more memory, or export the board in smaller tiles",
        )
