"""What the workers of a run are given: everything that `train` needs, in a form that can be sent to another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from copperline.data import BoardPair
from copperline.taxonomy import Taxonomy
from copperline.training.batches import micro_batches, shares, steps_per_epoch
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.distributed import World
from copperline.training.loop import CHECKPOINT_EVERY_S, Listener, Metrics, Save, TrainResult, train
from copperline.training.validation import curve_figures
from copperline.yolo.network import Network


@dataclass(frozen=True)
class TrainingJob:
    """One run's part that the workers do: training, and the validations of the learning curve. It can be pickled.

    Attributes:
        pairs: trained on.
        validation_pairs: for the learning curve; none: it has no validation.
        data_hash: see `train`.
        parts: see `train`.
        init: see `train`; a path on the machine that reads it.
        checkpoint_every_s: see `train`.
    """

    pairs: Sequence[BoardPair]
    validation_pairs: Sequence[BoardPair]
    taxonomy: Taxonomy
    config: TrainConfig
    data_hash: str
    parts: tuple[int, ...] = ()
    init: Path | None = None
    checkpoint_every_s: float = CHECKPOINT_EVERY_S

    @property
    def total_steps(self) -> int:
        return steps_per_epoch(len(self.pairs), self.config) * self.config.epochs

    def steps_done(self, checkpoint: Checkpoint | None) -> int:
        """Of `total_steps`, when `checkpoint` was kept."""
        if checkpoint is None:
            return 0
        return checkpoint.epoch * steps_per_epoch(len(self.pairs), self.config) + checkpoint.step

    def carry_out(
        self,
        folder: Path,
        world: World,
        *,
        threads: int,
        resume: Checkpoint | None,
        listeners: Sequence[Listener] = (),
        save: Save | None = None,
    ) -> TrainResult:
        """Trains as one worker of `world`; see `train`."""

        def validate(network: Network, world: World) -> Metrics:
            return curve_figures(network, self.validation_pairs, self.taxonomy, world)

        return train(
            self.pairs,
            self.taxonomy,
            self.config,
            folder,
            data_hash=self.data_hash,
            validate=validate if self.validation_pairs else None,
            listeners=listeners,
            world=world,
            threads=threads,
            resume=resume,
            init=self.init,
            parts=self.parts,
            save=save,
            checkpoint_every_s=self.checkpoint_every_s,
        )

    def outline(self, workers: int, each: str, done: int = 0) -> str:
        """What is going to be done, in one line.

        Args:
            workers: how many train.
            each: what each of them computes with, such as `1 core`.
            done: steps that were done before.

        Raises:
            TrainingError: there are more workers than the batch has micro-batches.
        """
        config = self.config
        share = sorted(len(crops) for crops in _crops_of_workers(config, workers))
        crops = f"{share[0]}" if share[0] == share[-1] else f"{share[0]} to {share[-1]}"
        return (
            f"{workers} worker{'s' if workers > 1 else ''} with {each}{' each' if workers > 1 else ''}; "
            f"{config.batch_size} crops a step" + (f", {crops} for each worker" if workers > 1 else "") + "; "
            f"learning rate {config.learning_rate:g}; {self.total_steps} steps"
            + (f", {done} of them done before" if done else "")
        )


def _crops_of_workers(config: TrainConfig, workers: int) -> list[list[int]]:
    """Positions in a step's batch that each worker takes."""
    parts = micro_batches(config)
    return [[crop for part in parts[share] for crop in part] for share in shares(config, workers)]
