"""Workers on a Ray cluster, or on a Ray of this machine, brought together by Ray Train."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copperline.cluster import Cluster, ray_errors, ray_session
from copperline.cluster.environment import raylet_messages_to, variables
from copperline.cluster.nodes import Node, nodes_alive
from copperline.errors import ClusterError, CopperlineError
from copperline.training.checkpoint import Checkpoint
from copperline.training.engines.base import Tell, cores_each, in_words, result_of
from copperline.training.engines.job import TrainingJob
from copperline.training.engines.local import WORKERS_FOLDER
from copperline.training.engines.ray_channel import TAKE_TIMEOUT_S, Channel, as_bytes, from_bytes, write_checkpoint
from copperline.training.engines.ray_failures import NotPlaced, failed_start
from copperline.training.engines.ray_worker import work
from copperline.training.engines.shipping import Shipment, ship
from copperline.training.engines.stopping import ended_by_sigterm
from copperline.training.engines.watching import Watch, tell_start, with_restarts
from copperline.training.loop import Listener, TrainResult

POLL_S = 0.1
LOOK_FOR_NODES_S = 20.0


@dataclass(frozen=True)
class RayWorkers:
    """Starts the workers on a cluster, and all of them again from the last checkpoint when one is lost.

    No disk is shared: images go to the nodes through Ray's object store, checkpoints come back to this process, which
    writes them into the run's folder. This process has to be on a node of the cluster.

    Ray Train brings the workers together. Whether and with how many they are started again is decided here, since Ray
    Train would start them again after every error, also one that can only repeat itself, and wait for a missing node
    for ever.

    Attributes:
        workers: how many.
        address: see `ray_session`; None: a Ray of this machine.
        cores: CPU cores that may be used of a machine; None: all that Ray has there.
        gpus_per_worker: 0 or 1; None: 1 if the cluster has one for each worker.
        min_workers: with so many it goes on when the cluster has no place for more; None: `workers`.
        max_failures: so often they are started again.
        wait_s: so long the cluster may take to have a place for all workers, also when it has lost a node.
        stall_s: so long may pass without a step.
        object_store_mib: see `ray_session`.
    """

    workers: int
    address: str | None = None
    cores: int | None = None
    gpus_per_worker: int | None = None
    min_workers: int | None = None
    max_failures: int = 3
    wait_s: float = 120.0
    stall_s: float = 900.0
    object_store_mib: int = 256

    def train(
        self,
        job: TrainingJob,
        folder: Path,
        *,
        resume: Checkpoint | None,
        listeners: Sequence[Listener],
        tell: Tell,
    ) -> TrainResult:
        """See `Engine`."""
        job.outline(self.workers, "")  # too many workers are told of before anything is started
        local = self.address in (None, "local")
        each = cores_each(self.cores or 1, self.workers)
        session = ray_session(
            self.address,
            cpus=each * self.workers if local else 0,
            timeout_s=self.wait_s,
            logs=folder / WORKERS_FOLDER,
            object_store_mib=self.object_store_mib,
        )
        with (
            ended_by_sigterm(),
            session as cluster,
            ray_errors(),
            variables(_train_settings(self.wait_s), replace=True),
            raylet_messages_to(folder / WORKERS_FOLDER / "ray-messages.log"),
            tempfile.TemporaryDirectory(prefix="copperline-train-") as storage,
        ):
            run = _Run(self, cluster, job, folder, Watch(listeners, self.stall_s), tell, resume, storage)
            with_restarts(run.attempt, self.max_failures)
            return result_of(run.last_checkpoint())

    def cpus_per_worker(self, nodes: Sequence[Node]) -> int:
        """As many as there is place for with all workers, at least 1."""
        most = [int(min(node.cpus, self.cores or node.cpus)) for node in nodes]
        for cpus in range(max([*most, 1]), 1, -1):
            if sum(there // cpus for there in most) >= self.workers:
                return cpus
        return 1


class _Run:
    """One run through all starts of its workers."""

    def __init__(
        self,
        engine: RayWorkers,
        cluster: Cluster,
        job: TrainingJob,
        folder: Path,
        watch: Watch,
        tell: Tell,
        resume: Checkpoint | None,
        storage: str,
    ) -> None:
        self._engine, self._job, self._folder, self._watch, self._tell = engine, job, folder, watch, tell
        self._storage = storage  # of Ray Train, which nothing is kept in
        self._is_local = cluster.is_local
        self._cpus = engine.cpus_per_worker(cluster.nodes)
        self._gpus = engine.gpus_per_worker
        if self._gpus is None:
            self._gpus = int(cluster.gpus >= engine.workers)
        self._checkpoint = None if resume is None else as_bytes(resume)
        if self._checkpoint is not None:
            write_checkpoint(self._checkpoint, folder)
        self._shipment: Shipment = ship(job)

    def last_checkpoint(self) -> Checkpoint:
        if self._checkpoint is None:
            raise ClusterError("the workers ended without a checkpoint", fix="train again")
        return from_bytes(self._checkpoint)

    def attempt(self, reason: str | None) -> None:
        """Starts the workers: all if there is a place for them in time, else as many as there is one for.

        Raises:
            WorkersLost, CopperlineError: they did not finish.
        """
        while True:
            try:
                if self._start(self._engine.workers, reason):
                    return
            except NotPlaced as missing:
                places = self._places()
                fewer = min(places, self._engine.workers - 1)
                if fewer < self._least:
                    raise self._too_small(places) from missing
                full = f"the cluster has had no place for more workers for {self._engine.wait_s:.0f} s"
                if self._start(fewer, full):
                    return
            reason = "the cluster has a place for more workers"

    @property
    def _least(self) -> int:
        return self._engine.min_workers or self._engine.workers

    def _places(self) -> int:
        """For how many workers the nodes that are alive have the resources."""
        return sum(
            int(min(node.cpus // self._cpus, node.gpus // self._gpus if self._gpus else node.cpus // self._cpus))
            for node in nodes_alive()
        )

    def _too_small(self, places: int) -> ClusterError:
        each = f"{self._cpus} CPU{'s' if self._cpus > 1 else ''}" + (" and a GPU" if self._gpus else "")
        elastic = "" if self._engine.min_workers else ", let the run go on with fewer (--min-workers)"
        return ClusterError(
            f"expected {self._least} free places for workers with {each} each within {self._engine.wait_s:.0f} s, "
            "found " + ("that other work takes some" if places >= self._least else f"{places}"),
            where=self._engine.address,
            fix=f"add nodes{elastic}, or take fewer --workers; if there is a checkpoint, go on with --resume",
        )

    def _start(self, workers: int, reason: str | None) -> bool:
        """Whether the workers finished; False: they ended because there is a place for more of them.

        Raises:
            NotPlaced: the cluster has had no place for them within the limit.
            WorkersLost, CopperlineError: they did not finish.
        """
        import ray

        kept = None if self._checkpoint is None else from_bytes(self._checkpoint)
        each = in_words(self._cpus, on_gpu=bool(self._gpus))
        where = "on a Ray of this machine" if self._is_local else "on the Ray cluster"
        tell_start(self._tell, self._job.outline(workers, each, self._job.steps_done(kept)), where, reason)
        channel = _new_channel()
        order = {
            "shipment": self._shipment,
            "channel": channel,
            "checkpoint": None if self._checkpoint is None else ray.put(self._checkpoint),
            "threads": self._cpus,
            "on_gpu": bool(self._gpus),
            "timeout_s": self._engine.stall_s + 60,  # the command sees first that nothing goes on
        }
        try:
            return self._follow(order, workers, channel)
        finally:
            ray.kill(channel)  # without it the workers end, if they have not ended yet

    def _follow(self, order: dict[str, Any], workers: int, channel: Any) -> bool:
        self._watch.begin(self._engine.wait_s)
        looked = time.monotonic()
        regrouping = False
        fit = _Fit(self._trainer(order, workers))
        fit.start()
        while not fit.ended.wait(POLL_S):
            self._take(channel)
            self._watch.require_progress()
            if workers < self._engine.workers and time.monotonic() - looked > LOOK_FOR_NODES_S:
                looked = time.monotonic()
                if not regrouping and self._places() > workers:
                    channel.ask_to_regroup.remote()
                    regrouping = True
        self._take(channel)
        if fit.error is None or self._watch.epochs_kept >= self._job.config.epochs:
            return True
        if regrouping and not isinstance(fit.error, CopperlineError):
            return False
        raise failed_start(fit.error, workers, self._watch)

    def _take(self, channel: Any) -> None:
        import ray

        reports, checkpoint = ray.get(channel.take.remote(), timeout=TAKE_TIMEOUT_S)
        if checkpoint is not None:
            write_checkpoint(checkpoint, self._folder)
            self._checkpoint = checkpoint
        self._watch.take(reports)

    def _trainer(self, order: dict[str, Any], workers: int) -> Any:
        from ray.train.torch import TorchConfig, TorchTrainer
        from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

        resources = {"CPU": float(self._cpus), **({"GPU": 1.0} if self._gpus else {})}
        # Gloo would look for an address by the machine's name, which on many machines leads nowhere.
        for_workers = {"GLOO_SOCKET_IFNAME": "lo"} if self._is_local and os.name == "posix" else {}
        return TorchTrainer(
            work,
            train_loop_config=order,
            torch_config=TorchConfig(
                backend="nccl" if self._gpus else "gloo", timeout_s=int(self._engine.stall_s + 60)
            ),
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=bool(self._gpus), resources_per_worker=resources),
            run_config=RunConfig(  # type: ignore[arg-type]
                name=f"copperline-{self._folder.name}",
                storage_path=self._storage,
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0),
                worker_runtime_env={"env_vars": for_workers},
                logging_config=LoggingConfig("ERROR"),
            ),
        )


class _Fit(threading.Thread):
    """Ray Train's `fit`, which waits without a limit, and so does not wait in the thread that Ctrl-C reaches."""

    def __init__(self, trainer: Any) -> None:
        super().__init__(daemon=True, name="ray-train")
        self._trainer = trainer
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits for it
            self.error = error
        finally:
            self.ended.set()


def _new_channel() -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Channel).options(num_cpus=0, scheduling_strategy=here).remote()


def _train_settings(wait_s: float) -> dict[str, str]:
    """What Ray Train reads from this process's environment, and hands on."""
    return {
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": f"{wait_s:g}",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
        "RAY_TRAIN_METRICS_ENABLED": "0",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    }
