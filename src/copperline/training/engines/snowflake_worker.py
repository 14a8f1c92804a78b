"""A worker inside Snowflake: what the distributor calls in each of its processes.

Assumed of the Container Runtime, and not checked on an account: `get_context()` tells of the worker's place; the
runtime has set MASTER_ADDR and MASTER_PORT, or the context tells of them, or it has joined the workers already;
Copperline is installed on each node, since the distributor sends this function by its name; and a process there can
open a session of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch

from copperline.errors import TrainingError
from copperline.settings import available_cores
from copperline.snowflake.container import container_session
from copperline.stage.stage_path import StagePath
from copperline.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from copperline.training.distributed import World, join_world
from copperline.training.engines.job import TrainingJob
from copperline.training.engines.reports import CheckpointKept, Failed, Met, ReportingListener, Send
from copperline.training.engines.run_stage import INIT_NAME, RunStage, StageReports
from copperline.training.engines.snowflake_data import pairs_on_node, remove_from_node
from copperline.training.engines.snowflake_order import SnowflakeOrder


class Stopped(Exception):
    """Whoever started the workers has gone or given up."""


def work() -> None:
    """Trains as one of the workers that the distributor has started."""
    from snowflake.ml.modeling.distributors.pytorch import get_context

    context = get_context()
    order = SnowflakeOrder.of_hyper_params(context.get_hyper_params())
    os.environ.update(place_of(context, order.workers_per_node))
    stage = RunStage(container_session(), StagePath.parse(order.location))
    rank = World.from_environment().rank
    with tempfile.TemporaryDirectory() as folder:
        send = StageReports(stage, Path(folder), order.start, rank)
        try:
            _train(order, context, stage, send, Path(folder))
        except Exception as error:
            traceback.print_exc()
            send(Failed.of(rank, error))
            raise


def place_of(context: Any, workers_per_node: int) -> dict[str, str]:
    """The variables that `World` reads, from what the distributor's context tells; alone if it tells of no others.

    Raises:
        TrainingError: there are several workers and nothing says where they meet.
    """
    size = int(context.get_world_size() or 1)
    rank = int(context.get_rank() or 0)
    place = {
        "WORLD_SIZE": size,
        "RANK": rank,
        "LOCAL_RANK": int(context.get_local_rank() or 0),
        "LOCAL_WORLD_SIZE": min(workers_per_node, size),
    }
    meeting = {}
    if size > 1 and not torch.distributed.is_initialized():
        for variable, name in (("MASTER_ADDR", "get_master_addr"), ("MASTER_PORT", "get_master_port")):
            told = getattr(context, name, None)
            # The context goes first: in a process that is used again, the variable may be of the start before.
            value = (told() if told is not None else None) or os.environ.get(variable)
            if not value:
                raise TrainingError(
                    f"expected {variable} for {size} workers, found neither {name} of the context nor the variable",
                    fix="train with one worker on one node",
                )
            meeting[variable] = str(value)
    return {**{name: str(value) for name, value in place.items()}, **meeting}


def device_of(order: SnowflakeOrder, place: World) -> str:
    """What this worker computes on: of the GPUs that it sees, the one of its place, or the only one.

    Raises:
        TrainingError: it is to have a GPU and there is none.
    """
    if not order.on_gpu:
        return "cpu"
    there = torch.cuda.device_count()
    if there == 0 or (there > 1 and place.local_rank >= there):
        raise TrainingError(
            f"expected a GPU for each of {place.local_size} workers on this node, found {there}",
            fix="take a compute pool with GPUs (GPU_NV_S and larger), fewer workers on each node, or "
            "--gpus-per-worker 0",
        )
    return f"cuda:{place.local_rank if there > 1 else 0}"


def _train(order: SnowflakeOrder, context: Any, stage: RunStage, send: Send, folder: Path) -> None:
    def keep(checkpoint: Checkpoint) -> None:
        stage.put(checkpoint.save(folder))
        send(CheckpointKept(checkpoint.epoch, checkpoint.step))
        if checkpoint.epoch < order.config.epochs and stage.is_to_stop(order.start):
            raise Stopped("the run was stopped")

    with join_world(device_of(order, World.from_environment()), timeout_s=order.timeout_s) as world:
        if world.device().type == "cuda":
            torch.cuda.set_device(world.device())  # also where the runtime has joined the workers
        try:
            pairs, validation_pairs = pairs_on_node(order, context.get_dataset_map() or {}, world)
            if world.is_main:
                send(Met(world.size))
            job = TrainingJob(
                pairs,
                validation_pairs,
                order.taxonomy,
                order.config,
                order.data_hash,
                order.parts,
                stage.get(INIT_NAME, folder) if order.init else None,
                order.checkpoint_every_s,
            )
            job.carry_out(
                folder,
                world,
                threads=available_cores(),
                resume=stage.checkpoint(folder) if order.resume else None,
                listeners=[ReportingListener(send)],
                save=keep,
            )
        finally:
            remove_from_node(order, world)
    if world.is_main:
        _copy_to_model_dir(context, folder / CHECKPOINT_NAME)


def _copy_to_model_dir(context: Any, checkpoint: Path) -> None:
    """The result where the distributor's own result looks for one, too."""
    model_dir = context.get_model_dir()
    if model_dir and checkpoint.is_file():
        shutil.copy2(checkpoint, Path(model_dir) / CHECKPOINT_NAME)
