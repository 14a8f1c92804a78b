"""Files of a stage: listing them with the time of their last change, and reading them; on disk, by a URL, or on a
stage of Snowflake."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from copperline.errors import DataError, StageError
from copperline.stage import snowflake_files, urls
from copperline.stage.location import Location, on_snowflake


@dataclass(frozen=True, slots=True)
class StageFile:
    """Attributes:
    location: absolute path, URL, or place on a Snowflake stage.
    size: bytes.
    changed_at: when its content last changed, UTC, by the clock of where it lies; None: not told. On disk this is the
        later of its times of modification and of status change: a copy that keeps its old time of modification still
        counts as changed when it arrived.
    """

    location: Location
    size: int
    changed_at: datetime | None


def list_files(place: Location, suffixes: frozenset[str]) -> list[StageFile]:
    """The files in a folder or below a URL, and in its subfolders, with one of `suffixes`, by name; no hidden ones.

    Raises:
        DataError: there is no such folder.
        StageError: the stage, or a folder in it, cannot be read.
    """
    files = _on_disk(place) if isinstance(place, Path) else _by_url(place)
    return sorted((file for file in files if _wanted(file.location, suffixes)), key=lambda file: str(file.location))


def read_bytes(location: Location) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: this file is not there, or may not be read: others may be.
        StageError: the stage cannot be reached, so that others cannot be read either.
    """
    if isinstance(location, str):
        return snowflake_files.read(location) if on_snowflake(location) else urls.read(location)
    try:
        return location.read_bytes()
    except OSError as error:
        raise DataError(
            f"expected an image, but the file cannot be read ({error.strerror})", where=location, fix="check the path"
        ) from error


def require_readable(location: Location) -> None:
    """Raises DataError or StageError unless the file's first byte can be read from here."""
    if isinstance(location, str):
        if on_snowflake(location):
            snowflake_files.read(location, end=1)
        else:
            urls.read(location, end=1)
        return
    try:
        with location.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror})", where=location, fix="check the path and its rights"
        ) from error


def _on_disk(folder: Path) -> Iterator[StageFile]:
    if not folder.is_dir():
        raise DataError("expected a folder with board images, found none", where=folder, fix="check the path")
    for parent, _, names in os.walk(folder, onerror=_refuse):
        for name in names:
            path = Path(parent, name)
            try:
                # Of the link too, if it is one: it may have been turned to another file.
                status, own = path.stat(), path.lstat()
            except FileNotFoundError:
                continue  # gone since it was listed, or a link to nothing
            if not stat.S_ISREG(status.st_mode):
                continue  # a pipe would be waited for without end
            changed = max(status.st_mtime, status.st_ctime, own.st_mtime, own.st_ctime)
            yield StageFile(path, status.st_size, datetime.fromtimestamp(changed, UTC))


def _refuse(error: OSError) -> None:
    # A folder that is left out in silence would be boards that nobody looked at.
    raise StageError(
        f"the folder cannot be listed ({error.strerror})", where=error.filename, fix="check its rights and its disk"
    ) from error


def _by_url(url: str) -> Iterator[StageFile]:
    finder = snowflake_files.find if on_snowflake(url) else urls.find
    for found, size, changed_at in finder(url):
        yield StageFile(found, size, changed_at)


def _wanted(location: Location, suffixes: frozenset[str]) -> bool:
    name = os.path.basename(location)  # noqa: PTH119 - half a microsecond instead of three, for each of a million
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes  # noqa: PTH122
