"""What all engines have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch

from copperline.errors import TrainingError
from copperline.training.checkpoint import Checkpoint
from copperline.training.engines.job import TrainingJob
from copperline.training.loop import Listener, TrainResult
from copperline.yolo.network import build_network

Tell = Callable[[str], None]
"""Is given one line for people."""


def tell_nobody(line: str) -> None:
    """For callers without anybody who reads along."""


class Engine(Protocol):
    """Carries out a job."""

    def train(
        self,
        job: TrainingJob,
        folder: Path,
        *,
        resume: Checkpoint | None,
        listeners: Sequence[Listener],
        tell: Tell,
    ) -> TrainResult | None:
        """Trains, and leaves checkpoints in `folder`; None in all processes but the one that goes on with the result.

        Args:
            folder: of the run, on this machine.
            resume: see `train`.
            listeners: told in this process. A step that is done again, because a worker was lost after the last
                checkpoint, is told again; an epoch is told once.
            tell: how it is done, and whenever the workers are started again.

        Raises:
            CopperlineError: see `train`; or the workers cannot be started, or were lost too often.
        """
        ...


def device_name_for(gpus_per_worker: int | None, workers: int) -> str | None:
    """What `World` is to be told of the device.

    Args:
        gpus_per_worker: 0: the CPU; 1: a GPU for each worker; None: whichever there is.
        workers: on this machine.

    Raises:
        TrainingError: there are fewer GPUs than were asked for.
    """
    if gpus_per_worker and torch.cuda.device_count() < workers:
        raise TrainingError(
            f"expected a GPU for each of {workers} workers on this machine, found {torch.cuda.device_count()}",
            fix="take fewer --workers, or --gpus-per-worker 0",
        )
    return "cpu" if gpus_per_worker == 0 else None


def gpus_of_each(gpus_per_worker: int | None, workers: int) -> int:
    """0 or 1: as was asked for, and else 1 if this machine has a GPU for each of so many `workers`."""
    return int(torch.cuda.device_count() >= workers) if gpus_per_worker is None else gpus_per_worker


def cores_each(threads: int, workers: int) -> int:
    """Of a machine's `threads`, shared by its workers; at least one."""
    return max(threads // workers, 1)


def in_words(cores: int, *, on_gpu: bool) -> str:
    """What a worker computes with, as `TrainingJob.outline` tells it.

    >>> in_words(1, on_gpu=False), in_words(2, on_gpu=False), in_words(2, on_gpu=True)
    ('1 core', '2 cores', 'a GPU')
    """
    return "a GPU" if on_gpu else f"{cores} core{'s' if cores > 1 else ''}"


def result_of(checkpoint: Checkpoint) -> TrainResult:
    """What the run came to whose last checkpoint this is, as `train` gives it. Raises TrainingError if it is no end."""
    if checkpoint.epoch < checkpoint.config.epochs:
        raise TrainingError(
            f"expected the workers to finish {checkpoint.config.epochs} epochs, found {checkpoint.epoch} in the last "
            "checkpoint",
            fix="go on with --resume",
        )
    network = build_network(checkpoint.config.network, len(checkpoint.classes))
    network.load_state_dict(checkpoint.average)
    return TrainResult(network.eval(), list(checkpoint.history), checkpoint.seconds)
