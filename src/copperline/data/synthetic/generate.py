"""Synthetic board pairs: a golden board, its scan with defects, its scan without, its labels."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import cv2
import numpy as np

from copperline.data.synthetic.boards import draw_board
from copperline.data.synthetic.defects import draw_defects
from copperline.data.synthetic.scan import ScanSettings, binarised_scan, decode_jpeg, encode_jpeg, misregister
from copperline.data.synthetic.shapes import GreyImage
from copperline.data.synthetic.sizes import DefectSizes
from copperline.data.synthetic.styles import BoardStyle
from copperline.detections import Detections
from copperline.errors import CopperlineError, SettingsError

Pair = tuple[GreyImage, GreyImage, Detections]
_PRODUCTS_PER_SEED = 100_000
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def synthetic_pair(
    seed: int | Sequence[int],
    size: int = 640,
    *,
    product: int | None = None,
    defective: bool = True,
    sizes: DefectSizes | None = None,
    scan: ScanSettings | None = None,
) -> Pair:
    """One inspected board and its reference.

    Args:
        seed: 0 or more, or several of them; the same seed gives the same pair.
        size: pixels per side, at least 64.
        product: boards of one product share a style; None takes a style that the seed picks.
        defective: False gives a good board: two scans of the same copper, no labels.
        sizes: sizes and box margins of the defects; None for the defaults.
        scan: how the two scans differ from the drawing; None for the defaults.

    Returns:
        test (size, size) uint8, reference (size, size) uint8, and the labels of the test image. Copper is dark.

    Raises:
        DataError: the size is too small.

    >>> test, reference, labels = synthetic_pair(7, 160)
    >>> test.shape == reference.shape == (160, 160), len(labels) > 0
    (True, True)
    """
    scan = scan or ScanSettings()
    test, reference, labels = draw_pair(seed, size, product=product, defective=defective, sizes=sizes, scan=scan)
    if scan.jpeg_quality is not None:
        test, reference = (decode_jpeg(encode_jpeg(image, scan.jpeg_quality)) for image in (test, reference))
    return test, reference, labels


def draw_pair(
    seed: int | Sequence[int],
    size: int,
    *,
    product: int | None,
    defective: bool,
    sizes: DefectSizes | None,
    scan: ScanSettings,
) -> Pair:
    """As `synthetic_pair`, without JPEG compression: the images hold 0 and 255 only."""
    rng = np.random.default_rng(seed)
    style = BoardStyle.of_product(int(rng.integers(1 << 31)) if product is None else product)
    board = draw_board(style, rng, size)
    # The drill misses by another amount on every board; the reference is another board of the same product.
    test, reference = (board.image(tuple(rng.uniform(-0.5, 0.5, 2) * scan.drill_shift)) for _ in range(2))
    labels = Detections.empty()
    if defective:
        test, labels = draw_defects(test, rng, sizes=sizes)
    # The labels are in the test image's pixels, so it is the reference that is moved.
    reference = misregister(reference, scan, rng)
    return binarised_scan(test, scan, rng), binarised_scan(reference, scan, rng), labels


@dataclass(frozen=True, slots=True)
class _PairJob:
    seed: tuple[int, int]
    size: int
    product: int
    sizes: DefectSizes | None
    scan: ScanSettings | None


def generate_pairs(
    count: int,
    seed: int = 0,
    size: int = 640,
    *,
    processes: int = 2,
    products: int = 20,
    sizes: DefectSizes | None = None,
    scan: ScanSettings | None = None,
) -> Iterator[Pair]:
    """Many pairs, drawn on several cores, in an order that does not depend on how many.

    Args:
        count: number of pairs.
        seed: 0 or more; another seed gives other boards of other products.
        size: pixels per side.
        processes: 1 draws in this process. More start Python anew, so that a script needs the usual
            `if __name__ == "__main__":`.
        products: number of styles, dealt out in turn.
        sizes, scan: as for `synthetic_pair`.

    Raises:
        SettingsError: a count is out of range.
        CopperlineError: a process ended unexpectedly.
    """
    if count < 0 or not 1 <= products <= _PRODUCTS_PER_SEED:
        raise SettingsError(
            f"expected count >= 0 and 1 to {_PRODUCTS_PER_SEED} products, found {count} and {products}",
            fix="correct the numbers",
        )
    jobs = (_PairJob((seed, i), size, product_number(seed, i % products), sizes, scan) for i in range(count))
    return in_order(_run_pair_job, jobs, processes)


def product_number(seed: int, index: int) -> int:
    """The product at `index` of those that belong to `seed`; different seeds share none."""
    return seed * _PRODUCTS_PER_SEED + index


def _run_pair_job(job: _PairJob) -> Pair:
    return synthetic_pair(job.seed, job.size, product=job.product, sizes=job.sizes, scan=job.scan)


def in_order(function: Callable[[_Job], _Result], jobs: Iterable[_Job], processes: int) -> Iterator[_Result]:
    """`map` over processes, which keeps the order and only a few results at a time in memory."""
    if processes < 1:
        raise SettingsError(f"expected at least 1 process, found {processes}", fix="ask for 1 or more")
    return map(function, jobs) if processes == 1 else _pooled(function, iter(jobs), processes)


def _pooled(function: Callable[[_Job], _Result], jobs: Iterator[_Job], processes: int) -> Iterator[_Result]:
    # "spawn" behaves the same on every system and is safe beside threads, which a training loop or server has.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        running: deque[Future[_Result]] = deque(pool.submit(function, job) for job in islice(jobs, 4 * processes))
        while running:
            result = running.popleft().result()
            running.extend(pool.submit(function, job) for job in islice(jobs, 1))
            yield result
    except BrokenProcessPool as error:
        raise CopperlineError(
            "a process that draws synthetic boards ended unexpectedly",
            fix='guard the script with `if __name__ == "__main__":`, or use processes=1',
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
