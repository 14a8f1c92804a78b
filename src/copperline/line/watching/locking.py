"""One watcher for a folder, from whichever machine, and the name that the folder keeps wherever it is mounted."""

from __future__ import annotations

import json
import logging
import os
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from copperline.errors import SettingsError

OWN_FOLDER = ".copperline"
_log = logging.getLogger(__name__)


class FolderLock:
    """Holds a watched folder while it is entered. The system lets go of it when the process ends, however it ends.

    Raises (on entering):
        SettingsError: another process holds it, the message says which; or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / OWN_FOLDER
        self._lock: FileLock | None = None
        self._identity: tuple[int, int] | None = None

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        try:
            self._own.mkdir(exist_ok=True)
            lock = FileLock(self._own / "watch.lock", timeout=0)
            lock.acquire()
            self._lock, self._identity = lock, self._found()
            self._owner.write_text(json.dumps(_this_process()), encoding="utf-8")
        except Timeout as error:
            raise SettingsError(
                f"expected a folder that nobody else watches, found that {self._holder()} does",
                where=self._folder,
                fix="end that one, or watch another folder",
            ) from error
        except OSError as error:
            self.release()
            raise SettingsError(
                f"expected a folder that can be written, found that it cannot ({error.strerror or error})",
                where=self._folder,
                fix="give the account that watches the right to write and to move files there",
            ) from error

    def release(self) -> None:
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        try:
            self._owner.unlink(missing_ok=True)
            lock.release()
        except OSError as error:  # the share is away; its server lets go by itself
            _log.warning("%s: the lock could not be given back (%s)", self._folder, error)

    def renew(self) -> None:
        """Takes the lock anew if its file is another one than it was: a share was mounted again, or is away.

        Raises as on entering, and OSError.
        """
        if self._lock is None or self._found() != self._identity:
            self.release()
            self.acquire()

    def folder_id(self) -> str:
        """A UUID that stays with the folder. Raises OSError."""
        path = self._own / "folder-id"
        known = path.read_text(encoding="ascii").strip() if path.exists() else ""
        if not known:
            known = str(uuid.uuid4())
            temporary = path.with_suffix(".tmp")
            temporary.write_text(known, encoding="ascii")
            temporary.replace(path)
        return known

    def _found(self) -> tuple[int, int] | None:
        try:
            found = (self._own / "watch.lock").stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    @property
    def _owner(self) -> Path:
        return self._own / "watcher.json"

    def _holder(self) -> str:
        try:
            told = json.loads(self._owner.read_text(encoding="utf-8"))
            return f"process {told['pid']} on {told['host']} (since {told['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def _this_process() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
