"""Events of the file system, where it has them, only wake the watcher sooner: what counts is what a scan finds."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

_TELLING = frozenset({"created", "modified", "moved", "closed"})
_log = logging.getLogger(__name__)


@contextmanager
def events_of(folder: Path, leave_out: Iterable[Path], wake: Callable[[], None]) -> Iterator[bool]:
    """While it is entered `wake` is called, on another thread, when something is written or comes below `folder`.

    Yields whether there are events. Without watchdog, on most shares, and where the system's limit is reached, there
    are none; a note goes to the log.
    """
    observer = _observer(folder, leave_out, wake)
    if observer is None:
        yield False
        return
    try:
        yield True
    finally:
        observer.stop()
        observer.join(5.0)


def _observer(folder: Path, leave_out: Iterable[Path], wake: Callable[[], None]) -> BaseObserver | None:
    try:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer
    except ImportError:
        _log.info("%s: polled only, as watchdog is not installed", folder)
        return None
    # It calls it an error when an event comes while it is being stopped; events are no more than hints here.
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    left_out = tuple(str(path) + os.sep for path in leave_out)

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            path = os.fsdecode(event.dest_path or event.src_path)
            # What the watcher does itself must not wake it: it moves files out, and reads them.
            if event.event_type in _TELLING and not path.startswith(left_out):
                wake()

    try:
        observer = Observer()
        observer.schedule(Handler(), str(folder), recursive=True)
        observer.start()
    except (OSError, RuntimeError) as error:
        _log.info("%s: polled only, as the file system gives no events (%s)", folder, error)
        return None
    return observer
