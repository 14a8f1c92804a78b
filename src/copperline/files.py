"""Atomic writes: a file or folder is either wholly there or not there at all."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from copperline.errors import DataError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it replaces `path`, on failure it vanishes.

    Parent folders are made. Raises DataError if the place cannot be written (full, read-only, no permission).
    """
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _discard(temporary)


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool = False, marker: str) -> Iterator[Path]:
    """Yields an empty temporary folder beside `target`; on success it becomes `target`, on failure it vanishes.

    Args:
        target: the folder to make. If it exists and holds anything, `overwrite` must be true.
        overwrite: swap an existing folder for the new one, but only if it holds `marker`, so that a mistyped path
            does not cost anybody a folder of something else.
        marker: a file, relative to the folder, that tells a folder written by Copperline.

    Raises:
        DataError: the target exists, or the place cannot be written (full, read-only, no permission).
    """
    require_replaceable(target, overwrite, marker)
    temporary = _beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        _swap(temporary, target)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        _discard(temporary)


def read_whole(path: Path) -> bytes:
    """The bytes of a file; raises DataError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror})", where=path, fix="check the path and its rights"
        ) from error


def copy_into(source: Path, target: Path) -> bytes:
    """Copies a file and gives its bytes; raises DataError if the source cannot be read, OSError if not written."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror})", where=source, fix="import the data set again"
        ) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return data


def file_name(board_id: str, suffix: str) -> str:
    """The file name of a board's image; raises DataError if the board's id cannot be one.

    >>> file_name("20085000", ".jpg")
    '20085000.jpg'
    """
    if not board_id or board_id.startswith(".") or any(c in '/\\:*?"<>|' or ord(c) < 32 for c in board_id):
        raise DataError(f"expected a board id that can be a file name, found {board_id!r}", fix="rename the board")
    return board_id + suffix


def unwritable(path: Path, error: OSError) -> DataError:
    """The DataError for a failed write, naming the file that the system named."""
    named = error.filename if isinstance(error.filename, str) else None
    detail = f" ({named})" if named is not None and named != str(path) else ""
    return DataError(
        f"cannot be written: {error.strerror or error}{detail}",
        where=path,
        fix="free space or choose a folder that you may write to; nothing was changed",
    )


def _beside(path: Path) -> Path:
    return path.absolute().with_name(f".{path.absolute().name}.{uuid.uuid4().hex[:8]}.tmp")


def _discard(path: Path) -> None:
    """Removes what is left of a failed write; if even that fails, the write's own error is the one to tell."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def require_replaceable(target: Path, overwrite: bool, marker: str) -> None:
    """What `atomic_folder` checks first; to be asked before long work. Raises DataError."""
    try:
        occupied = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise unwritable(target, error) from error
    if not occupied:
        return
    if not overwrite:
        raise DataError("the folder exists already", where=target, fix="choose another folder or allow overwriting")
    if not (target / marker).exists():
        raise DataError(
            f"expected a folder with {marker} to overwrite, found something else",
            where=target,
            fix="choose another folder",
        )


def _swap(new: Path, target: Path) -> None:
    """Puts `new` in the place of `target`; if that fails half-way, the old folder is put back."""
    if not target.exists():
        new.replace(target)
        return
    old = _beside(target)
    target.replace(old)
    try:
        new.replace(target)
    except OSError:
        old.replace(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
