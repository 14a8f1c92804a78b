"""The lane: one thread in which boards are judged one after the other, and written some at a time.

One, because a network that has all cores is quicker alone than beside another. Some at a time for the sake of the
transaction: through the network they go one by one, which on a CPU is quicker than together.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from sqlalchemy.exc import InterfaceError, OperationalError

from copperline.errors import CopperlineError, WarehouseError
from copperline.line import Answer, LineInspector, Prepared
from copperline.line.inspector import Judged
from copperline.service.metrics import Metrics
from copperline.service.problems import Problem

_log = logging.getLogger(__name__)

# How much the newest batch counts in the pace.
_NEWEST = 0.2
_FIRST_GUESS_S = 0.2


@dataclass(eq=False, slots=True)
class Job:
    """A board on its way through the lane.

    Attributes:
        expires_at: of `time.monotonic`; who waited longest gives up then, so it is not worth judging any more.
        answer: cancelled, the board is not judged.
    """

    prepared: Prepared
    expires_at: float
    answer: Future[Answer] = field(default_factory=Future)


class Lane:
    """Boards wait in order; so many and no more.

    Args:
        capacity: boards that are accepted and not yet judged, those that are still being decoded among them.
        batch: boards in one transaction at most.
    """

    def __init__(self, inspector: LineInspector, metrics: Metrics, *, capacity: int, batch: int) -> None:
        self.capacity = capacity
        self._inspector = inspector
        self._metrics = metrics
        self._batch = batch
        self._waiting: deque[Job] = deque()
        self._preparing = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._seconds_per_board = _FIRST_GUESS_S
        self._typical_size = (640, 640)
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        metrics.queue_capacity.set(capacity)
        metrics.queue_depth.set_function(lambda: self.depth)

    @property
    def depth(self) -> int:
        """Boards that are accepted and not judged yet."""
        return len(self._waiting) + self._preparing

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def typical_size(self) -> tuple[int, int]:
        """Height and width of the newest board, px."""
        return self._typical_size

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Judges what waits, then ends."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def admit(self) -> None:
        """Takes a place for a board, which `leave` or `put` gives back. Raises Problem 429 if there is none."""
        with self._changed:
            if self.depth >= self.capacity:
                raise self._full()
            self._preparing += 1

    def leave(self) -> None:
        """The board of a place is not coming."""
        with self._changed:
            self._preparing -= 1

    def put(self, prepared: Prepared, expires_at: float) -> Job:
        """The board of a place is ready to be judged."""
        job = Job(prepared, expires_at)
        with self._changed:
            self._preparing -= 1
            self._waiting.append(job)
            self._changed.notify()
        return job

    def abandon(self, job: Job) -> bool:
        """Takes a board out again; False: it is too late for that, it is being judged."""
        if not job.answer.cancel():
            return False
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
        return True

    def retry_after_s(self) -> int:
        """When what waits now will have been judged, by the pace so far; full seconds, at least 1."""
        return max(1, math.ceil(self.depth * self._seconds_per_board))

    def _full(self) -> Problem:
        wait = self.retry_after_s()
        return Problem(
            429,
            "queue-full",
            "Too many boards are waiting",
            f"expected room in the queue, found {self.capacity} boards waiting; try again in {wait} s",
            headers={"Retry-After": str(wait)},
        )

    def _run(self) -> None:
        while (count := self._wait()) > 0:
            started = time.monotonic()
            done = self._judge_some(count)
            if done:
                self._write(done)
                self._metrics.batch_boards.observe(len(done))
                pace = (time.monotonic() - started) / len(done)
                self._seconds_per_board += _NEWEST * (pace - self._seconds_per_board)

    def _wait(self) -> int:
        """How many boards to take together; 0: it is over."""
        with self._changed:
            while not self._waiting and not (self._stopping and not self._preparing):
                self._changed.wait(timeout=0.5)
            return min(len(self._waiting), self._batch)

    def _judge_some(self, count: int) -> list[tuple[Job, Judged]]:
        done = []
        for _ in range(count):
            job = self._next()
            if job is None:
                break
            started = time.monotonic()
            try:
                judged = self._inspector.judge(job.prepared)
            except CopperlineError as error:
                job.answer.set_exception(error)
            except Exception as error:  # noqa: BLE001  # a bug fails one board, and not the lane
                _log.exception("a board could not be judged")
                job.answer.set_exception(error)
            else:
                done.append((job, judged))
                self._metrics.judging_seconds.observe(time.monotonic() - started)
                height, width = job.prepared.test.image.shape[:2]
                self._typical_size = height, width
        return done

    def _next(self) -> Job | None:
        """The next board that somebody still waits for; None: there is none."""
        while True:
            with self._changed:
                if not self._waiting:
                    return None
                job = self._waiting.popleft()
            if time.monotonic() > job.expires_at:
                job.answer.cancel()
            if job.answer.set_running_or_notify_cancel():
                return job

    def _write(self, done: list[tuple[Job, Judged]]) -> None:
        try:
            answers = self._inspector.write([judged for _, judged in done])
        except Exception as error:  # noqa: BLE001  # told to whoever waits
            if len(done) > 1 and _may_be_of_one(error):
                _log.warning(
                    "a batch of %d boards could not be written, so each is written alone: %s", len(done), error
                )
                for one in done:
                    self._write([one])
                return
            if not isinstance(error, CopperlineError):
                _log.exception("a board could not be written")
            for job, _ in done:
                job.answer.set_exception(error)
            return
        for (job, judged), answer in zip(done, answers, strict=True):
            if answer.written.new:
                self._metrics.saw_inspection(judged.document.call)
            job.answer.set_result(answer)


def _may_be_of_one(error: Exception) -> bool:
    """Whether one record may be why a batch was refused, and not a lock, a full disk or a database that is gone."""
    return not (isinstance(error, WarehouseError) and isinstance(error.__cause__, OperationalError | InterfaceError))
