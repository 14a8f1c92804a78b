"""Engines: where the workers of a training run are started, watched, and started again when one is lost.

    ThisProcess     trains right here; under torchrun each process does, and together they are the workers
    LocalWorkers    processes on this machine
    RayWorkers      actors on a Ray cluster, or on a Ray of this machine

All of them run the one loop of `training.loop`. Ray itself is imported when it is used.
"""

from copperline.training.engines.base import Engine, device_name_for
from copperline.training.engines.here import engine_here
from copperline.training.engines.job import TrainingJob
from copperline.training.engines.local import LocalWorkers
from copperline.training.engines.on_ray import RayWorkers
from copperline.training.engines.this_process import ThisProcess

__all__ = ["Engine", "LocalWorkers", "RayWorkers", "ThisProcess", "TrainingJob", "device_name_for", "engine_here"]
