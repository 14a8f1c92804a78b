"""Workers that a stand-in for Snowflake's distributor really starts; see `tests/snowflake_runtime`."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from copperline.errors import DataError, SnowflakeError, StageError, TrainingError
from copperline.settings import Settings
from copperline.snowflake_settings import SnowflakeSettings
from copperline.training.checkpoint import Checkpoint
from copperline.training.distributed import World
from copperline.training.engines import LocalWorkers, SnowflakeWorkers, ThisProcess, TrainingJob, engine_here
from copperline.training.engines.run_stage import RunStage
from copperline.training.engines.snowflake_worker import device_of, place_of
from copperline.training.loop import TrainResult

Same = Callable[[TrainResult, TrainResult], bool]


def workers(names: SnowflakeSettings, **options: Any) -> SnowflakeWorkers:
    return SnowflakeWorkers(names, **{"nodes": 2, "gpus_per_worker": 0, "poll_s": 0.1, "stall_s": 120.0, **options})


def test_a_killed_worker_costs_no_bit_of_the_result(
    trial: Any,
    job: TrainingJob,
    undisturbed: TrainResult,
    same: Same,
    container_runtime: Any,
    labeled: SnowflakeSettings,
) -> None:
    """Two nodes with a worker each; the second worker is killed in the middle of an epoch."""
    trial.at[12] = lambda: os.kill(container_runtime.distributor.running[1].pid, signal.SIGKILL)
    result = trial.train(workers(labeled, run="run"), job)
    assert same(result, undisturbed)
    assert trial.epochs == [1, 2, 3]
    first, again = trial.lines
    assert first == (
        "Training on 2 nodes in Snowflake: 2 workers with a CPU each; 8 crops a step, 4 for each worker; learning "
        "rate 0.006; 30 steps."
    )
    begun_again = re.search(
        r"\(failure 1 of at most 3\)\. Started again on 2 nodes.*, (\d+) of them done before", again
    )
    assert begun_again is not None and int(begun_again[1]) >= 10
    assert len(container_runtime.distributor.calls) == 2
    call = container_runtime.distributor.calls[0]
    assert (call["scaling"].num_nodes, call["scaling"].num_workers_per_node) == (2, 1)
    assert dataclasses.astuple(call["scaling"].resource_requirements_per_worker) == (1, 0)
    assert set(call["data"]) == {"train"}
    assert Checkpoint.load(trial.folder).epoch == 3
    assert (container_runtime.stages / "model-dir" / "checkpoint.pt").is_file()


def test_a_board_that_is_not_in_the_table_is_told_by_the_worker_and_not_tried_again(
    trial: Any, job: TrainingJob, container_runtime: Any, labeled: SnowflakeSettings, tmp_path: Path
) -> None:
    """One worker alone, whose context tells of no others."""
    other = tmp_path / "other.png"
    other.write_bytes(job.pairs[0].test_path.read_bytes())
    more = dataclasses.replace(job, pairs=[*job.pairs, dataclasses.replace(job.pairs[0], test_path=other)])
    with pytest.raises(DataError, match=r"pcb_labeled_data: expected 12 boards .* but 1 \(first: other\.png\); import"):
        trial.train(workers(labeled, nodes=1), more)
    assert len(trial.lines) == 1


def test_other_images_under_the_same_names_are_refused(
    trial: Any, job: TrainingJob, container_runtime: Any, labeled: SnowflakeSettings, tmp_path: Path
) -> None:
    changed = tmp_path / job.pairs[0].test_path.name
    changed.write_bytes(job.pairs[1].test_path.read_bytes())
    pairs = [dataclasses.replace(job.pairs[0], test_path=changed), *job.pairs[1:]]
    with pytest.raises(DataError, match="expected the images and labels that the run was started with"):
        trial.train(workers(labeled, nodes=1), dataclasses.replace(job, pairs=pairs, validation_pairs=[]))


def test_ctrl_c_ends_the_workers_with_their_next_checkpoint(
    trial: Any, job: TrainingJob, container_runtime: Any, labeled: SnowflakeSettings
) -> None:
    trial.at[2] = lambda: signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trial.train(workers(labeled, nodes=1), job)
    container_runtime.distributor.running[0].join(30)
    assert container_runtime.distributor.running[0].exitcode == 1
    assert Checkpoint.load(trial.folder).epoch < 3


def test_a_notebook_without_a_network_for_a_while_goes_on(
    trial: Any,
    job: TrainingJob,
    container_runtime: Any,
    labeled: SnowflakeSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    get, cuts = RunStage.get, iter([SnowflakeError, StageError, SnowflakeError])

    def cut(*arguments: Any) -> Any:
        if (kind := next(cuts, None)) is not None:
            raise kind("no route to host")
        return get(*arguments)

    monkeypatch.setattr(RunStage, "get", cut)
    short = dataclasses.replace(job, config=job.config.model_copy(update={"epochs": 1}), validation_pairs=[])
    trial.train(workers(labeled, nodes=1), short)
    assert next(cuts, None) is None
    assert len(trial.lines) == 1
    assert trial.epochs == [1]


def test_a_distributor_that_fails_by_itself_is_tried_again_and_not_for_ever(
    trial: Any, job: TrainingJob, container_runtime: Any, labeled: SnowflakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the cluster has 1 node\nof 2")

    monkeypatch.setattr(container_runtime.distributor, "run", fail)
    with pytest.raises(
        TrainingError, match=r"the distributor failed \(the cluster has 1 node; see .*\(failure 2, where at most 1 are"
    ):
        trial.train(workers(labeled, max_failures=1), job)
    assert len(trial.lines) == 2


def test_a_worker_without_its_gpu_says_what_to_take(
    trial: Any, job: TrainingJob, container_runtime: Any, labeled: SnowflakeSettings
) -> None:
    with pytest.raises(TrainingError, match=r"expected a GPU for each of 1 workers on this node, found 0; .*GPU_NV_S"):
        trial.train(workers(labeled, nodes=1, gpus_per_worker=1), job)
    scaling = container_runtime.distributor.calls[0]["scaling"]
    assert dataclasses.astuple(scaling.resource_requirements_per_worker) == (0, 1)


def test_more_workers_than_micro_batches_are_refused_before_anything_is_started(trial: Any, job: TrainingJob) -> None:
    with pytest.raises(TrainingError, match="expected at most 2 workers"):
        trial.train(workers(SnowflakeSettings(), workers_per_node=2), job)


def test_outside_of_snowflake_the_engine_says_what_to_use(trial: Any, job: TrainingJob) -> None:
    with pytest.raises(SnowflakeError, match=r"expected Snowflake's Container Runtime, .*`copperline snowflake train`"):
        trial.train(workers(SnowflakeSettings()), job)


def test_a_missing_table_is_an_error_of_the_account(trial: Any, job: TrainingJob, container_runtime: Any) -> None:
    with pytest.raises(SnowflakeError, match="pcb_labeled_data"):
        trial.train(workers(SnowflakeSettings(database="EMPTY")), job)


def context(**told: Any) -> Any:
    others = {"get_rank": 0, "get_local_rank": 0, "get_world_size": 1, **told}
    return SimpleNamespace(**{name: lambda value=value: value for name, value in others.items()})


def test_the_place_of_a_worker_is_what_its_context_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(variable, raising=False)
    many = {"get_rank": 5, "get_local_rank": 1, "get_world_size": 8}
    meeting = {"get_master_addr": "10.0.0.1", "get_master_port": 29500}
    place = {"WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    told = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
    assert place_of(context(**many, **meeting), 4) == place | told
    with pytest.raises(TrainingError, match=r"expected MASTER_ADDR for 8 workers, found neither"):
        place_of(context(**many), 4)
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.2")
    monkeypatch.setenv("MASTER_PORT", "1")
    assert place_of(context(**many, **meeting), 4)["MASTER_ADDR"] == "10.0.0.1"
    assert place_of(context(**many), 4)["MASTER_ADDR"] == "10.0.0.2"


def test_a_context_that_tells_of_no_world_means_alone() -> None:
    alone = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    assert place_of(context(), 4) == alone
    assert place_of(context(get_world_size=None, get_rank=None, get_local_rank=None), 4) == alone


@pytest.mark.parametrize(("seen", "local_rank", "device"), [(1, 0, "cuda:0"), (1, 3, "cuda:0"), (4, 3, "cuda:3")])
def test_a_worker_takes_its_gpu_or_the_only_one_that_it_is_shown(
    monkeypatch: pytest.MonkeyPatch, seen: int, local_rank: int, device: str
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: seen)
    order = SimpleNamespace(on_gpu=True)
    assert device_of(order, World(local_rank, 4, local_rank, 4)) == device  # type: ignore[arg-type]


def test_the_engine_is_the_one_of_where_the_code_runs(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(workspace=tmp_path, threads=1)
    assert isinstance(engine_here(settings, gpus_per_worker=0), ThisProcess)
    assert isinstance(engine_here(settings, workers=2, gpus_per_worker=0), LocalWorkers)
    with pytest.raises(TrainingError, match="expected 1 node outside of Snowflake, found 2"):
        engine_here(settings, nodes=2)
    request.getfixturevalue("container_runtime")
    found = engine_here(settings, workers=2, gpus_per_worker=0, nodes=3)
    assert isinstance(found, SnowflakeWorkers)
    assert (found.workers, found.gpus_per_worker) == (6, 0)
