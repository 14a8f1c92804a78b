"""Trains several networks side by side on one GPU, each on the boards of `train`, and anew on those of `val` too.

python scripts/train_side_by_side.py --data PCBData --into RUNS --seconds 420 --crop-size 128 --drawn 0.15 \\
    --variant wide=yolo12-pico-wide:0.0055 --variant pico=yolo12-pico:0.009

A small network keeps a GPU busy for a part of each step only, and its crops take more time than its arithmetic. So
all variants train on the same crops, and each step is replayed as one CUDA graph, in a stream of its own. Everything
else is as in `copperline train`: crops and their order, loss, optimizer, schedule, average; one micro-batch a step.

RUNS then holds run folders `NAME` and `NAME-refit` with their checkpoints. Put into the folder `runs` of a workspace,
`copperline train --data PCBData --resume NAME` measures, exports and registers the first, and `copperline train --data
PCBData --refit NAME --resume NAME-refit` the second.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import lru_cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from copperline.data import SPLITS, BoardDataset, BoardPair, data_hash, open_dataset
from copperline.training import all_trained_on
from copperline.training.batches import (
    Batch,
    ImageCache,
    Pair,
    crop_at,
    epoch_order,
    make_batch,
    registered_pair,
    steps_per_epoch,
)
from copperline.training.config import TrainConfig
from copperline.training.crop_processes import in_processes
from copperline.yolo.loss import Targets
from graphed_step import Variant, padded

# The GPU is given so many steps before what it has done is waited for.
STEPS_AHEAD = 4
# How many epochs fit into the time is worked out after so many seconds, from those since the first look, and checked.
FIRST_LOOK_S, LOOK_S = 5.0, 15.0


class Boards:
    """One list of boards, the batches of its crops, and the variants that train on them."""

    def __init__(self, suffix: str, cache: ImageCache, hash_: str, config: TrainConfig, processes: int) -> None:
        self.suffix, self.hash, self.config = suffix, hash_, config
        self.steps_per_epoch = steps_per_epoch(len(cache), config)
        most = self.total_steps = config.epochs * self.steps_per_epoch
        self.step = 0
        self.variants: list[Variant] = []

        @lru_cache(2)
        def order_of(epoch: int) -> npt.NDArray[np.int64]:
            return epoch_order(len(cache), config, epoch)

        def prepare(step: int) -> Batch:
            epoch, within = divmod(step, self.steps_per_epoch)
            start = within * config.batch_size
            positions = range(start, start + config.batch_size)
            return padded(make_batch([crop_at(cache, config, epoch, order_of(epoch), at) for at in positions]))

        batches = in_processes(prepare, range(most), processes) if processes else map(prepare, range(most))
        # The first one now: it starts the processes, which must be before the GPU is used.
        self._first = next(batches)
        self._batches: Iterator[Batch] = chain([self._first], batches)

    @property
    def epochs(self) -> int:
        return self.total_steps // self.steps_per_epoch

    def begin(self, variants: Sequence[tuple[str, str, float]], device: torch.device) -> None:
        """Gives the batch a place on the device, and makes the variants that read it there."""
        self._place = Batch(self._first.images.to(device), Targets(*(part.to(device) for part in self._first.targets)))
        self._stream = torch.cuda.Stream() if device.type == "cuda" else None
        for name, network, rate in variants:
            config = self.config.model_copy(update={"network": network, "learning_rate": rate})
            self.variants.append(Variant(name, config, self._place, device))

    def take_step(self) -> None:
        batch = next(self._batches)
        with nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
            for variant in self.variants:
                if self._stream is not None and variant.done is not None:
                    self._stream.wait_event(variant.done)
            self._place.images.copy_(batch.images, non_blocking=True)
            for mine, new in zip(self._place.targets, batch.targets, strict=True):
                mine.copy_(new, non_blocking=True)
        for variant in self.variants:
            variant.step(self.step, self.total_steps, self._stream)
        self.step += 1
        if self.step % self.steps_per_epoch == 0:
            for variant in self.variants:
                variant.end_epoch()


def train_all(boards: Sequence[Boards], seconds: float) -> None:
    """Steps, all lists at the same pace, until all are done; leaves out the epochs that there is no time for."""
    started = time.perf_counter()
    look_at, first_look = started + FIRST_LOOK_S, None
    given: deque[torch.cuda.Event] = deque()
    for variant in (variant for each in boards for variant in each.variants):
        variant.begin()
    while any(each.step < each.total_steps for each in boards):
        behind = min(boards, key=lambda each: each.step / each.total_steps)
        behind.take_step()
        given.extend(variant.done for variant in behind.variants[-1:] if variant.done is not None)
        while len(given) > STEPS_AHEAD * len(boards):
            given.popleft().synchronize()
        now = time.perf_counter()
        if now < look_at:
            continue
        look_at = now + LOOK_S
        _report(boards, now - started)
        epochs = min(each.step / each.steps_per_epoch for each in boards)
        if first_look is None:
            first_look = now, epochs
        else:
            pace = (epochs - first_look[1]) / (now - first_look[0])
            _shorten(boards, int(epochs + pace * (started + seconds - now)))
    _report(boards, time.perf_counter() - started)


def _shorten(boards: Sequence[Boards], possible: int) -> None:
    """To so many epochs, but not to fewer than have begun; the learning rate then falls sooner."""
    begun = max(each.step // each.steps_per_epoch for each in boards) + 1
    epochs = max(possible, begun)
    if epochs < boards[0].epochs:
        print(f"{epochs} instead of {boards[0].epochs} epochs", flush=True)
        for each in boards:
            each.total_steps = epochs * each.steps_per_epoch


def _report(boards: Sequence[Boards], seconds: float) -> None:
    for each in boards:
        pace = each.step * each.config.batch_size / seconds
        losses = ", ".join(f"{variant.name}{each.suffix} {variant.loss():.4f}" for variant in each.variants)
        print(f"{seconds:.0f} s: step {each.step} of {each.total_steps}, {pace:.0f} crops/s, loss {losses}", flush=True)


def read_all(pairs: Sequence[BoardPair], processes: int) -> dict[Path, Pair]:
    """Decodes and registers in processes; by the test image's path."""
    fork = get_context("fork")
    with ProcessPoolExecutor(processes, fork, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        images = pool.map(registered_pair, pairs, chunksize=8)
        return dict(zip((pair.test_path for pair in pairs), images, strict=True))


def main() -> None:
    options = _parser().parse_args()
    cv2.setNumThreads(1)  # processes forked from one with OpenCV's threads would wait for them
    torch.backends.cudnn.benchmark = True
    base = TrainConfig(
        epochs=options.epochs,
        batch_size=options.batch_size,
        micro_batch=options.batch_size,
        crop_size=options.crop_size,
        drawn=options.drawn,
    )
    dataset, _ = open_dataset(options.data, splits=("train", "val"))
    images = read_all(dataset.pairs, options.processes)
    # `copperline train --refit` opens all splits; the boards of `test` are in the hash alone.
    together = all_trained_on(open_dataset(options.data, splits=SPLITS)[0])
    crops = {"": dataset, "-refit": together}
    total = sum(len(of.split("train")) for of in crops.values())

    def boards_of(suffix: str, of: BoardDataset) -> Boards:
        pairs = of.split("train")
        cache = ImageCache(pairs, 0, lambda pair: images[pair.test_path])
        return Boards(suffix, cache, data_hash(of), base, max(round(options.processes * len(pairs) / total), 1))

    boards = [boards_of(suffix, of) for suffix, of in crops.items()]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for each in boards:
        each.begin(options.variant, device)
    try:
        train_all(boards, options.seconds)
    finally:
        for each in boards:
            for variant in each.variants:
                variant.save(options.into / f"{variant.name}{each.suffix}", each.hash)
    print(f"The runs are in {options.into}. Next: put them into a workspace's runs, then copperline train --resume")


def _variant(text: str) -> tuple[str, str, float]:
    name, rest = text.split("=")
    network, rate = rest.split(":")
    return name, network, float(rate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="DeepPCB, with labels")
    parser.add_argument("--into", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--variant", type=_variant, action="append", required=True, help="NAME=NETWORK:LEARNING_RATE")
    parser.add_argument("--epochs", type=int, default=400, help="at most; fewer are trained if the time is up before")
    parser.add_argument("--seconds", type=float, default=420.0, help="time to train, all variants together")
    parser.add_argument("--batch-size", type=int, default=110, help="crops in a step")
    parser.add_argument("--crop-size", type=int, default=96, help="px")
    parser.add_argument("--drawn", type=float, default=0.25, help="share of crops with drawn defects")
    parser.add_argument("--processes", type=int, default=15, help="that make crops")
    return parser


if __name__ == "__main__":
    main()
