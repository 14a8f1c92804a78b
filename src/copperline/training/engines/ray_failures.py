"""What Ray Train's errors mean for a run: the user's error, workers that can be started again, or no place for them."""

from __future__ import annotations

from collections.abc import Mapping

from copperline.cluster import explained
from copperline.errors import CopperlineError
from copperline.training.engines.reports import Failed
from copperline.training.engines.watching import Watch, WorkersLost

LOG = "Ray's logs"


class NotPlaced(Exception):
    """The cluster had no place for all workers within the limit."""


def failed_start(error: BaseException, workers: int, watch: Watch) -> CopperlineError | WorkersLost | NotPlaced:
    """Why workers did not finish, of which Ray Train says `error`."""
    from ray.train import ControllerError, WorkerGroupError
    from ray.train.v2._internal.exceptions import (
        InsufficientClusterResourcesError,
        WorkerGroupStartupFailedError,
        WorkerGroupStartupTimeoutError,
    )

    if isinstance(error, WorkerGroupError):
        failures: Mapping[int, Exception] = error.worker_failures
        died = [f"worker {rank} of {workers} {how}" for rank, each in failures.items() if (how := _died(each))]
        watch.failures += [Failed.of(rank, each) for rank, each in failures.items() if not _died(each)]
        return watch.failure(died[0] if died else None, LOG)
    if isinstance(error, ControllerError):
        if isinstance(error.controller_failure, WorkerGroupStartupTimeoutError | InsufficientClusterResourcesError):
            return NotPlaced()
        if isinstance(error.controller_failure, WorkerGroupStartupFailedError):
            return WorkersLost("a worker was lost while all were starting")
    return explained(error)


def _died(error: Exception) -> str | None:
    """How a worker's process ended, in words; None: it did not, its code raised the error."""
    from ray.exceptions import OutOfMemoryError, RayActorError
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError

    if isinstance(error, WorkerHealthCheckTimeoutError):
        return "does not answer"
    if isinstance(error, WorkerHealthCheckFailedError):
        error = error.health_check_failure
    if isinstance(error, OutOfMemoryError):
        return "was ended because its node ran out of memory"
    if isinstance(error, RayActorError):
        return "was lost: its process was killed (out of memory?), or its node is gone"
    return None
