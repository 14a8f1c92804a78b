"""Workers on the nodes of a Snowflake compute pool, started by the distributor of Snowflake's Container Runtime."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copperline.errors import CopperlineError, SnowflakeError, StageError
from copperline.labeled_board import COLUMNS, TABLE
from copperline.snowflake.container import container_session, require_container_runtime
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage.stage_path import StagePath
from copperline.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from copperline.training.engines.base import Tell, result_of
from copperline.training.engines.job import TrainingJob
from copperline.training.engines.reports import CheckpointKept
from copperline.training.engines.run_stage import INIT_NAME, RunStage, StageReader, run_location
from copperline.training.engines.snowflake_data import SPLITS_READ
from copperline.training.engines.snowflake_order import SnowflakeOrder, order_for
from copperline.training.engines.snowflake_worker import work
from copperline.training.engines.watching import Watch, WorkersLost, tell_start, with_restarts
from copperline.training.loop import Listener, TrainResult

if TYPE_CHECKING:
    from snowflake.snowpark import DataFrame, Session

POLL_S = 5.0
LOG = "the log of the notebook or job"


@dataclass(frozen=True)
class SnowflakeWorkers:
    """Starts the workers, and all of them again from the last checkpoint when one is lost.

    It runs in a notebook or ML Job inside Snowflake. Images and labels go to the nodes from the table
    `pcb_labeled_data`, in shards; the boards trained on are those of the job, by file name, and their content is
    compared. Checkpoints and reports come back through a folder of the run on the stage.

    Attributes:
        names: of the objects in the account.
        nodes: of the compute pool, this one included.
        workers_per_node: how many on each.
        gpus_per_worker: 0: the CPU; 1: a GPU for each worker.
        run: name of the run's folder on the stage; None: a new one.
        max_failures: so often they are started again.
        wait_s: so long the distributor may take to start all workers and to bring the images to them.
        stall_s: so long may pass without a report after that.
        poll_s: how often the stage is looked at.
    """

    names: SnowflakeSettings
    nodes: int = 1
    workers_per_node: int = 1
    gpus_per_worker: int = 1
    run: str | None = None
    max_failures: int = 3
    wait_s: float = 900.0
    stall_s: float = 900.0
    poll_s: float = POLL_S

    @property
    def workers(self) -> int:
        return self.nodes * self.workers_per_node

    def train(
        self,
        job: TrainingJob,
        folder: Path,
        *,
        resume: Checkpoint | None,
        listeners: Sequence[Listener],
        tell: Tell,
    ) -> TrainResult:
        """See `Engine`.

        Raises:
            SnowflakeError: this is not Snowflake's Container Runtime, or the account refuses.
            StageError: the network failed for longer than it is waited for.
        """
        job.outline(self.workers, "")  # too many workers are told of before anything is started
        require_container_runtime()
        run = self.run or f"{folder.name}-{uuid.uuid4().hex[:8]}"
        session = container_session()
        stage = RunStage(session, run_location(self.names, run))
        if resume is not None:
            stage.put(resume.save(folder))
        if job.init is not None:
            stage.put(job.init, name=INIT_NAME)
        with tempfile.TemporaryDirectory() as reports:
            started = _Run(self, session, stage, job, folder, Watch(listeners, self.stall_s), tell, Path(reports))
            started.kept = resume
            with_restarts(started.attempt, self.max_failures)
        return result_of(Checkpoint.load(folder))


class _Run:
    """One run through all starts of its workers."""

    def __init__(
        self,
        engine: SnowflakeWorkers,
        session: Session,
        stage: RunStage,
        job: TrainingJob,
        folder: Path,
        watch: Watch,
        tell: Tell,
        reports: Path,
    ) -> None:
        self._engine, self._session, self._stage, self._job = engine, session, stage, job
        self._folder, self._watch, self._tell, self._reports = folder, watch, tell, reports
        self.kept: Checkpoint | None = None

    def attempt(self, reason: str | None) -> None:
        """Raises WorkersLost or CopperlineError unless the workers finish."""
        if reason is not None:
            self.kept = self._stage.checkpoint(self._folder) or self.kept
        nodes = self._engine.nodes
        each = "a GPU" if self._engine.gpus_per_worker else "a CPU"
        outline = self._job.outline(self._engine.workers, each, self._job.steps_done(self.kept))
        tell_start(self._tell, outline, f"on {nodes} node{'s' if nodes > 1 else ''} in Snowflake", reason)
        order = order_for(
            self._job,
            location=str(self._stage.location),
            start=f"start-{uuid.uuid4().hex[:8]}",
            resume=self.kept is not None,
            workers_per_node=self._engine.workers_per_node,
            on_gpu=bool(self._engine.gpus_per_worker),
            timeout_s=self._engine.stall_s + 60,  # this process sees first that nothing goes on
        )
        self._watch.begin(self._engine.wait_s)
        running = _Distributed(self._distributor(), self._arguments(order))
        running.start()
        try:
            self._follow(running, order.start)
        finally:
            if not running.ended.is_set():
                self._stage.ask_to_stop(order.start)
                with suppress(SnowflakeError, StageError):  # what ends this is told, not this
                    self._stage.get(CHECKPOINT_NAME, self._folder)  # newer than what was taken with the reports

    def _follow(self, running: _Distributed, start: str) -> None:
        main = StageReader(self._stage, self._reports, start, 0)
        while not running.ended.wait(self._engine.poll_s):
            with suppress(SnowflakeError, StageError):  # a cut of the network; a long one is silence, which has a limit
                self._take(main)
            self._watch.require_progress()
        self._take(main)
        if running.error is None or self._watch.epochs_kept >= self._job.config.epochs:
            last = self._stage.checkpoint(self._folder)
            if last is not None and last.epoch >= self._job.config.epochs:
                return
        for rank in range(1, self._engine.workers):
            self._watch.take(StageReader(self._stage, self._reports, start, rank)())
        raise self._why(running.error)

    def _take(self, main: StageReader) -> None:
        reports = main()
        self._watch.take(reports)
        if any(isinstance(report, CheckpointKept) for report in reports):
            self._stage.get(CHECKPOINT_NAME, self._folder)

    def _why(self, error: BaseException | None) -> CopperlineError | WorkersLost:
        """The workers' own reports go before what the distributor makes of them."""
        if self._watch.failures or error is None:
            return self._watch.failure(None, LOG)
        if isinstance(error, CopperlineError):
            return error
        line = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        return WorkersLost(f"the distributor failed ({line}; see {LOG})")

    def _distributor(self) -> Any:
        from snowflake.ml.modeling.distributors.pytorch import (
            PyTorchDistributor,
            PyTorchScalingConfig,
            WorkerResourceConfig,
        )

        gpus = self._engine.gpus_per_worker
        return PyTorchDistributor(
            train_func=work,
            scaling_config=PyTorchScalingConfig(
                num_nodes=self._engine.nodes,
                num_workers_per_node=self._engine.workers_per_node,
                # With a GPU no cores are set aside: a node has few for each, and the GPUs bound the workers already.
                resource_requirements_per_worker=WorkerResourceConfig(num_cpus=0 if gpus else 1, num_gpus=gpus),
            ),
        )

    def _arguments(self, order: SnowflakeOrder) -> dict[str, Any]:
        from snowflake.ml.data.sharded_data_connector import ShardedDataConnector

        # With equal shards rows would be left out.
        shards = {
            split: ShardedDataConnector.from_dataframe(self._rows(split), equal=False)
            for split in SPLITS_READ
            if split == "train" or self._has_rows(split)
        }
        return {
            "dataset_map": shards,
            "hyper_params": order.as_hyper_params(),
            "artifact_stage_location": artifact_stage(self._engine.names),
        }

    def _rows(self, split: str) -> DataFrame:
        from snowflake.snowpark.functions import col

        with snowflake_errors(TABLE):
            table = self._session.table(self._engine.names.in_schema(TABLE.upper()))
            return table.filter(col("SPLIT") == split).select([name.upper() for name in COLUMNS])

    def _has_rows(self, split: str) -> bool:
        with snowflake_errors(TABLE):
            return self._rows(split).count() > 0


class _Distributed(threading.Thread):
    """The distributor's `run`, which waits without a limit, and so does not wait in the thread that Ctrl-C reaches."""

    def __init__(self, distributor: Any, arguments: dict[str, Any]) -> None:
        super().__init__(daemon=True, name="snowflake-distributor")
        self._distributor, self._arguments = distributor, arguments
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._distributor.run(**self._arguments)
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits for it
            self.error = error
        finally:
            self.ended.set()


def artifact_stage(names: SnowflakeSettings) -> str:
    """The stage as the distributor is given it: in quotes only where a name needs them.

    >>> artifact_stage(SnowflakeSettings())
    'PCB_CV.PUBLIC.MODEL_STAGE'
    """
    return str(StagePath.of_settings(names)).removeprefix("@")
