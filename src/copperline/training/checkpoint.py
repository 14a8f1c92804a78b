"""Checkpoints: all that a run needs to go on, written atomically."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from copperline.errors import DataError, TrainingError
from copperline.files import atomic_file
from copperline.training.config import TrainConfig

CHECKPOINT_NAME = "checkpoint.pt"


@dataclass(frozen=True)
class Checkpoint:
    """State after a step.

    Attributes:
        config: the run's settings.
        data_hash: of the data set; a run is not resumed on other data.
        classes: names, in order.
        epoch: whole epochs done.
        step: steps done of the next one.
        losses: sums over these steps, of the loss and its three terms.
        network, average, optimizer: state dicts.
        average_updates: number of updates of the average.
        history: one dict of metrics for each epoch done.
        seconds: time trained so far.
    """

    config: TrainConfig
    data_hash: str
    classes: tuple[str, ...]
    epoch: int
    network: dict[str, Any]
    average: dict[str, Any]
    average_updates: int
    optimizer: dict[str, Any]
    history: list[dict[str, float]]
    seconds: float
    step: int = 0
    losses: Sequence[float] = (0.0, 0.0, 0.0, 0.0)

    def save(self, folder: Path) -> Path:
        content = {**self.__dict__, "config": self.config.model_dump(), "classes": list(self.classes)}
        target = folder / CHECKPOINT_NAME
        try:
            with atomic_file(target) as temporary:
                torch.save(content, temporary)
        except (DataError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint cannot be written ({error})", where=target, fix="free disk space, then use --resume"
            ) from error
        return target

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """From a file or a run folder; tensors only, no code is run. Raises TrainingError."""
        path = path / CHECKPOINT_NAME if path.is_dir() else path
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            return cls(**{**content, "config": TrainConfig(**content["config"]), "classes": tuple(content["classes"])})
        except FileNotFoundError as error:
            raise TrainingError("no checkpoint", where=path, fix="check the run's folder, or train anew") from error
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError, ValidationError) as error:
            raise TrainingError(
                f"the checkpoint cannot be read ({type(error).__name__})", where=path, fix="train anew"
            ) from error
