"""Training: crops of board pairs, one loop for every engine, checkpoints, tracking, and the way to an ONNX file.

torch is imported here and in `yolo` alone.
"""

from copperline.training.checkpoint import Checkpoint
from copperline.training.config import FINE_TUNING, TrainConfig
from copperline.training.console import EpochLines, training_progress
from copperline.training.distributed import World
from copperline.training.engines import Engine, LocalWorkers, RayWorkers, SnowflakeWorkers, ThisProcess, engine_here
from copperline.training.fit import TrainedModel, fit
from copperline.training.golden_only import is_golden_only
from copperline.training.initial import InitialModel
from copperline.training.loop import Listener, Metrics, TrainResult, train
from copperline.training.refit import all_trained_on, refit

__all__ = [
    "FINE_TUNING",
    "Checkpoint",
    "Engine",
    "EpochLines",
    "InitialModel",
    "Listener",
    "LocalWorkers",
    "Metrics",
    "RayWorkers",
    "SnowflakeWorkers",
    "ThisProcess",
    "TrainConfig",
    "TrainResult",
    "TrainedModel",
    "World",
    "all_trained_on",
    "engine_here",
    "fit",
    "is_golden_only",
    "refit",
    "train",
    "training_progress",
]
