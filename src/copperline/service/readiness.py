"""Whether the service can inspect now, and if not, why."""

from __future__ import annotations

import math
import shutil
import threading
import time
from pathlib import Path

from sqlalchemy import Engine, select

from copperline.errors import CopperlineError
from copperline.service.lane import Lane
from copperline.stage import Stage
from copperline.warehouse import write_transaction

# Asking costs a write lock, so an answer is good for this long, however many ask.
FRESH_S = 1.0
# Room for some images and for the database to grow.
LEAST_FREE_BYTES = 64 * 2**20


class Readiness:
    """Safe to ask from several threads."""

    def __init__(self, engine: Engine, stage: Stage, lane: Lane) -> None:
        self._engine = engine
        self._stage = stage
        self._lane = lane
        self._lock = threading.Lock()
        self._asked_at = -math.inf
        self._storage: tuple[str, ...] = ("the warehouse has not been looked at yet",)

    def reasons(self) -> tuple[str, ...]:
        """Why not; empty: it can."""
        reasons = []
        if not self._lane.is_alive:
            reasons.append("the thread that inspects has ended; restart the service")
        if self._lane.depth >= self._lane.capacity:
            reasons.append(f"the queue is full: {self._lane.capacity} boards wait")
        return (*reasons, *self._of_storage())

    def _of_storage(self) -> tuple[str, ...]:
        # While one looks, which a locked warehouse can make long, the others get what was found before.
        if time.monotonic() - self._asked_at >= FRESH_S and self._lock.acquire(blocking=False):
            try:
                self._storage = tuple(self._look())
                self._asked_at = time.monotonic()
            finally:
                self._lock.release()
        return self._storage

    def _look(self) -> list[str]:
        reasons = []
        try:
            with write_transaction(self._engine) as connection:
                connection.execute(select(1))
        except CopperlineError as error:
            reasons.append(f"the warehouse cannot be written: {error.problem}")
        try:
            free = shutil.disk_usage(_there(self._stage.folder)).free
        except OSError as error:
            reasons.append(f"the stage cannot be looked at ({error.strerror})")
        else:
            if free < LEAST_FREE_BYTES:
                reasons.append(f"the stage has less than {LEAST_FREE_BYTES // 2**20} MiB free")
        return reasons


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: the stage is made with the first image."""
    return next(path for path in (folder, *folder.parents) if path.exists())
