"""From a board's files to images that are ready for the network; runs beside other boards on any thread."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import DataError as RefusedValue
from sqlalchemy.exc import IntegrityError

from copperline.errors import CopperlineError, DamagedImageError, DataError, WarehouseError
from copperline.line.inspector import LineInspector, Prepared, Submission
from copperline.line.watching.intake import FoundBoard, FoundFile
from copperline.line.watching.options import WatchOptions
from copperline.line.watching.pattern import require_usable
from copperline.line.watching.scanning import FileState
from copperline.warehouse import RequestKey, answered_request, find_inspection

# An uncompressed 16-bit colour image of the largest size that is inspected has not more.
MAX_FILE_BYTES = 2 << 30


@dataclass(frozen=True, eq=False, slots=True)
class Ready:
    """To be judged."""

    board: FoundBoard
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Answered:
    """It was inspected before; only its files are still to be moved."""

    board: FoundBoard
    inspection_id: str
    inspected_at: datetime


@dataclass(frozen=True, slots=True)
class Unusable:
    """It cannot be inspected, now or later."""

    board: FoundBoard
    error: CopperlineError


@dataclass(frozen=True, slots=True)
class NotYet:
    """A file of it is gone, changed, locked, or no whole image, and may be one later.

    Attributes:
        error: what it fails with if it stays so; None: it is only to be looked at again.
        locked: why the file cannot be opened; empty: it can.
    """

    board: FoundBoard
    error: CopperlineError | None = None
    locked: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Not the board's fault: the stage, the warehouse or the share fails, and would for the next board."""

    board: FoundBoard
    text: str


Outcome = Ready | Answered | Unusable | NotYet | Trouble


class _LaterError(Exception):
    """The file cannot be read now, but may be later; the words say why if it is there."""


class BoardReader:
    """Reads boards of one watched folder.

    Args:
        folder_id: the name that the folder keeps wherever it is mounted.
    """

    def __init__(self, line: LineInspector, options: WatchOptions, folder_id: str) -> None:
        self._line = line
        self._options = options
        self._folder_id = folder_id

    def read(self, board: FoundBoard) -> Outcome:
        """What can be made of a board. Safe to call from several threads."""
        try:
            require_usable(board.told.fields, board.test.path)
            test = self._bytes(board.test)
            reference = None if board.reference is None else self._bytes(board.reference)
            request, inspection_id = self._request(board, test, reference)
            if inspection_id is not None:
                return Answered(board, inspection_id, inspected_at(self._line, inspection_id))
            return Ready(board, self._line.prepare(self._submission(board, test, reference, request)))
        except _LaterError as error:
            return NotYet(board, locked=str(error))
        except DamagedImageError as error:
            return NotYet(board, error)
        except MemoryError:
            return Unusable(board, DataError("the image is too large for this machine's memory", where=board.test.path))
        except CopperlineError as error:
            return Trouble(board, str(error)) if is_trouble(error) else Unusable(board, error)
        except OSError as error:
            return Trouble(board, f"{error.filename or self._options.folder}: {error.strerror or error}")

    def _bytes(self, file: FoundFile) -> bytes:
        path = self._options.folder / file.path
        # A name that has become a link or a pipe since the scan must neither be followed nor waited for.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            opened = os.open(path, flags)
        except PermissionError as error:
            raise _LaterError(f"{file.path}: cannot be opened ({error.strerror}); waiting for it") from error
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
                raise _LaterError from error
            # One file on a bad sector must not stop the others; if the share is away, the next scan says so.
            raise _LaterError(f"{file.path}: cannot be read ({error.strerror}); waiting for it") from error
        with os.fdopen(opened, "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode) or not FileState.of(found).same_content_as(file.state):
                raise _LaterError
            if found.st_size > MAX_FILE_BYTES:
                raise DataError(
                    f"expected an image file of at most {MAX_FILE_BYTES:,} bytes, found {found.st_size:,}",
                    where=file.path,
                    fix="export the board in smaller tiles",
                )
            try:
                data = stream.read()
            except OSError as error:
                raise _LaterError(f"{file.path}: cannot be read ({error.strerror}); waiting for it") from error
            if not FileState.of(os.fstat(stream.fileno())).same_content_as(file.state) or len(data) != found.st_size:
                raise _LaterError
        return data

    def _request(self, board: FoundBoard, test: bytes, reference: bytes | None) -> tuple[RequestKey, str | None]:
        """The key by which the warehouse knows these files again, and the inspection that answered it before.

        It is made of the path and the test image. The reference counts only where the same test image comes a second
        time with another one: a test image that stands alone again has lost its reference to an interrupted move.
        """
        asked = _sha256("asked", _hash(test), "" if reference is None else _hash(reference))
        key = _sha256("watch", self._folder_id, board.test.path, _hash(test))
        answered = answered_request(self._line.engine, key)
        if answered is not None and reference is not None and answered[0].request_sha256 != asked:
            key = _sha256("again", key, asked)
            answered = answered_request(self._line.engine, key)
        return RequestKey(key, asked), None if answered is None else answered[1]

    def _submission(self, board: FoundBoard, test: bytes, reference: bytes | None, request: RequestKey) -> Submission:
        fields, options = board.told.fields, self._options
        return Submission(
            fields["board"],
            fields.get("station", options.station_id),
            test,
            board.test.path,
            reference,
            product_type=fields.get("product", options.product_type),
            revision=fields.get("revision", options.revision),
            line_id=fields.get("line", options.line_id),
            panel_id=fields.get("panel"),
            request=request,
        )


def inspected_at(line: LineInspector, inspection_id: str) -> datetime:
    """When the inspection was made, UTC; raises WarehouseError."""
    return find_inspection(line.engine, inspection_id)[1].inspected_at


def is_trouble(error: CopperlineError) -> bool:
    """Whether a failure is of the machine and may pass, and not of the board: its disk, database or share.

    A value that the database refuses, and a file that is not there, stay as they are.
    """
    if isinstance(error, DamagedImageError):
        return False
    causes = list(_causes(error))
    if isinstance(error, WarehouseError):
        return bool(causes) and not any(isinstance(cause, RefusedValue | IntegrityError) for cause in causes)
    return any(isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError) for cause in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha256(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()
