"""The watched folder: boards that stations drop there become inspections, each once.

One thread leads (`Watcher.run`) and has the network; beside it two read and decode ahead, one scans the folder and one
writes and moves. Only the leader changes what is known of the files, so there is nothing to lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import TypeVar

from copperline.errors import CopperlineError, DataError, SettingsError
from copperline.inspection import Detector
from copperline.line.inspector import Judged, LineInspector
from copperline.line.watching.finishing import Finisher, InterruptedFinishError, Leaving, Left
from copperline.line.watching.intake import FoundBoard, Intake
from copperline.line.watching.locking import FolderLock
from copperline.line.watching.options import WatchOptions
from copperline.line.watching.reading import Answered, BoardReader, NotYet, Outcome, Ready, Trouble, Unusable
from copperline.line.watching.scanning import Scan, scan
from copperline.line.watching.summary import InspectedBoard, Listener, WatchSummary
from copperline.line.watching.waking import events_of

Value = TypeVar("Value")

_READERS = 2
# Boards, and bytes of their files, of which at most so many are in memory.
_READ_AHEAD, _READ_AHEAD_BYTES = 6, 64 << 20
# More than this wait for the warehouse only while it is in trouble; then no more boards are taken.
_BATCH = 32
# However many events come, the folder is listed so often at most, and between two lists, as between two looks at what
# is known of its files, there is so many times as much time as they take.
_SHORTEST_POLL_S, _SCAN_SHARE, _LOOK_SHARE = 0.1, 4.0, 10.0
_RETRY_S, _LONGEST_RETRY_S = 0.5, 30.0
# Of one file, which does not keep the others waiting.
_LONGEST_HOLD_S = 5.0
# A machine that is busy with other things must not look like one that waits in vain.
_PATIENCE_S = 2.0
_REMEMBERED = 100
_log = logging.getLogger(__name__)


class Watcher:
    """Watches one folder.

    Args:
        line: inspects.
        listener: is told of each board.
        stop: ends `run` after the board in hand; safe to set from a signal handler.
        latest: gives the detector for the next board; None: always the one that `line` has.
    """

    def __init__(
        self,
        line: LineInspector,
        options: WatchOptions,
        listener: Listener,
        stop: threading.Event,
        *,
        latest: Callable[[], Detector] | None = None,
    ) -> None:
        self.summary = WatchSummary()
        self._line = line
        self._options = options
        self._listener = listener
        self._stop = stop
        self._latest = latest
        self._intake = Intake(options.pattern, settle_s=options.settle_s, pair_wait_s=options.pair_wait_s)
        self._ended = threading.Event()
        self._finisher = Finisher(line, options, self._ended, self._tell_of_warehouse)
        self._wake = threading.Event()
        self._queue: deque[FoundBoard] = deque()
        self._reads: deque[tuple[FoundBoard, Future[Outcome]]] = deque()
        self._batch: list[Leaving] = []
        self._left: SimpleQueue[Left] = SimpleQueue()
        self._notices: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._troubles: dict[str, str] = {}
        self._finishing: Future[None] | None = None
        self._scanning: Future[Scan] | None = None
        self._dirty = False
        self._scan_at = self._look_at = self._read_at = 0.0
        self._scan_started = self._scan_floor = 0.0
        self._scans = 0
        self._scan_delay = self._read_delay = _RETRY_S
        self._told_unreadable: set[str] = set()
        self._told_once: deque[str] = deque(maxlen=_REMEMBERED)
        self._went_on_at = time.monotonic()

    def run(self, *, once: bool = False) -> WatchSummary:
        """Inspects until it is stopped.

        Args:
            once: end when every board that lies in the folder at the start is through. What can then not be used
                yet, for a file that stays locked or a disk that stays full, is left there.

        Raises:
            SettingsError: the folder cannot be watched, or another process does.
        """
        self._options.prepare()
        own = self._options.own_folders
        with ExitStack() as stack:
            lock = stack.enter_context(FolderLock(self._options.folder))
            reader = BoardReader(self._line, self._options, lock.folder_id())
            stack.enter_context(events_of(self._options.folder, own, self._woken_by_file))
            readers = stack.enter_context(_pool(_READERS, "read"))
            scanner = stack.enter_context(_pool(1, "scan"))
            finisher = stack.enter_context(_pool(1, "finish"))
            stack.callback(self._ended.set)  # however it ends, nothing waits for a trouble to pass any more
            while not (self._stop.is_set() or (once and self._is_through())):
                self._scan(scanner, lock, once)
                self._look()
                self._feed(readers, reader)
                judged = self._judge_next()
                self._hand_over(finisher)
                self._take_back()
                if not judged:
                    self._rest()
            self._end(finisher)
        if once:
            self.summary.left = self._still_there()
        return self.summary

    # The folder

    def _woken_by_file(self) -> None:
        self._dirty = True
        self._wake.set()

    def _scan(self, pool: ThreadPoolExecutor, lock: FolderLock, once: bool) -> None:
        now = time.monotonic()
        if self._scanning is not None and self._scanning.done():
            self._take_scan(self._scanning, now, once)
            self._scanning = None
        if self._scanning is None and now >= self._scan_due():
            self._dirty = False
            self._scan_started = now
            self._scanning = self._submit(pool, self._scan_folder, lock)

    def _scan_due(self) -> float:
        if not self._dirty:
            return self._scan_at
        return max(self._scan_floor, min(self._scan_at, self._scan_started + _SHORTEST_POLL_S))

    def _scan_folder(self, lock: FolderLock) -> Scan:
        found = scan(self._options.folder, self._options.own_folders)
        lock.renew()
        return found

    def _take_scan(self, done: Future[Scan], now: float, once: bool) -> None:
        try:
            found = done.result()
        except (OSError, SettingsError) as error:
            self._tell("folder", _words(error, self._options))
            self._scan_at = now + self._scan_delay
            self._scan_delay = min(2 * self._scan_delay, _LONGEST_RETRY_S)
            return
        self._tell("folder", "")
        self._scan_delay = _RETRY_S
        self._scan_floor = now + _SCAN_SHARE * (now - self._scan_started)
        self._scan_at = max(self._scan_started + self._options.poll_s, self._scan_floor)
        for path in found.unreadable.keys() - self._told_unreadable:
            self._listener.notice(f"{path}: cannot be looked at ({found.unreadable[path]}); the rest goes on")
        self._told_unreadable = set(found.unreadable)
        self._intake.update(found.files, now)
        if once and self._scans == 0:
            self._intake.close()
            self._went_on_at = now
        self._scans += 1
        self._look_at = now

    def _look(self) -> None:
        """Which boards are ready; only when that may have changed, as it takes a look at every file."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._queue = deque(self._intake.ready(now))
        change = self._intake.next_change(now)
        self.summary.waiting = self._intake.waiting(now)
        rest = max(0.05, _LOOK_SHARE * (time.monotonic() - now))
        self._look_at = float("inf") if change is None else max(change, now + rest)
        self.summary.queued = len(self._queue)

    # Reading ahead

    def _feed(self, pool: ThreadPoolExecutor, reader: BoardReader) -> None:
        if time.monotonic() < self._read_at or len(self._batch) >= _BATCH:
            return
        ahead = sum(_size(board) for board, _ in self._reads)
        while self._queue and len(self._reads) < _READ_AHEAD and ahead < _READ_AHEAD_BYTES:
            board = self._queue.popleft()
            ahead += _size(board)
            self._intake.take(board)
            self._reads.append((board, self._submit(pool, reader.read, board)))
        self.summary.queued = len(self._queue) + len(self._reads)

    def _judge_next(self) -> bool:
        """Whether there was a board to go on with."""
        if not self._reads or not self._reads[0][1].done() or len(self._batch) >= _BATCH:
            return False
        _, future = self._reads.popleft()
        match future.result():
            case Ready(board, prepared):
                self._use_latest()
                try:
                    self._leave(board, self._line.judge(prepared))
                except CopperlineError as error:
                    self._leave(board, Unusable(board, error))
                except MemoryError:
                    too_large = DataError("the image is too large for this machine's memory", where=board.test.path)
                    self._leave(board, Unusable(board, too_large))
                self._reading_goes_on()
            case Answered() | Unusable() as outcome:
                self._leave(outcome.board, outcome)
                self._reading_goes_on()
            case NotYet() as outcome:
                self._look_again(outcome)
            case Trouble(board, text):
                self._tell("reading", text)
                self._read_at = time.monotonic() + self._read_delay
                self._read_delay = min(2 * self._read_delay, _LONGEST_RETRY_S)
                self._put_back(board, self._read_at)
        return True

    def _reading_goes_on(self) -> None:
        self._tell("reading", "")
        self._read_delay = _RETRY_S

    def _look_again(self, outcome: NotYet) -> None:
        now = time.monotonic()
        board = outcome.board
        files = [board.test] if board.reference is None else [board.test, board.reference]
        unchanged = now - max(file.unchanged_since for file in files)
        if outcome.error is not None and unchanged >= self._options.unfinished_wait_s:
            self._leave(board, Unusable(board, outcome.error))
            return
        self._tell_once(outcome.locked)
        # The longer it has been so the less often it is read, but the last time when its time is over.
        pause = min(max(0.2, unchanged / 2), _LONGEST_HOLD_S)
        if outcome.error is not None:
            pause = min(pause, self._options.unfinished_wait_s - unchanged)
        self._put_back(board, now + pause)
        self._dirty = True

    def _put_back(self, board: FoundBoard, until: float) -> None:
        self._intake.release(board, hold_until=until)
        self._look_at = min(self._look_at, until)

    def _use_latest(self) -> None:
        if self._latest is None:
            return
        detector = self._latest()
        if detector is not self._line.detector:
            self._line.swap(detector)
            self._listener.notice(f"model {detector.name} {detector.version} takes over")

    # Writing and moving

    def _leave(self, board: FoundBoard, result: Judged | Answered | Unusable) -> None:
        self._went_on_at = time.monotonic()
        self._batch.append(Leaving(board, result, self._intake.leave(board)))

    def _hand_over(self, pool: ThreadPoolExecutor) -> None:
        """What has gathered while the last batch was being written goes next, in one transaction."""
        if self._finishing is not None and self._finishing.done():
            finished, self._finishing = self._finishing, None
            try:
                finished.result()
            except InterruptedFinishError:
                _log.info("ended while a trouble lasted; the boards that wait for it are still in the folder")
                return
        if self._batch and self._finishing is None:
            batch, self._batch = self._batch, []
            self._finishing = self._submit(pool, self._finisher.finish, batch, self._left.put)

    def _take_back(self) -> None:
        while True:
            try:
                left = self._left.get_nowait()
            except Empty:
                break
            self._count(left)
            if not left.still_there:
                self._intake.finished(left.board)
            else:
                self._tell_once(left.still_there)
                self._put_back(left.board, time.monotonic() + _LONGEST_HOLD_S)
        while True:
            try:
                self._tell(*self._notices.get_nowait())
            except Empty:
                return

    def _count(self, left: Left) -> None:
        self._went_on_at = time.monotonic()
        if isinstance(left.told, InspectedBoard):
            if left.told.call is not None or not left.still_there:
                self.summary.add(left.told, left.new)
                self._listener.inspected(left.told)
        elif not left.still_there:
            self.summary.add_failure(left.told)
            self._listener.failed(left.told)

    # Around

    def _rest(self) -> None:
        """Until something is done, a file comes, or something is due."""
        now = time.monotonic()
        due = [self._look_at, now + 1.0]
        if self._scanning is None:
            due.append(self._scan_due())
        if self._queue and self._read_at > now:
            due.append(self._read_at)
        self._wake.wait(max(0.0, min(due) - now))
        self._wake.clear()

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[..., Value], *arguments: object) -> Future[Value]:
        future = pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self._wake.set())
        return future

    def _end(self, pool: ThreadPoolExecutor) -> None:
        """What is judged is written and moved; what is only read stays for the next time."""
        self._ended.set()
        for _, future in self._reads:
            future.cancel()
        for _ in range(2):  # the batch that is under way, and the one that has gathered
            if self._finishing is not None:
                wait([self._finishing])
            self._hand_over(pool)
        self._take_back()

    def _is_through(self) -> bool:
        """With `once`, whether there is nothing more to do, or what is left has been waited for long enough."""
        if self._troubles:
            return self._has_waited()
        if self._reads or self._batch or self._finishing or self._queue or self._scans == 0 or not self._left.empty():
            return False
        now = time.monotonic()
        if self._intake.ready(now):
            return False
        waiting = self._intake.waiting(now)
        return waiting.settling == waiting.tests == 0 or self._has_waited()

    def _has_waited(self) -> bool:
        """Whether nothing has gone on for longer than anything is waited for."""
        options = self._options
        longest = max(options.unfinished_wait_s, options.pair_wait_s) + options.settle_s + 2 * options.poll_s
        return time.monotonic() - self._went_on_at >= longest + _PATIENCE_S

    def _still_there(self) -> tuple[str, ...]:
        try:
            found = scan(self._options.folder, self._options.own_folders).files
        except OSError:
            return self._intake.paths()
        return tuple(path for path in self._intake.paths() if path in found)

    def _tell_once(self, text: str) -> None:
        """Of one file, which is tried again and again."""
        if text and text not in self._told_once:
            self._told_once.append(text)
            self._listener.notice(text)

    def _tell_of_warehouse(self, text: str) -> None:
        """From the thread that writes and moves."""
        self._notices.put(("writing", text))
        self._wake.set()

    def _tell(self, what: str, text: str) -> None:
        before = self._troubles.get(what, "")
        if text == before:
            return
        if text:
            self._troubles[what] = text
            self._listener.notice(f"{text}; waiting, nothing is lost")
            self.summary.last_error = text
        else:
            del self._troubles[what]
            self._listener.notice(f"goes on: {before} is over")
        self.summary.trouble = next(iter(self._troubles.values()), "")


def _size(board: FoundBoard) -> int:
    return board.test.state.size + (0 if board.reference is None else board.reference.state.size)


def _words(error: OSError | SettingsError, options: WatchOptions) -> str:
    if isinstance(error, SettingsError):
        return str(error)
    return f"{error.filename or options.folder}: {error.strerror or error}"


def _pool(threads: int, name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix=f"watch-{name}")
