"""Workers that a stand-in for Snowflake's distributor really starts; see `snowflake_runtime`."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
from collections.abc import Callable
from typing import Any

from copperline.snowflake_settings import SnowflakeSettings
from copperline.training.checkpoint import Checkpoint
from copperline.training.engines import SnowflakeWorkers, TrainingJob
from copperline.training.loop import TrainResult

Same = Callable[[TrainResult, TrainResult], bool]


def workers(names: SnowflakeSettings, **options: Any) -> SnowflakeWorkers:
    return SnowflakeWorkers(names, **{"nodes": 2, "gpus_per_worker": 0, "poll_s": 0.1, "stall_s": 60.0, **options})


def test_a_killed_worker_costs_no_bit_of_the_result(
    trial: Any, job: TrainingJob, undisturbed: TrainResult, same: Same, runtime: Any, labeled: SnowflakeSettings
) -> None:
    """Two nodes with a worker each; the second worker is killed in the middle of an epoch."""
    trial.at[12] = lambda: os.kill(runtime.distributor.running[1].pid, signal.SIGKILL)
    result = trial.train(workers(labeled, run="run"), job)
    assert same(result, undisturbed)
    assert trial.epochs == [1, 2, 3]
    first, again = trial.lines
    assert first == (
        "Training on 2 Snowflake node(s): 2 workers with the CPU each; 8 crops a step, 4 for each worker; learning "
        "rate 0.006; 30 steps."
    )
    begun_again = re.search(r"\(failure 1 of at most 3\)\. Started again on 2 Snow.*, (\d+) of them done before", again)
    assert begun_again is not None and int(begun_again[1]) >= 10
    assert len(runtime.distributor.calls) == 2
    call = runtime.distributor.calls[0]
    assert (call["scaling"].num_nodes, call["scaling"].num_workers_per_node) == (2, 1)
    assert dataclasses.astuple(call["scaling"].resource_requirements_per_worker) == (1, 0)
    assert set(call["data"]) == {"train"}
    assert Checkpoint.load(trial.folder).epoch == 3
    assert (runtime.stages / "model-dir" / "checkpoint.pt").is_file()
