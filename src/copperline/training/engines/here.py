"""The engine for where this code runs: a notebook or job inside Snowflake, or any other machine."""

from __future__ import annotations

from copperline.errors import TrainingError
from copperline.settings import Settings
from copperline.snowflake.container import in_container_runtime
from copperline.training.engines.base import Engine, device_name_for, gpus_of_each
from copperline.training.engines.local import LocalWorkers
from copperline.training.engines.on_snowflake import SnowflakeWorkers
from copperline.training.engines.this_process import ThisProcess


def engine_here(
    settings: Settings, *, workers: int | None = None, gpus_per_worker: int | None = None, nodes: int = 1
) -> Engine:
    """In Snowflake's Container Runtime its distributor's workers, elsewhere processes of this machine.

    Args:
        workers: on each node; a batch has to have as many micro-batches as there are workers in all. None: 1.
        gpus_per_worker: 0: the CPU; 1: a GPU for each worker; None: whichever there is.
        nodes: of the compute pool, in Snowflake; elsewhere there is this one alone.

    Raises:
        TrainingError: there are fewer GPUs than were asked for, or more nodes than this one outside of Snowflake.
    """
    count = workers or 1
    device = device_name_for(gpus_per_worker, count)
    if in_container_runtime():
        return SnowflakeWorkers(
            settings.snowflake,
            nodes=nodes,
            workers_per_node=count,
            gpus_per_worker=gpus_of_each(gpus_per_worker, count),
            wait_s=max(settings.training_wait_s, settings.training_stall_s),
            stall_s=settings.training_stall_s,
        )
    if nodes > 1:
        raise TrainingError(
            f"expected 1 node outside of Snowflake, found {nodes}",
            fix="take more --workers, a Ray cluster (--engine ray), or `copperline snowflake train`",
        )
    if count == 1:
        return ThisProcess(settings.cores, device)
    return LocalWorkers(count, settings.cores, device, stall_s=settings.training_stall_s)
