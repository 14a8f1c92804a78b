"""Running a detector over board pairs on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from copperline.data.images import Image, read_pair
from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.evaluation.clean_boards import clean_board
from copperline.reference.registration import register

BoardImages = Callable[[BoardPair], tuple[Image, Image | None]]
"""Gives a board's test image and its reference, or None without one."""

Progress = Callable[[int, int], None]
"""Called after each board with the number done and the number in all."""


class Predictor(Protocol):
    """A detector as evaluation sees it: it does its own registration and has a low confidence floor."""

    def __call__(self, test: Image, reference: Image | None) -> Detections: ...


def predict_pairs(
    predictor: Predictor,
    pairs: Sequence[BoardPair],
    *,
    single: bool = False,
    clean: bool = False,
    progress: Progress | None = None,
    threads: int = 1,
    images: BoardImages = read_pair,
) -> list[Detections]:
    """The detections of each pair, in the order of `pairs`.

    Args:
        predictor: must be safe to call from several threads if `threads` > 1.
        pairs: boards on disk.
        single: show the predictor the test image alone.
        clean: inspect the defect-free boards made from the pairs (see `clean_board`) instead of the test images; with
            `single`, the references themselves. A pair without a reference gives no clean board and is left out, so
            that the result may be shorter than `pairs`.
        progress: called as `progress(done, total)`.
        threads: number of boards in work at once.
        images: reads the images of a pair.

    Raises:
        DataError: an image cannot be read.
    """
    if clean:
        pairs = [pair for pair in pairs if pair.reference_path is not None]

    def predict(pair: BoardPair) -> Detections:
        test, reference = images(pair)
        if clean:
            assert reference is not None  # pairs without one were left out
            test = reference if single else clean_board(test, register(test, reference).reference, pair.labels)
        return predictor(test, None if single else reference)

    if threads <= 1:
        return _counted(map(predict, pairs), len(pairs), progress)
    with ThreadPoolExecutor(threads, thread_name_prefix="predict") as pool:
        return _counted(pool.map(predict, pairs), len(pairs), progress)


def _counted(results: Iterable[Detections], total: int, progress: Progress | None) -> list[Detections]:
    done = []
    for result in results:
        done.append(result)
        if progress is not None:
            progress(len(done), total)
    return done
