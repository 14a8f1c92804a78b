"""Many boards: a data set, a folder or a URL, each board written as soon as it is done."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from copperline.errors import DataError
from copperline.inspection.detector import Detector
from copperline.inspection.inspect import ImageFile, inspect_files, read_file
from copperline.inspection.pairs import Inspectable
from copperline.inspection.policy import DEFAULT_POLICY, CallPolicy
from copperline.stage import Location
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord

Progress = Callable[[int, int], None]
"""Called after each board with the number done and the number in all."""

_READERS = 2
_READ_AHEAD, _AHEAD_BYTES = 4, 64 << 20


@dataclass(frozen=True, slots=True)
class Skipped:
    """A board that could not be inspected."""

    path: Location
    reason: str


Outcome = InspectionRecord | Skipped


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What came of a batch.

    Attributes:
        inspected: boards with a call; the sum of `calls`.
        new: of these, those that the warehouse did not have yet.
        calls: boards by call.
        defects: detections in all.
        skipped: boards that could not be inspected, by path.
    """

    inspected: int
    new: int
    calls: dict[Call, int]
    defects: int
    skipped: tuple[Skipped, ...]


class Tally:
    """Adds up a summary."""

    def __init__(self) -> None:
        self._calls: Counter[Call] = Counter()
        self._defects = 0
        self._skipped: list[Skipped] = []
        self.new = 0

    def add(self, outcome: Outcome) -> None:
        if isinstance(outcome, Skipped):
            self._skipped.append(outcome)
        else:
            self._calls[Call(outcome.call)] += 1
            self._defects += len(outcome.detections)

    def summary(self) -> BatchSummary:
        skipped = sorted(self._skipped, key=lambda board: str(board.path))
        calls = {call: self._calls[call] for call in Call}
        return BatchSummary(self._calls.total(), self.new, calls, self._defects, tuple(skipped))


def inspect_pairs(
    detector: Detector,
    pairs: Sequence[Inspectable],
    write: Callable[[InspectionRecord], bool],
    *,
    station_id: str,
    policy: CallPolicy = DEFAULT_POLICY,
    progress: Progress | None = None,
) -> BatchSummary:
    """Inspects boards in order. Files are read and decoded ahead, beside the network.

    Args:
        detector: model and operating point.
        pairs: the boards.
        write: stores one inspection in a transaction of its own, and says whether it is new, as `write_inspection`
            does. Good boards are written too. When it raises, the batch ends; what is written stays written.
        station_id: where the boards were inspected.
        policy: what fails a board.
        progress: called as `progress(done, total)`.

    Returns:
        The summary. A board whose files cannot be used is skipped and listed there; the rest goes on.

    Raises:
        StageError: the store that the boards are read from cannot be reached any more.
    """
    tally = Tally()
    for done, outcome in enumerate(outcomes(detector, pairs, station_id=station_id, policy=policy), start=1):
        if not isinstance(outcome, Skipped):
            tally.new += bool(write(outcome))
        tally.add(outcome)
        if progress is not None:
            progress(done, len(pairs))
    return tally.summary()


def outcomes(
    detector: Detector, pairs: Iterable[Inspectable], *, station_id: str, policy: CallPolicy = DEFAULT_POLICY
) -> Iterator[Outcome]:
    """The row of each board, or why it was skipped, in order.

    A row's time is when the reading of its images began: a file that changes later is newer than the row.
    """
    for pair, files in _read_ahead(pairs):
        outcome = _outcome(detector, pair, files, station_id, policy)
        del files  # images need not be in memory while the next ones are read
        yield outcome


def _outcome(
    detector: Detector, pair: Inspectable, files: Future[Files], station_id: str, policy: CallPolicy
) -> Outcome:
    try:
        test, reference, read_at = files.result()
        inspection = inspect_files(detector, pair.board_id, test, reference, policy)
    except DataError as error:
        return Skipped(pair.test_path, str(error))
    return replace(inspection.to_record(station_id), inspected_at=read_at)


Files = tuple[ImageFile, ImageFile | None, datetime]


def _read_ahead(pairs: Iterable[Inspectable]) -> Iterator[tuple[Inspectable, Future[Files]]]:
    """Each pair with its files, in order, while the next few are being read: as many as the last one leaves room for.

    So a folder of boards is read beside the network, and of a folder of scans one pair is in memory at a time.
    """
    waiting: deque[tuple[Inspectable, Future[Files]]] = deque()
    rest = iter(pairs)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as pool:

        def read_more(most: int) -> None:
            for pair in islice(rest, max(most - len(waiting), 0)):
                waiting.append((pair, pool.submit(_read, pair)))

        read_more(1)
        while waiting:
            pair, files = waiting.popleft()
            wait([files])
            read_more(min(_READ_AHEAD, _AHEAD_BYTES // max(_decoded_bytes(files), 1)))
            yield pair, files
            del files
            read_more(1)


def _decoded_bytes(files: Future[Files]) -> int:
    if files.exception() is not None:
        return 0
    test, reference, _ = files.result()
    return test.image.nbytes + (0 if reference is None else reference.image.nbytes)


def _read(pair: Inspectable) -> Files:
    read_at = datetime.now(UTC)
    reference = None if pair.reference_path is None else read_file(pair.reference_path)
    return read_file(pair.test_path), reference, read_at
