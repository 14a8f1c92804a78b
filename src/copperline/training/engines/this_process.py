"""Training right here: alone, or as one of the processes that torchrun started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from copperline.training.checkpoint import Checkpoint
from copperline.training.distributed import join_world
from copperline.training.engines.base import Tell, cores_each, in_words
from copperline.training.engines.job import TrainingJob
from copperline.training.loop import Listener, TrainResult


@dataclass(frozen=True)
class ThisProcess:
    """Attributes:
    threads: CPU threads of this machine, shared by its workers.
    device_name: see `World`.
    """

    threads: int
    device_name: str | None = None

    def train(
        self,
        job: TrainingJob,
        folder: Path,
        *,
        resume: Checkpoint | None,
        listeners: Sequence[Listener],
        tell: Tell,
    ) -> TrainResult | None:
        """See `Engine`."""
        with join_world(self.device_name) as world:
            if world.is_main:
                each = in_words(cores_each(self.threads, world.local_size), on_gpu=world.device().type != "cpu")
                tell(f"Training: {job.outline(world.size, each, job.steps_done(resume))}.")
            result = job.carry_out(folder, world, threads=self.threads, resume=resume, listeners=listeners)
            return result if world.is_main else None
