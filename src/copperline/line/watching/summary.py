"""What a watcher did, for people and for machines."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from copperline.line.watching.intake import Waiting
from copperline.taxonomy import Call

_RATE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class InspectedBoard:
    """A board that is in the warehouse and whose files are in the done folder.

    Attributes:
        path: of its test image below the watched folder.
        call: None: it was inspected before, and only its files were still to be moved.
    """

    board_id: str
    path: str
    inspection_id: str
    call: Call | None
    defects: int = 0
    latency_ms: float = 0.0
    without_expected_reference: bool = False


@dataclass(frozen=True, slots=True)
class FailedBoard:
    """A board that cannot be used: its files are in the failed folder, each with the reason beside it."""

    path: str
    reason: str


@dataclass(slots=True)
class WatchSummary:
    """Counts since the watcher began.

    Attributes:
        new: inspected boards that the warehouse did not have.
        only_moved: inspected before; an interrupted move was ended.
        trouble: why nothing goes on just now; empty: it does.
        left: why files are still in the folder, when the watcher ended with `once`.
    """

    inspected: int = 0
    new: int = 0
    only_moved: int = 0
    defects: int = 0
    calls: Counter[Call] = field(default_factory=Counter)
    failed: int = 0
    failures: deque[FailedBoard] = field(default_factory=lambda: deque(maxlen=1000))
    waiting: Waiting = field(default_factory=Waiting)
    queued: int = 0
    last_board: InspectedBoard | None = None
    last_error: str = ""
    trouble: str = ""
    left: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)
    _recent: deque[float] = field(default_factory=deque)

    def add(self, board: InspectedBoard, new: bool) -> None:
        if board.call is None:
            self.only_moved += 1
            return
        self.inspected += 1
        self.new += new
        self.calls[board.call] += 1
        self.defects += board.defects
        self.last_board = board
        self._recent.append(time.monotonic())

    def add_failure(self, failure: FailedBoard) -> None:
        self.failed += 1
        self.failures.append(failure)
        self.last_error = failure.reason

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def boards_per_minute(self) -> float:
        """Of the last minute."""
        now = time.monotonic()
        while self._recent and self._recent[0] < now - _RATE_SECONDS:
            self._recent.popleft()
        return len(self._recent) * 60.0 / max(1.0, min(_RATE_SECONDS, now - self.started))

    def to_dict(self) -> dict[str, Any]:
        """As `copperline watch --once --json` prints it."""
        return {
            "inspected": self.inspected,
            "new": self.new,
            "only_moved": self.only_moved,
            "calls": {call.value: self.calls[call] for call in Call},
            "defects": self.defects,
            "failed": [{"path": failure.path, "reason": failure.reason} for failure in self.failures],
            "left": list(self.left),
            "seconds": round(self.seconds, 3),
        }


class Listener(Protocol):
    """Is told what happens, always on the thread of `Watcher.run`."""

    def inspected(self, board: InspectedBoard) -> None: ...

    def failed(self, board: FailedBoard) -> None: ...

    def notice(self, text: str) -> None:
        """Something that people should know: a trouble and its end, another model."""
