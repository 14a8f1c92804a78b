"""Several workers: RANK and WORLD_SIZE from the environment, as torchrun, Ray and Snowflake set them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from copperline.errors import TrainingError
from copperline.training.meeting import agent_store, kept_by_agent


class WorkerLostError(TrainingError):
    """Another worker is gone, or silent: not this worker's fault, and not for certain the same the next time."""


TIMEOUT_S = 600.0
"""How long a worker waits for the others, which may be validating; longer than that, they are lost."""


@dataclass(frozen=True, slots=True)
class World:
    """This worker among all that train together: one process each.

    Attributes:
        rank: global, 0 .. size - 1.
        size: number of workers.
        local_rank: on this machine.
        local_size: workers on this machine.
        device_name: what to compute on, such as `cpu` or `cuda:1`; None: the GPU of its local rank if there are GPUs.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    device_name: str | None = None

    @classmethod
    def from_environment(cls) -> World:
        """As RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE say; alone without them. Raises TrainingError."""
        try:
            size = int(os.environ.get("WORLD_SIZE", "1"))
            rank = int(os.environ.get("RANK", "0"))
            local_rank = int(os.environ.get("LOCAL_RANK", rank))
            local_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        except ValueError as error:
            raise TrainingError(
                f"expected whole numbers in RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE ({error})",
                fix="start with torchrun, or unset them",
            ) from error
        if not 0 <= rank < size:
            raise TrainingError(f"expected RANK in 0..{size - 1}, found {rank}", fix="start with torchrun, or unset it")
        return cls(rank, size, local_rank, local_size)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def device(self) -> torch.device:
        """Raises TrainingError if the worker's GPU is not there."""
        if self.device_name is not None:
            return torch.device(self.device_name)
        if not torch.cuda.is_available():
            return torch.device("cpu")
        if self.local_rank >= torch.cuda.device_count():
            raise TrainingError(
                f"expected a GPU for each of {self.local_size} workers on this machine, found "
                f"{torch.cuda.device_count()}",
                fix="start fewer workers, or train on the CPU with --gpus-per-worker 0",
            )
        return torch.device("cuda", self.local_rank)

    def add_up(self, message: Tensor, meanwhile: Callable[[], object]) -> None:
        """Replaces a tensor by its sum over all workers, the same to the bit on every worker.

        Args:
            meanwhile: called while the message is on its way, unless there is nobody to send it to.

        Raises:
            TrainingError: another worker is lost, or silent for longer than the limit.
        """
        if self.size == 1:
            return
        with _reached(self.size):
            sent = dist.all_reduce(message, async_op=True)
        try:
            meanwhile()
        finally:
            with _reached(self.size):
                sent.wait()

    def gathered(self, value: Any) -> list[Any] | None:
        """The values of all workers in the order of their ranks, in the main one; None in the others."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_main else None
        with _reached(self.size):
            dist.gather_object(value, values)
        return values

    def each_of_all(self, mine: Sequence[Any]) -> Iterator[Any]:
        """The values of all workers in the order of their ranks, one after another, on every worker.

        All workers have to take all of them: each is sent when it is asked for, so that no worker holds all.
        """
        if self.size == 1:
            yield from mine
            return
        counts: list[Any] = [None] * self.size
        with _reached(self.size):
            dist.all_gather_object(counts, len(mine))
        for source, count in enumerate(counts):
            for number in range(count):
                sent = [mine[number] if source == self.rank else None]
                with _reached(self.size):
                    dist.broadcast_object_list(sent, src=source)
                yield sent[0]

    def require_same(self, value: Any, what: str) -> None:
        """Raises TrainingError unless all workers have the same `value`."""
        if self.size == 1:
            return
        values: list[Any] = [None] * self.size
        with _reached(self.size):
            dist.all_gather_object(values, value)
        if any(other != values[0] for other in values):
            raise TrainingError(
                f"expected the same {what} on {self.size} workers, found {', '.join(map(str, values))}",
                fix="let all of them read the same run folder and data set",
            )


ALONE = World()


@contextmanager
def join_world(device_name: str | None = None, *, timeout_s: float = TIMEOUT_S) -> Iterator[World]:
    """Joins the process group that the environment describes, unless that was done; leaves it at the end.

    Args:
        device_name: see `World`.
        timeout_s: how long to wait for the others, at the start and in every step.

    Raises:
        TrainingError: the variables are inconsistent or the others cannot be reached.
    """
    world = replace(World.from_environment(), device_name=device_name)
    if world.size == 1 or dist.is_initialized():
        yield world
        return
    device = world.device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        store = agent_store(world.rank, world.size, timeout_s) if kept_by_agent() else None
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=world.rank,
            world_size=world.size,
            timeout=timedelta(seconds=timeout_s),
        )
    except (RuntimeError, ValueError) as error:
        raise WorkerLostError(
            f"the {world.size} workers cannot meet within {timeout_s:g} s ({_first_line(error)})",
            fix="check MASTER_ADDR and MASTER_PORT, and that all workers were started",
        ) from error
    try:
        yield world
    finally:
        dist.destroy_process_group()


@contextmanager
def _reached(workers: int) -> Iterator[None]:
    """What torch raises when another worker is gone, as an error that says so."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerLostError(
            f"lost touch with one of the {workers} workers ({_first_line(error)})",
            fix="the last checkpoint is kept: go on with --resume",
        ) from error


def _first_line(error: Exception) -> str:
    """Without the place in gloo's source that it begins with, and the guesses that it ends with."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[\S+:\d+\] ", "", line).partition(". This is typically")[0]
