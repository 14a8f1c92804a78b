"""Batches prepared by several processes, in order: a GPU trains on crops faster than one thread makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from copperline.errors import CopperlineError, TrainingError

Prepared = TypeVar("Prepared")

PATIENCE_S = 300.0
"""How long to wait for a batch, which takes less than a second: longer than that, its process hangs."""


class _Steps(Dataset[Prepared | CopperlineError]):
    """What `prepare` gives for each step; an error for people comes as it is, not wrapped in a traceback."""

    def __init__(self, prepare: Callable[[int], Prepared], steps: range) -> None:
        self.prepare, self.steps = prepare, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Prepared | CopperlineError:
        try:
            return self.prepare(self.steps[index])
        except CopperlineError as error:
            return error


def in_processes(prepare: Callable[[int], Prepared], steps: range, processes: int) -> Iterator[Prepared]:
    """`prepare` of each step, as if called here, but made by `processes` processes, some steps ahead.

    They are forked, so `prepare` may hold on to images that are in memory already; it must not use the GPU.

    Raises:
        TrainingError: a process died, or gave nothing for five minutes.
        CopperlineError: what `prepare` raises.
    """
    loader = DataLoader(
        _Steps(prepare, steps),
        batch_size=None,
        num_workers=processes,
        pin_memory=torch.cuda.is_available(),
        timeout=PATIENCE_S,
        multiprocessing_context="fork",
    )
    threads = cv2.getNumThreads()
    # A forked process has none of OpenCV's threads, but waits for them, unless there were none when it was forked.
    cv2.setNumThreads(1)
    try:
        prepared = iter(loader)
    finally:
        cv2.setNumThreads(threads)
    try:
        for batch in prepared:
            if isinstance(batch, CopperlineError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader" not in str(error):
            raise
        raise TrainingError(
            f"a process that prepares crops is lost ({str(error).splitlines()[0]})",
            fix="free memory, also of /dev/shm, then go on with --resume",
        ) from error


def crop_processes(device: torch.device, local_size: int) -> int:
    """How many processes prepare crops: beside a GPU all cores but one for each training process of this machine.

    None on a CPU, since the network computes on all cores there; nor where processes cannot be forked.

    Args:
        local_size: training processes of this machine, which share its cores.
    """
    if device.type != "cuda" or not hasattr(os, "fork"):
        return 0
    return max((os.cpu_count() or 1) // local_size - 1, 0)
