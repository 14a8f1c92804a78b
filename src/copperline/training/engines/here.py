"""The engine for where this code runs: a notebook or job inside Snowflake, or any other machine."""

from __future__ import annotations

from copperline.settings import Settings
from copperline.training.engines.base import Engine, device_name_for
from copperline.training.engines.local import LocalWorkers
from copperline.training.engines.this_process import ThisProcess


def engine_here(
    settings: Settings, *, workers: int | None = None, gpus_per_worker: int | None = None, nodes: int = 1
) -> Engine:
    """In Snowflake's Container Runtime its distributor's workers, elsewhere processes of this machine.

    Args:
        workers: on each node; None: one for each GPU, and 1 without GPUs.
        gpus_per_worker: 0: the CPU; 1: a GPU for each worker; None: whichever there is.
        nodes: of the compute pool, in Snowflake; elsewhere there is this one alone.

    Raises:
        TrainingError: there are fewer GPUs than were asked for.
    """
    count = workers or 1
    device = device_name_for(gpus_per_worker, count)
    if count == 1:
        return ThisProcess(settings.cores, device)
    return LocalWorkers(count, settings.cores, device, stall_s=settings.training_stall_s)
