"""Moving a board's files out of the watched folder: whole, never over another file, the same however often it is tried.

Only one watcher moves files of a folder (locking.py), so looking for a free name and taking it need not be one step.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from copperline.line.watching.intake import FoundFile
from copperline.line.watching.scanning import FileState

REASON_SUFFIX = ".reason.json"
# Bytes of a name that the usual file systems take.
_LONGEST_NAME = 255
_REMEMBERED = 10_000


class GoneError(Exception):
    """The file is not there any more."""


class ChangedError(Exception):
    """The file was written to since it was read: what lies there now is another board."""


class Placer:
    """Moves files from one folder into others.

    Args:
        folder: the watched one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[Path, int] = {}

    def move(self, file: FoundFile, root: Path, below: str = "", reason: Mapping[str, Any] | None = None) -> Path:
        """Moves a file to the same relative path below `root / below`, and gives the path that it has there.

        Where another file has that name, it gets a number; where the same bytes lie there, it is only taken away:
        that is a move which was interrupted.

        Args:
            root: a folder that is there; only inside the watched folder it is made where it is missing.
            reason: is written beside it, before it comes.

        Raises:
            GoneError: the file is not there any more.
            ChangedError: it was written to.
            OSError: it cannot be moved now; it is where it was, or already moved if the failure came last.
        """
        source = self._folder / file.path
        _require_unchanged(source, file.state)
        into = root / below
        if not (root.is_relative_to(self._folder) or root.is_dir()):
            # A share that is not mounted: what was put into its mount point would be hidden when it comes back.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(root))
        parent = _made(into, file.path.split("/")[:-1])
        target, is_there = self._target(parent / source.name, source)
        if reason is not None:
            _write_reason(target, reason)
        if is_there:
            source.unlink()
            return target
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(source, target)
            _require_unchanged(source, file.state)
            source.unlink()
        return target

    def _target(self, wanted: Path, source: Path) -> tuple[Path, bool]:
        """A free name, or that of a file with the same bytes."""
        # Where a machine gives every board the same name, not every number is tried for each.
        number = self._numbers.get(wanted, 1)
        while True:
            target = wanted if number == 1 else wanted.with_name(_numbered(wanted.name, number))
            if not os.path.lexists(target):
                break
            if _same_bytes(target, source):
                return target, True
            number += 1
        if len(self._numbers) > _REMEMBERED:
            self._numbers.clear()
        self._numbers[wanted] = number
        return target, False


def _require_unchanged(path: Path, state: FileState) -> None:
    try:
        found = FileState.of(path.stat(follow_symlinks=False))
    except FileNotFoundError as error:
        raise GoneError from error
    if not found.same_content_as(state):
        raise ChangedError


def _made(into: Path, folders: list[str]) -> Path:
    """The folder, made if it is missing; where a file has its name, one with a number."""
    parent = into
    for name in folders:
        number, below = 1, parent / name
        while os.path.lexists(below) and not below.is_dir():
            number += 1
            below = parent / _numbered(name, number)
        parent = below
    parent.mkdir(parents=True, exist_ok=True)
    return parent


def _numbered(name: str, number: int) -> str:
    """`name` with a number before its suffix, no longer than a name may be.

    >>> _numbered("B1_test.png", 2), len(_numbered("x" * 251 + ".png", 12))
    ('B1_test-2.png', 255)
    """
    stem, dot, suffix = name.rpartition(".")
    return _shortened(stem or name, f"-{number}{dot}{suffix}" if stem else f"-{number}")


def _shortened(start: str, end: str) -> str:
    while start and len(os.fsencode(start + end)) > _LONGEST_NAME:
        start = start[:-1]
    return start + end


def _same_bytes(path: Path, other: Path) -> bool:
    """Of two files; what is no file has no bytes."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != other.stat().st_size:
        return False
    return _sha256(path) == _sha256(other)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _copy(source: Path, target: Path) -> None:
    """To another file system: whole and on its disk, or not there under this name."""
    # Always the same name, so that what an end of the process leaves is written over by the next try.
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    temporary = target.with_name(f".copperline-{name}.tmp")
    try:
        with source.open("rb") as reader, temporary.open("wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(source, temporary)
        temporary.rename(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _write_reason(target: Path, reason: Mapping[str, Any]) -> None:
    path = target.with_name(_shortened(target.name, REASON_SUFFIX))
    temporary = path.with_name(f".copperline-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.tmp")
    temporary.write_text(json.dumps(reason, indent=2, default=str) + "\n", encoding="utf-8")
    temporary.replace(path)
