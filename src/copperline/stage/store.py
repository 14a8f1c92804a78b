"""Where images of the line are kept, each once, by the hash of its bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from copperline.files import atomic_file
from copperline.settings import Settings

# First bytes -> suffix; what is none of these is no image, and is refused before it comes here.
_SUFFIXES = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"BM", ".bmp"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"))


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Attributes:
    path: absolute.
    sha256: hexadecimal, of the bytes.
    """

    path: Path
    sha256: str


class Stage:
    """The folder `settings.stage`; it is made with the first image.

    A name that follows from the content never has to be invented or quoted, and the same golden image a thousand
    times is one file.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.stage

    def put(self, data: bytes) -> StoredImage:
        """Keeps the bytes of an image file, whole or not at all; raises DataError if the place cannot be written."""
        sha256 = hashlib.sha256(data).hexdigest()
        suffix = next((suffix for magic, suffix in _SUFFIXES if data.startswith(magic)), ".pgm")
        path = self.folder / sha256[:2] / f"{sha256}{suffix}"
        if not (path.is_file() and path.stat().st_size == len(data)):
            with atomic_file(path) as temporary:
                temporary.write_bytes(data)
        return StoredImage(path, sha256)
