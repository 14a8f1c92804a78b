"""Which files make a board that can be inspected now: settled files, paired by what their paths say.

Nothing here reads a clock or a disk: both are told, so that every order of events can be tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from copperline.line.watching.pattern import BoardFile, Pattern
from copperline.line.watching.scanning import FileState


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as it was when its board was found.

    Attributes:
        path: below the watched folder, with slashes.
        unchanged_since: on our own clock, seconds.
    """

    path: str
    state: FileState
    unchanged_since: float


@dataclass(frozen=True, slots=True)
class FoundBoard:
    """The files of a board: settled, and not handed out before.

    Attributes:
        reference: None: none lies beside it.
        reference_missed: its path says that a reference comes, and none did in time.
    """

    told: BoardFile
    test: FoundFile
    reference: FoundFile | None
    reference_missed: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why files that lie in the folder are not being inspected.

    Attributes:
        settling: may still be written to, or are held back for a while.
        references: reference images whose test image has not come.
        tests: test images whose reference has not come.
        foreign: files whose path does not fit the pattern.
    """

    settling: int = 0
    references: int = 0
    tests: int = 0
    foreign: int = 0


@dataclass(slots=True)
class _Tracked:
    told: BoardFile
    state: FileState
    since: float
    held_until: float = 0.0


class Intake:
    """Follows the files of one folder from scan to scan. Times are seconds on any clock that only goes forward.

    Args:
        settle_s: a file counts when nothing was written to it for so long.
        pair_wait_s: how long a test image that expects a reference waits for it from then on.
    """

    def __init__(self, pattern: Pattern, *, settle_s: float = 1.0, pair_wait_s: float = 10.0) -> None:
        self._pattern = pattern
        self._settle_s = settle_s
        self._pair_wait_s = pair_wait_s
        self._files: dict[str, _Tracked] = {}
        self._by_key: dict[tuple[str, ...], set[str]] = {}
        self._taken: dict[str, FoundBoard] = {}
        self._leaving: set[str] = set()
        self._foreign = 0
        self._only: set[tuple[str, ...]] | None = None

    def update(self, files: Mapping[str, FileState], now: float) -> None:
        """Takes in what a scan found; what it did not find is forgotten, unless its board is handed out."""
        for path in self._files.keys() - files.keys() - self._taken.keys():
            self._forget(path)
        self._foreign = 0
        for path, state in files.items():
            known = self._files.get(path)
            if known is None:
                told = self._pattern.match(path)
                if told is None:
                    self._foreign += 1
                elif self._only is None or told.key in self._only:
                    self._files[path] = _Tracked(told, state, now)
                    self._by_key.setdefault(told.key, set()).add(path)
            elif known.state != state and path not in self._taken:
                known.state, known.since, known.held_until = state, now, 0.0

    def close(self) -> None:
        """From now on only files of boards that are known already are taken in."""
        self._only = set(self._by_key)

    def ready(self, now: float) -> list[FoundBoard]:
        """Boards to inspect, the oldest first by their test image's time and path."""
        boards = [
            board
            for path, file in self._files.items()
            if file.told.kind == "test" and path not in self._taken and (board := self._board(path, now)) is not None
        ]
        return sorted(boards, key=lambda board: (board.test.state.mtime_ns, board.test.path))

    def take(self, board: FoundBoard) -> None:
        """The board is handed out: it is not ready again before `release`."""
        self._taken[board.test.path] = board

    def leave(self, board: FoundBoard) -> bool:
        """The board's files are about to be moved; says whether its reference goes too: no other board needs it."""
        self._leaving.add(board.test.path)
        others = self._by_key.get(board.told.key, set()) - self._leaving
        return not any(self._files[path].told.kind == "test" for path in others)

    def release(self, board: FoundBoard, *, hold_until: float = 0.0) -> None:
        """The board is put back, and ready again when its files are there and `hold_until` has passed."""
        self._let_go(board)
        known = self._files.get(board.test.path)
        if known is not None:
            known.held_until = hold_until

    def finished(self, board: FoundBoard) -> None:
        """The board's files were moved away."""
        self._let_go(board)
        self._forget(board.test.path)

    def next_change(self, now: float) -> float | None:
        """When a file settles, is let go or has waited long enough, if nothing else happens; None: not foreseen."""
        times = [
            time
            for path, file in self._files.items()
            if path not in self._taken
            for time in (
                file.since + self._settle_s,
                file.held_until,
                file.since + self._settle_s + self._pair_wait_s if file.told.expects_reference else 0.0,
            )
            if time > now
        ]
        return min(times, default=None)

    def paths(self) -> tuple[str, ...]:
        """Files that are known, by path."""
        return tuple(sorted(self._files))

    def waiting(self, now: float) -> Waiting:
        counts: Counter[str] = Counter()
        in_use = {board.reference.path for board in self._taken.values() if board.reference is not None}
        for path, file in self._files.items():
            if path in self._taken or path in in_use:
                continue
            if not self._is_settled(file, now):
                counts["settling"] += 1
            elif file.told.kind == "reference":
                counts["references"] += not self._of_key(file.told, "test")
            elif self._board(path, now) is None:
                counts["tests"] += 1
        return Waiting(counts["settling"], counts["references"], counts["tests"], self._foreign)

    def _board(self, path: str, now: float) -> FoundBoard | None:
        file = self._files[path]
        if not self._is_settled(file, now):
            return None
        test = FoundFile(path, file.state, file.since)
        references = self._of_key(file.told, "reference")
        if references:
            chosen = self._files[references[0]]
            if not self._is_settled(chosen, now):
                return None
            return FoundBoard(file.told, test, FoundFile(references[0], chosen.state, chosen.since))
        if file.told.expects_reference and now < file.since + self._settle_s + self._pair_wait_s:
            return None
        return FoundBoard(file.told, test, None, reference_missed=file.told.expects_reference)

    def _let_go(self, board: FoundBoard) -> None:
        self._taken.pop(board.test.path, None)
        self._leaving.discard(board.test.path)

    def _is_settled(self, file: _Tracked, now: float) -> bool:
        return now >= file.since + self._settle_s and now >= file.held_until

    def _of_key(self, told: BoardFile, kind: str) -> list[str]:
        return sorted(path for path in self._by_key[told.key] if self._files[path].told.kind == kind)

    def _forget(self, path: str) -> None:
        file = self._files.pop(path, None)
        if file is not None:
            same = self._by_key[file.told.key]
            same.discard(path)
            if not same:
                del self._by_key[file.told.key]
