"""Where images of the line are kept, each once, by the hash of its bytes: in a folder, or on a stage of Snowflake."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from copperline.files import atomic_file
from copperline.settings import Settings
from copperline.stage.snowflake_files import put_bytes
from copperline.stage.stage_path import StagePath

if TYPE_CHECKING:
    from snowflake.snowpark import Session

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
        path = self.folder / _relative_path(data, sha256)
        if not (path.is_file() and path.stat().st_size == len(data)):
            with atomic_file(path) as temporary:
                temporary.write_bytes(data)
        return StoredImage(path, sha256)


@dataclass(frozen=True, slots=True)
class StagedImage:
    """Attributes:
    location: as `read_bytes` and rows take it.
    sha256: hexadecimal, of the bytes.
    """

    location: str
    sha256: str


class SnowflakeStage:
    """As `Stage`, in a folder on a Snowflake stage."""

    def __init__(self, session: Session, place: StagePath) -> None:
        self.session, self.place = session, place

    def put(self, data: bytes) -> StagedImage:
        """Keeps the bytes of an image file, whole or not at all; raises SnowflakeError or StageError."""
        sha256 = hashlib.sha256(data).hexdigest()
        file = self.place / _relative_path(data, sha256)
        # What is there has the same content, and keeps the time of its change: it need not be inspected again.
        put_bytes(self.session, file, data, overwrite=False)
        return StagedImage(str(file), sha256)


def _relative_path(data: bytes, sha256: str) -> str:
    suffix = next((suffix for magic, suffix in _SUFFIXES if data.startswith(magic)), ".pgm")
    return f"{sha256[:2]}/{sha256}{suffix}"
