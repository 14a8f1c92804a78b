"""Engines: where the workers of a training run are started, watched, and started again when one is lost.

    ThisProcess         trains right here; under torchrun each process does, and together they are the workers
    LocalWorkers        processes on this machine
    RayWorkers          actors on a Ray cluster, or on a Ray of this machine
    SnowflakeWorkers    on the nodes of a Snowflake compute pool, from a notebook or job there

All of them run the one loop of `training.loop`. Ray and Snowflake's libraries are imported when they are used.
"""

from copperline.training.engines.base import Engine, device_name_for, gpus_of_each
from copperline.training.engines.here import engine_here
from copperline.training.engines.job import TrainingJob
from copperline.training.engines.local import LocalWorkers
from copperline.training.engines.on_ray import RayWorkers
from copperline.training.engines.on_snowflake import SnowflakeWorkers
from copperline.training.engines.this_process import ThisProcess

__all__ = [
    "Engine",
    "LocalWorkers",
    "RayWorkers",
    "SnowflakeWorkers",
    "ThisProcess",
    "TrainingJob",
    "device_name_for",
    "engine_here",
    "gpus_of_each",
]
