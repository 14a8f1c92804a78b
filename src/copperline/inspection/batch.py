"""Many boards: a data set or a folder, each board written as soon as it is done."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from copperline.data.images import IMAGE_SUFFIXES
from copperline.errors import DataError
from copperline.inspection.detector import Detector
from copperline.inspection.inspect import ImageFile, board_id_of, inspect_files, read_file
from copperline.inspection.policy import DEFAULT_POLICY, CallPolicy
from copperline.reference import GoldenLibrary
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord

Progress = Callable[[int, int], None]
"""Called after each board with the number done and the number in all."""

_READERS = 2
_READ_AHEAD = 4


class Inspectable(Protocol):
    """A board on disk: `BoardPair` of a data set, or `ImagePair` of a folder."""

    @property
    def board_id(self) -> str: ...

    @property
    def test_path(self) -> Path: ...

    @property
    def reference_path(self) -> Path | None: ...


@dataclass(frozen=True, slots=True)
class ImagePair:
    """A test image with its reference, if there is one; nothing is known of its defects."""

    board_id: str
    test_path: Path
    reference_path: Path | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A board that could not be inspected."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What came of a batch.

    Attributes:
        inspected: boards with a call; the sum of `calls`.
        new: of these, those that the warehouse did not have yet.
        calls: boards by call.
        defects: detections in all.
        skipped: boards that could not be inspected, in order.
    """

    inspected: int
    new: int
    calls: dict[Call, int]
    defects: int
    skipped: tuple[Skipped, ...]


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
    """
    calls: Counter[Call] = Counter()
    new = defects = 0
    skipped: list[Skipped] = []
    for done, (pair, files) in enumerate(_read_ahead(pairs), start=1):
        try:
            test, reference = files.result()
            inspection = inspect_files(detector, pair.board_id, test, reference, policy)
        except DataError as error:
            skipped.append(Skipped(pair.test_path, str(error)))
        else:
            new += bool(write(inspection.to_record(station_id)))
            calls[inspection.verdict.call] += 1
            defects += len(inspection.verdict.detections)
        if progress is not None:
            progress(done, len(pairs))
    return BatchSummary(calls.total(), new, {call: calls[call] for call in Call}, defects, tuple(skipped))


def pairs_in_folder(folder: Path, references: GoldenLibrary | None = None) -> tuple[ImagePair, ...]:
    """The boards in `folder` and its subfolders, by path.

    `ID_test.jpg` is compared with `ID_temp.jpg` beside it (any image suffix); another image, or one without such a
    neighbour, with the library's reference for its board. Without a library it is judged by itself.

    Raises:
        DataError: the folder does not exist, or has no image.
    """
    images = sorted(path for path in Path(folder).rglob("*") if _is_image(path))
    by_stem = {path.with_suffix(""): path for path in images}
    pairs = [
        ImagePair(board_id_of(path), path, _reference_for(path, by_stem, references))
        for path in images
        if not path.stem.endswith("_temp")
    ]
    if not pairs:
        raise DataError(
            "expected a folder with board images, found none",
            where=folder,
            fix="check the path; test images are named ID.png, or ID_test.jpg beside ID_temp.jpg",
        )
    return tuple(pairs)


def _reference_for(path: Path, by_stem: dict[Path, Path], references: GoldenLibrary | None) -> Path | None:
    board_id = board_id_of(path)
    if path.stem.endswith("_test"):
        neighbour = by_stem.get(path.with_name(f"{board_id}_temp"))
        if neighbour is not None:
            return neighbour
    if references is None:
        return None
    # Whoever gives a library wants boards compared: one without a reference is to be reported as that file missing,
    # and not to be judged by itself in silence.
    return references.find(board_id) or references.folder / f"{board_id}.png"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


Files = tuple[ImageFile, ImageFile | None]


def _read_ahead(pairs: Iterable[Inspectable]) -> Iterator[tuple[Inspectable, Future[Files]]]:
    """Each pair with its files, in order, while the next few are being read."""
    waiting: deque[tuple[Inspectable, Future[Files]]] = deque()
    rest = iter(pairs)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as pool:
        for pair in islice(rest, _READ_AHEAD):
            waiting.append((pair, pool.submit(_read, pair)))
        while waiting:
            ready = waiting.popleft()
            for pair in islice(rest, 1):
                waiting.append((pair, pool.submit(_read, pair)))
            yield ready


def _read(pair: Inspectable) -> Files:
    reference = None if pair.reference_path is None else read_file(pair.reference_path)
    return read_file(pair.test_path), reference
