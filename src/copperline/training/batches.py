"""Batches of crops: each crop depends on the seed, the epoch and its position there alone, so a resumed run, or one
on several workers, sees what the uninterrupted run on one worker would have seen.

A step's batch is cut into micro-batches, always the same, of which each worker takes some. Batch norm and gradients are
of micro-batches, so that a step computes the same on any number of workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from copperline.data import BoardPair, read_grey, read_pair
from copperline.data.golden import is_golden
from copperline.errors import TrainingError
from copperline.reference import register
from copperline.training.augmentation import Crop, Grey, sample_crop
from copperline.training.config import TrainConfig
from copperline.training.crop_processes import in_processes
from copperline.yolo.loss import Targets

Pair = tuple[Grey, Grey | None]
Item = TypeVar("Item")


class Batch(NamedTuple):
    """images: (N, 3, S, S) uint8: test, reference, absolute difference; without a reference the latter two are 0."""

    images: Tensor
    targets: Targets


def registered_pair(pair: BoardPair) -> Pair:
    """The test image and its reference, moved onto it as inspection will do it; (H, W) uint8 each.

    A reference alone is both.
    """
    if is_golden(pair):
        golden = read_grey(pair.test_path)
        return golden, golden
    test, reference = read_pair(pair)
    return test, None if reference is None else register(test, reference).reference


class ImageCache:
    """Decoded, registered board pairs, kept up to a memory budget; the others are read on each use."""

    def __init__(
        self, pairs: Sequence[BoardPair], budget_mib: int, read: Callable[[BoardPair], Pair] = registered_pair
    ) -> None:
        self.pairs, self._read = pairs, read
        self._budget = budget_mib * 2**20
        self._kept: dict[int, Pair] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        if index in self._kept:
            return self._kept[index]
        images = self._read(self.pairs[index])
        test, reference = images
        size = test.nbytes + (reference.nbytes if reference is not None and reference is not test else 0)
        if size <= self._budget:
            self._kept[index] = images
            self._budget -= size
        return images

    def fill(self) -> None:
        """Reads what the budget has room for, once for all processes that are started afterwards."""
        for index in range(len(self)):
            if self._budget <= 0:
                return
            self[index]


def epoch_order(pairs: int, config: TrainConfig, epoch: int, parts: Sequence[int] = ()) -> npt.NDArray[np.int64]:
    """Indices of the pairs of one epoch, shuffled: each pair `crops_per_pair` times, in whole batches.

    With `config.mix` an epoch is as long, but each data set gets its share of it, and the pairs of one data set come
    equally often, to one more or less.

    Args:
        parts: for each pair, which data set it is of; with `config.mix` alone.
    """
    rng = np.random.default_rng((config.seed, 1, epoch))
    crops = steps_per_epoch(pairs, config) * config.batch_size
    if not config.mix:
        order = rng.permutation(np.tile(np.arange(pairs), config.crops_per_pair))
        return np.resize(order, crops)
    ends = np.rint(crops * np.cumsum(config.mix) / sum(config.mix)).astype(int)
    members = [np.flatnonzero(np.asarray(parts) == part) for part in range(len(config.mix))]
    counts = np.diff(ends, prepend=0)
    return rng.permutation(
        np.concatenate([np.resize(rng.permutation(of), count) for of, count in zip(members, counts, strict=True)])
    )


def make_batch(crops: Sequence[Crop]) -> Batch:
    """Stacks crops and pads their labels."""
    size = crops[0].test.shape[0]
    images = np.zeros((len(crops), 3, size, size), np.uint8)
    most = max(len(crop.labels) for crop in crops)
    boxes = np.zeros((len(crops), most, 4), np.float32)
    classes = np.zeros((len(crops), most), np.int64)
    mask = np.zeros((len(crops), most), bool)
    for i, crop in enumerate(crops):
        images[i, 0] = crop.test
        if crop.reference is not None:
            images[i, 1] = crop.reference
            images[i, 2] = cv2.absdiff(crop.test, crop.reference)
        count = len(crop.labels)
        boxes[i, :count], classes[i, :count], mask[i, :count] = crop.labels.boxes, crop.labels.class_ids, True
    return Batch(
        torch.from_numpy(images), Targets(torch.from_numpy(boxes), torch.from_numpy(classes), torch.from_numpy(mask))
    )


def crop_at(cache: ImageCache, config: TrainConfig, epoch: int, order: npt.NDArray[np.int64], position: int) -> Crop:
    """The crop at a position of an epoch, whose order `epoch_order` gave."""
    index = int(order[position])
    rng = np.random.default_rng((config.seed, 2, epoch, position))
    pair = cache.pairs[index]
    return sample_crop(rng, *cache[index], pair.labels, config, pair.false_calls)


def batches(
    cache: ImageCache,
    config: TrainConfig,
    epoch: int,
    *,
    rank: int = 0,
    world_size: int = 1,
    first: int = 0,
    ahead: int = 0,
    processes: int = 0,
    parts: Sequence[int] = (),
) -> Iterator[list[Batch]]:
    """For each step of one epoch, the micro-batches of one of `world_size` workers.

    Args:
        first: the step to begin with.
        ahead: so many batches are prepared in a thread while one trains. It pays beside a GPU; beside a network that
            computes on all cores of a CPU the thread only gets in the way.
        processes: instead of the thread, so many processes prepare batches; a GPU trains faster than one thread crops.
        parts: as for `epoch_order`.
    """
    order = epoch_order(len(cache), config, epoch, parts)
    mine = micro_batches(config)[shares(config, world_size)[rank]]

    def prepare(step: int) -> list[Batch]:
        start = step * config.batch_size
        return [make_batch([crop_at(cache, config, epoch, order, start + offset) for offset in part]) for part in mine]

    steps = range(first, steps_per_epoch(len(cache), config))
    if processes:
        cache.fill()
        yield from in_processes(prepare, steps, processes)
        return
    if not ahead:
        yield from map(prepare, steps)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting = deque(pool.submit(prepare, step) for step in steps[:ahead])
        for step in steps:
            batch = waiting.popleft().result()
            if step + ahead < steps.stop:
                waiting.append(pool.submit(prepare, step + ahead))
            yield batch


class OneEarlier(Iterator[Item]):
    """The same items; the next one may be had ready while there is something to wait for.

    >>> items = OneEarlier(iter("abc"))
    >>> items.get_ready(), list(items)
    (None, ['a', 'b', 'c'])
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._ready: list[Item] = []

    def get_ready(self) -> None:
        if not self._ready:
            self._ready.extend(islice(self._items, 1))

    def __next__(self) -> Item:
        return self._ready.pop() if self._ready else next(self._items)


def micro_batches(config: TrainConfig) -> list[range]:
    """Positions in a step's batch of each micro-batch; sizes differ by one at most.

    >>> micro_batches(TrainConfig(batch_size=50, micro_batch=22))
    [range(0, 17), range(17, 34), range(34, 50)]
    """
    count = -(-config.batch_size // config.micro_batch)
    return _cut(config.batch_size, count)


def shares(config: TrainConfig, workers: int) -> list[slice]:
    """Which of a step's micro-batches each worker takes: all of them, each once.

    Raises TrainingError if there are more workers than micro-batches.

    >>> shares(TrainConfig(batch_size=66, micro_batch=22), 2)
    [slice(0, 2, None), slice(2, 3, None)]
    """
    count = len(micro_batches(config))
    if workers > count:
        raise TrainingError(
            f"expected at most {count} workers for batches of {config.batch_size} crops in micro-batches of "
            f"{config.micro_batch}, found {workers}",
            fix="take fewer workers, a larger --batch-size or a smaller --micro-batch",
        )
    return [slice(part.start, part.stop) for part in _cut(count, workers)]


def _cut(length: int, count: int) -> list[range]:
    """`count` ranges that cover `length`, the longer ones first."""
    quotient, longer = divmod(length, count)
    ends = [quotient * i + min(i, longer) for i in range(count + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


def steps_per_epoch(pairs: int, config: TrainConfig) -> int:
    """Whole batches only, but at least one."""
    return max(pairs * config.crops_per_pair // config.batch_size, 1)
