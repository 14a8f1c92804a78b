"""Inside an ML Job on Snowflake: from the table to a registered model. `main` is what the job's script calls."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from copperline.data import BoardDataset
from copperline.data.rows import dataset_of_rows, rows_of_frame
from copperline.errors import CopperlineError, TrainingError
from copperline.labeled_board import COLUMNS, TABLE, LabeledBoard
from copperline.model_info import ClassInfo
from copperline.registry import ModelVersion
from copperline.settings import Settings
from copperline.snowflake.container import container_session
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake_settings import SnowflakeSettings
from copperline.taxonomy import DefectClass, Taxonomy
from copperline.training import Metrics, SnowflakeWorkers, TrainConfig, fit
from copperline.training.engines.reports import Failed, ReportingListener
from copperline.training.engines.run_stage import INIT_NAME, RunStage, StageReports, run_location
from copperline.training.engines.snowflake_data import SPLITS_READ
from copperline.workflows.training import register_model

if TYPE_CHECKING:
    from snowflake.snowpark import Session

RESULT_FILE = "result.json"
LINE_EVERY_S = 30.0

Push = Callable[["Session", Settings, str], ModelVersion]
"""Registers a version of the local registry in the account."""


class JobOrder(BaseModel):
    """What a job is to do.

    Attributes:
        run: name of the run's folder on the stage; jobs of one run go on from each other's checkpoints.
        job: this job's folder in it.
        names: of the objects in the account.
        model_name: see `Settings`.
        classes: of the labels, in order.
        target_recall: see `fit`.
        nodes, workers_per_node, gpus_per_worker, max_failures, stall_s: see `SnowflakeWorkers`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    job: str
    names: SnowflakeSettings
    model_name: str
    classes: tuple[ClassInfo, ...]
    config: TrainConfig
    target_recall: float
    nodes: int
    workers_per_node: int
    gpus_per_worker: int
    max_failures: int
    stall_s: float


class JobResult(BaseModel):
    """What it came to.

    Attributes:
        model, model_version, aliases: in the account's registry.
        run: see `JobOrder`.
        train_seconds: in training steps.
        validation: figures on the split `val`, 0 - 1; None: not measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    model_version: str
    aliases: tuple[str, ...]
    run: str
    train_seconds: float
    validation: dict[str, float | None]


def main(order_file: Path) -> None:
    """Carries out the order; what a user can act on ends in one line and status 1."""
    from copperline.inspection.snowflake_push import push_model

    order = JobOrder.model_validate_json(order_file.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_job(order, push_model, Path(folder))
        except CopperlineError as error:
            sys.stderr.write(f"error: {error}\n")
            sys.exit(1)


def run_job(order: JobOrder, push: Push, folder: Path) -> JobResult:
    """Reads the boards, trains, registers, and leaves model and result on the stage.

    Args:
        folder: empty, on this node.

    Raises:
        CopperlineError: see `fit`; it is in the job's reports on the stage too, for whoever waits for them.
    """
    stage = RunStage(container_session(), run_location(order.names, order.run))
    send = StageReports(stage, folder, order.job, 0)
    try:
        return _train_and_register(order, push, folder, stage, ReportingListener(send))
    except Exception as error:
        send(Failed.of(0, error))
        raise


def _train_and_register(
    order: JobOrder, push: Push, folder: Path, stage: RunStage, listener: ReportingListener
) -> JobResult:
    session = container_session()
    settings = Settings(workspace=folder / "workspace", model_name=order.model_name, snowflake=order.names)
    taxonomy = Taxonomy(tuple(DefectClass(i, c.name, c.severity, c.colour) for i, c in enumerate(order.classes)))
    dataset, notes = table_dataset(session, order.names, folder / "boards", taxonomy)
    for line in notes:
        _tell(f"warning: {line}")
    (run := folder / "run").mkdir()
    trained = fit(
        dataset,
        order.config,
        run,
        settings,
        target_recall=order.target_recall,
        resume=stage.checkpoint(run),
        init=None if order.config.init_sha256 is None else stage.get(INIT_NAME, folder),
        listeners=[listener, LogLines()],
        engine=SnowflakeWorkers(
            order.names,
            nodes=order.nodes,
            workers_per_node=order.workers_per_node,
            gpus_per_worker=order.gpus_per_worker,
            run=order.run,
            max_failures=order.max_failures,
            stall_s=order.stall_s,
        ),
        tell=_tell,
    )
    if trained is None:
        raise TrainingError("expected the trained model in the job's process, found none", fix="report this fault")
    stage.put(trained.path)
    local = register_model(trained, dataset, settings)
    version = push(session, settings, str(local.version))
    figures = trained.validation.model_dump(mode="json", include={"map50", "map50_95", "ap33", "f_score"})
    result = JobResult(
        model=version.name,
        model_version=str(version.version),
        aliases=version.aliases,
        run=order.run,
        train_seconds=trained.seconds,
        validation=figures,
    )
    (path := folder / RESULT_FILE).write_text(result.model_dump_json(indent=1), encoding="utf-8")
    stage.put(path)
    _tell(f"Registered {result.model} version {result.model_version}.")
    return result


def table_dataset(
    session: Session, names: SnowflakeSettings, folder: Path, taxonomy: Taxonomy
) -> tuple[BoardDataset, list[str]]:
    """The boards of `pcb_labeled_data` to train and validate on, with their images in `folder`, and what was left out.

    A part of the rows is in memory at a time.

    Raises:
        DataError: there are none, or a row cannot be used.
        SnowflakeError: the table cannot be read.
    """

    def rows() -> Iterator[LabeledBoard]:
        from snowflake.snowpark.functions import col

        wanted = session.table(names.in_schema(TABLE.upper())).filter(col("SPLIT").isin(*SPLITS_READ))
        for frame in wanted.select([name.upper() for name in COLUMNS]).to_pandas_batches():
            yield from rows_of_frame(frame)

    with snowflake_errors(TABLE):
        dataset, report = dataset_of_rows(rows(), folder, taxonomy)
    skipped = [f"board {board.board} is left out: {board.reason}" for board in report.skipped]
    return dataset, [*skipped, *report.duplicates, *report.notes]


class LogLines:
    """Listens to training, and writes a line into the job's log now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        if time.monotonic() - self._told > LINE_EVERY_S or step == total_steps:
            self._told = time.monotonic()
            _tell(f"step {step} of {total_steps}: loss {loss:.3f}")

    def on_epoch(self, epoch: int, metrics: Metrics) -> None:
        measured = f", validation mAP50 {100 * metrics['val_map50']:.1f} %" if "val_map50" in metrics else ""
        _tell(f"epoch {epoch}: loss {metrics['loss']:.3f}{measured}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
