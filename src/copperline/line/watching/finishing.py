"""The end of a board: into the warehouse, some boards in one transaction, then its files out of the folder.

In this order, so that whenever the process ends a board is either still in the folder or in the warehouse. It runs on
one thread of its own, beside the network.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from copperline.errors import CopperlineError
from copperline.line.inspector import Answer, Judged, LineInspector
from copperline.line.watching.intake import FoundBoard, FoundFile
from copperline.line.watching.options import WatchOptions
from copperline.line.watching.placing import ChangedError, GoneError, Placer
from copperline.line.watching.reading import Answered, Unusable, inspected_at, is_trouble
from copperline.line.watching.summary import FailedBoard, InspectedBoard

Value = TypeVar("Value")
Tell = Callable[[str], None]
"""Called with a trouble, and with an empty text when it is over."""

# Another program has the file, or its name is none for the place where it is to go: the others need not wait for it.
_OF_ONE_FILE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY, errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG}
)
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0


@dataclass(frozen=True, eq=False, slots=True)
class Leaving:
    """A board that is through.

    Attributes:
        result: what came of it.
        takes_reference: its reference goes with it: no other board needs it.
    """

    board: FoundBoard
    result: Judged | Answered | Unusable
    takes_reference: bool


@dataclass(frozen=True, slots=True)
class Left:
    """What became of it.

    Attributes:
        new: whether the warehouse did not have its inspection.
        still_there: why a file of it is still in the folder; empty: none is.
    """

    board: FoundBoard
    told: InspectedBoard | FailedBoard
    new: bool
    still_there: str


class InterruptedFinishError(Exception):
    """The watcher was to end while a trouble lasted."""


class Finisher:
    """Writes boards and moves their files.

    Args:
        ended: ends the waiting for a trouble to pass.
        tell: is told of troubles.
    """

    def __init__(self, line: LineInspector, options: WatchOptions, ended: threading.Event, tell: Tell) -> None:
        self._line = line
        self._options = options
        self._ended = ended
        self._tell = tell
        self._placer = Placer(options.folder)

    def finish(self, batch: Sequence[Leaving], done: Callable[[Left], None]) -> None:
        """Writes all of them, then moves one after the other and gives it to `done`.

        While the disk is full or the share away it tries again and again.

        Raises InterruptedFinishError: what was not given to `done` is still in the folder, for the next watcher.
        """
        judged = [leaving for leaving in batch if isinstance(leaving.result, Judged)]
        answers = dict(zip(map(id, judged), self._written(judged), strict=True))
        for leaving in batch:
            done(self._finished(leaving, answers.get(id(leaving))))

    def _written(self, leaving: list[Leaving]) -> list[Answer | CopperlineError]:
        if not leaving:
            return []
        results = [board.result for board in leaving if isinstance(board.result, Judged)]
        try:
            return list(self._lasting(lambda: self._line.write(results)))
        except CopperlineError as error:
            # The transaction was undone for one board that cannot be kept; the others must not suffer for it.
            return [error] if len(leaving) == 1 else [self._written([board])[0] for board in leaving]

    def _finished(self, leaving: Leaving, answer: Answer | CopperlineError | None) -> Left:
        board, result = leaving.board, leaving.result
        if isinstance(answer, CopperlineError):
            result = Unusable(board, answer)
        if isinstance(result, Unusable):
            failure = FailedBoard(board.test.path, str(result.error))
            # The test image first: a reference alone is no board.
            files = [board.test, *self._reference(leaving)]
            return Left(board, failure, False, self._move(files, self._options.failed_folder, failed=result))
        if isinstance(result, Answered):
            at, new = result.inspected_at, False
            told = InspectedBoard(board.told.fields["board"], board.test.path, result.inspection_id, None)
        else:
            assert isinstance(answer, Answer)
            new = answer.written.new
            told = _told(board, result, answer)
            at = result.result.record.inspected_at if new else self._inspected_at(answer.written.inspection_id)
        # The day of the inspection, and not today: a move that is taken up tomorrow goes to the same place. The
        # reference first: a test image that is found without it is known to be inspected, a reference would stay.
        day = at.astimezone(UTC).date().isoformat()
        return Left(
            board, told, new, self._move([*self._reference(leaving), board.test], self._options.done_folder, day)
        )

    def _inspected_at(self, inspection_id: str) -> datetime:
        return self._lasting(lambda: inspected_at(self._line, inspection_id))

    def _reference(self, leaving: Leaving) -> list[FoundFile]:
        reference = leaving.board.reference
        return [reference] if leaving.takes_reference and reference is not None else []

    def _move(self, files: Sequence[FoundFile], root: Path, below: str = "", failed: Unusable | None = None) -> str:
        """Empty when all of them are where they belong, or gone by another's hand; else why not."""
        for file in files:
            reason = None if failed is None else _reason(file, failed)
            try:
                self._lasting(partial(self._placer.move, file, root, below, reason))
            except GoneError:
                continue
            except ChangedError:
                return f"{file.path}: was written to again"
            except OSError as error:
                return f"{file.path}: cannot be moved to {root} ({error.strerror}); trying again"
        return ""

    def _lasting(self, action: Callable[[], Value]) -> Value:
        """Does it, as often as a trouble needs to pass. Raises what is no trouble, and InterruptedFinishError."""
        delay = FIRST_DELAY_S
        cause: CopperlineError | OSError
        while True:
            try:
                value = action()
            except OSError as error:
                if error.errno in _OF_ONE_FILE:
                    raise
                text, cause = f"{error.filename or self._options.folder}: {error.strerror or error}", error
            except CopperlineError as error:
                if not is_trouble(error):
                    raise
                text, cause = str(error), error
            else:
                if delay > FIRST_DELAY_S:
                    self._tell("")
                return value
            self._tell(text)
            if self._ended.wait(delay):
                raise InterruptedFinishError from cause
            delay = min(2 * delay, LONGEST_DELAY_S)


def _told(board: FoundBoard, judged: Judged, answer: Answer) -> InspectedBoard:
    record = judged.result.record
    return InspectedBoard(
        record.board_id,
        board.test.path,
        answer.written.inspection_id,
        record.call,
        len(record.detections),
        record.latency_ms,
        board.reference_missed,
    )


def _reason(file: FoundFile, failed: Unusable) -> dict[str, object]:
    board, error = failed.board, failed.error
    return {
        "file": file.path,
        "board_id": board.told.fields["board"],
        "test_image": board.test.path,
        "reference": None if board.reference is None else board.reference.path,
        "where": error.where,
        "reason": error.problem,
        "to_do": error.fix or "see the reason",
        "then": "move the file back into the watched folder; remove this one",
        "failed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "copperline": version("copperline"),
    }
