"""Several processes: RANK and WORLD_SIZE from the environment, as torchrun, Ray and Snowflake set them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from copperline.errors import TrainingError


@dataclass(frozen=True, slots=True)
class World:
    """This process among all that train together.

    Attributes:
        rank: global, 0 .. size - 1.
        size: number of processes.
        local_rank: on this machine.
        local_size: processes on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

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
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """`network` itself, or DistributedDataParallel around it when there are several processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[device.index] if device.type == "cuda" else None)

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()

    def all_true(self, value: bool, device: torch.device) -> bool:
        """Whether `value` holds in every process, so that all stop together."""
        if self.size == 1:
            return value
        flag = torch.tensor([float(value)], device=device)
        dist.all_reduce(flag, op=dist.ReduceOp.MIN)
        return bool(flag.item())


@contextmanager
def join_world() -> Iterator[World]:
    """Joins the process group that the environment describes; leaves it at the end.

    Raises:
        TrainingError: the variables are inconsistent or the others cannot be reached.
    """
    world = World.from_environment()
    if world.size == 1:
        yield world
        return
    try:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the {world.size} processes cannot meet ({error})", fix="check MASTER_ADDR and MASTER_PORT"
        ) from error
    try:
        yield world
    finally:
        dist.destroy_process_group()
