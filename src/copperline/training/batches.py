"""Batches of crops: each crop depends on the seed, the epoch and its position there alone, so a resumed run, or one
on several processes, sees what the uninterrupted run on one process would have seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from copperline.data import BoardPair, read_grey, read_pair
from copperline.data.golden import is_golden
from copperline.reference import register
from copperline.training.augmentation import Crop, Grey, sample_crop
from copperline.training.config import TrainConfig
from copperline.yolo.loss import Targets

Pair = tuple[Grey, Grey | None]


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


def batches(
    cache: ImageCache,
    config: TrainConfig,
    epoch: int,
    *,
    rank: int = 0,
    world_size: int = 1,
    ahead: int = 0,
    parts: Sequence[int] = (),
) -> Iterator[Batch]:
    """The batches of one epoch, for one of `world_size` processes.

    Args:
        ahead: so many batches are prepared in a thread while one trains. It pays beside a GPU; beside a network that
            computes on all cores of a CPU the thread only gets in the way.
        parts: as for `epoch_order`.
    """
    order = epoch_order(len(cache), config, epoch, parts)
    share = config.batch_size // world_size

    def prepare(step: int) -> Batch:
        start = step * config.batch_size + rank * share
        crops = []
        for position in range(start, start + share):
            index = int(order[position])
            rng = np.random.default_rng((config.seed, 2, epoch, position))
            pair = cache.pairs[index]
            crops.append(sample_crop(rng, *cache[index], pair.labels, config, pair.false_calls))
        return make_batch(crops)

    steps = range(steps_per_epoch(len(cache), config))
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


def steps_per_epoch(pairs: int, config: TrainConfig) -> int:
    """Whole batches only, but at least one."""
    return max(pairs * config.crops_per_pair // config.batch_size, 1)
