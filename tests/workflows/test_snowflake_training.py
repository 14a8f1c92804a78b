"""From the laptop through a job to a model: the job runs in this process, and its worker in another."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import PropertyMock, create_autospec

import onnxruntime
import pytest

from copperline.data import open_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import CopperlineError, DataError, SnowflakeError, StageError, TrainingError
from copperline.model_info import ModelInfo
from copperline.registry import ModelVersion
from copperline.settings import Settings
from copperline.snowflake.own_wheel import Wheel, check_wheel
from copperline.snowflake_settings import SnowflakeSettings
from copperline.taxonomy import DEEPPCB
from copperline.training import Checkpoint, InitialModel, TrainConfig
from copperline.training.engines.reports import Failed, StepDone
from copperline.training.engines.run_stage import RunStage, StageReports, run_location
from copperline.workflows import snowflake_training
from copperline.workflows.snowflake_job import JobOrder, run_job
from copperline.workflows.snowflake_training import Waiting, job_arguments, submit, train_on_snowflake, write_payload
from copperline.workflows.training import initial_model

jobs = pytest.importorskip("snowflake.ml.jobs", reason="Snowflake ML is not installed")

NAMES = SnowflakeSettings()
ORDER = JobOrder(
    run="run",
    job="job",
    names=NAMES,
    model_name="pcb-detector",
    classes=ModelInfo.class_infos(DEEPPCB),
    config=TrainConfig(epochs=1, crops_per_pair=1, crop_size=64, batch_size=2, micro_batch=1),
    target_recall=0.9,
    nodes=1,
    workers_per_node=1,
    gpus_per_worker=0,
    max_failures=0,
    stall_s=60.0,
)
WAITING = Waiting(limit_s=60.0, retries=0, poll_s=0.01)


class Account:
    """Stands for what starts jobs; they do what `do` says, one after another.

    Attributes:
        submitted: arguments of each submission.
        jobs: given back, in order.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.submitted: list[dict[str, Any]] = []
        self.jobs: list[Any] = []
        self._todo: list[Callable[[JobOrder, Any], None]] = []
        submit_directory = create_autospec(jobs.submit_directory, side_effect=self._submit)
        monkeypatch.setattr(jobs, "submit_directory", submit_directory)

    def do(self, *todo: Callable[[JobOrder, Any], None]) -> None:
        self._todo = list(todo)

    def _submit(self, dir_path: str, compute_pool: str, **arguments: Any) -> Any:
        order = JobOrder.model_validate_json((Path(dir_path) / "order.json").read_bytes())
        assert (Path(dir_path) / arguments["entrypoint"]).is_file()
        self.submitted.append({"compute_pool": compute_pool, **arguments})
        job = create_autospec(jobs.MLJob, instance=True)
        job.id = f"PCB_CV.PUBLIC.J{len(self.submitted)}"
        job.get_logs.return_value = []
        self._todo.pop(0)(order, job)
        self.jobs.append(job)
        return job


def ends(status: str, *, log: Sequence[str] = (), report: BaseException | None = None) -> Any:
    """A job that runs for two looks at it, and then ends."""

    def do(order: JobOrder, job: Any) -> None:
        statuses = iter(["PENDING", "RUNNING"])
        type(job).status = PropertyMock(side_effect=lambda: next(statuses, status))
        job.get_logs.return_value = list(log)
        if report is not None:
            reports(order)(Failed.of(0, report))

    return do


def reports(order: JobOrder) -> StageReports:
    import tempfile

    from copperline.snowflake.container import container_session

    stage = RunStage(container_session(), run_location(order.names, order.run))
    return StageReports(stage, Path(tempfile.mkdtemp()), order.job, 0)


@pytest.fixture
def account(container_runtime: Any, monkeypatch: pytest.MonkeyPatch, wheel: Wheel) -> Account:
    monkeypatch.setattr(snowflake_training, "own_wheel", lambda: wheel)
    return Account(monkeypatch)


def train(
    container_runtime: Any,
    waiting: Waiting = WAITING,
    told: list[str] | None = None,
    init: InitialModel | None = None,
) -> Any:
    told, order, path = [] if told is None else told, ORDER, None
    if init is not None:
        begun = {"network": init.network, "init": init.name, "init_sha256": init.sha256}
        order, path = ORDER.model_copy(update={"config": ORDER.config.model_copy(update=begun)}), init.path
    return train_on_snowflake(container_runtime.session, order, ["ACCESS"], waiting, told.append, init=path)


@pytest.fixture
def boards(container_runtime: Any, tmp_path: Path) -> Iterator[None]:
    write_synthetic_dataset(tmp_path / "boards", train=8, test=2, size=160, processes=1)
    container_runtime.write_table(NAMES, container_runtime.rows_of(open_dataset(tmp_path / "boards")[0]))
    return iter([None])


@pytest.mark.parametrize("init", [None, "builtin:deeppcb"])
def test_a_job_trains_on_the_table_and_registers_what_it_made(
    container_runtime: Any,
    account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    boards: None,
    init: str | None,
) -> None:
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    pushed = []

    def push(session: Any, settings: Settings, version: str) -> ModelVersion:
        assert session is container_runtime.session
        pushed.append(version)
        return ModelVersion("YOLO_PCB_DETECTOR", 3, ("challenger",), datetime.now(UTC), None, "", tmp_path)

    def job(order: JobOrder, job: Any) -> None:
        run_job(order, push, tmp_path / "node")
        job.status = "DONE"
        job.get_logs.return_value = ["epoch 1"]

    (tmp_path / "node").mkdir()
    account.do(job)
    told: list[str] = []
    log: list[str] = []
    heard = Heard()
    initial = None if init is None else initial_model(Settings(workspace=tmp_path / "laptop"), init, DEEPPCB)
    waiting = dataclasses.replace(WAITING, listeners=[heard], log=log.append)
    result = train(container_runtime, waiting, told, initial)
    assert (result.model, result.model_version, result.aliases) == ("YOLO_PCB_DETECTOR", "3", ("challenger",))
    assert result.validation["map50"] is not None
    assert pushed == ["1"]
    assert told == ["Job PCB_CV.PUBLIC.J1 is on compute pool PCB_CV_COMPUTEPOOL."]
    assert log == ["epoch 1"]
    assert heard.steps[-1] == heard.total == len(heard.steps)
    kept = container_runtime.stage(NAMES) / "training" / "run"
    assert Checkpoint.load(kept).config.init == (None if initial is None else initial.name)
    assert Checkpoint.load(kept / "checkpoint.pt").epoch == 1
    onnxruntime.InferenceSession(str(kept / "model.onnx"))
    splits = {path.name for path in (tmp_path / "node" / "boards" / "images").iterdir()}
    assert splits == {"train", "val"}  # the split `test` has not left the table


class Heard:
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.total = 0

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        self.steps.append(step)
        self.total = total_steps

    def on_epoch(self, epoch: int, metrics: Any) -> None: ...


def test_an_error_of_the_job_is_the_commands(container_runtime: Any, account: Account) -> None:
    account.do(ends("FAILED", report=DataError("expected boards, found none", where="T", fix="fill the table")))
    with pytest.raises(DataError, match="T: expected boards, found none; fill the table"):
        train(container_runtime, dataclasses.replace(WAITING, retries=3))
    assert len(account.jobs) == 1


def test_a_job_reports_its_error_before_it_fails(container_runtime: Any, account: Account, tmp_path: Path) -> None:
    """There is no table."""

    def job(order: JobOrder, job: Any) -> None:
        with pytest.raises(CopperlineError):
            run_job(order, lambda *_: pytest.fail("nothing to register"), tmp_path)
        job.status = "FAILED"

    account.do(job)
    with pytest.raises(SnowflakeError, match="pcb_labeled_data"):
        train(container_runtime)


def test_a_lost_job_is_started_again_and_not_for_ever(container_runtime: Any, account: Account) -> None:
    lost = ends("INTERNAL_ERROR", log=["", "pip install ...", "no space left on device"])
    account.do(lost, lost)
    told: list[str] = []
    with pytest.raises(
        SnowflakeError,
        match=r"J2: job .*J2 ended as INTERNAL_ERROR; its log ends: pip install \.\.\. \| no space left on device "
        r"\(job 2 of at most 2\); the last checkpoint is kept: go on with --resume run",
    ):
        train(container_runtime, dataclasses.replace(WAITING, retries=1), told)
    assert len(account.jobs) == 2
    assert told[1].endswith("Started again from the last checkpoint.")
    assert account.submitted[0]["name"] != account.submitted[1]["name"]


@pytest.mark.parametrize("status", ["CANCELLED", "DELETED"])
def test_a_job_that_somebody_stopped_is_not_started_again(
    container_runtime: Any, account: Account, status: str
) -> None:
    account.do(ends(status))
    with pytest.raises(SnowflakeError, match=f"the job was {status.lower()}; go on .* --resume run"):
        train(container_runtime, dataclasses.replace(WAITING, retries=3))


def test_a_job_that_is_done_without_a_result_is_lost(container_runtime: Any, account: Account) -> None:
    account.do(ends("DONE"))
    with pytest.raises(SnowflakeError, match="is done and has left no result"):
        train(container_runtime)


def test_the_limit_cancels_the_job(container_runtime: Any, account: Account) -> None:
    account.do(ends("RUNNING"))
    with pytest.raises(SnowflakeError, match=r"within .* h, found it [A-Z]+; it is cancelled now; .*--time-l"):
        train(container_runtime, dataclasses.replace(WAITING, limit_s=0.1))
    account.jobs[0].cancel.assert_called_once_with()


def test_ctrl_c_cancels_the_job(container_runtime: Any, account: Account) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    account.do(ends("RUNNING", log=["a line"]))
    with pytest.raises(KeyboardInterrupt):
        train(container_runtime, dataclasses.replace(WAITING, log=interrupt))
    account.jobs[0].cancel.assert_called_once_with()


def test_a_job_that_cannot_be_cancelled_is_told_of(container_runtime: Any, account: Account) -> None:
    def job(order: JobOrder, job: Any) -> None:
        ends("RUNNING")(order, job)
        job.cancel.side_effect = RuntimeError("Failed to cancel job, error: no route")

    account.do(job)
    with pytest.raises(
        SnowflakeError, match=r"could not be cancelled .* and goes on; stop it with CALL .*J1!spcs_canc"
    ):
        train(container_runtime, dataclasses.replace(WAITING, limit_s=0.05))


def test_a_laptop_without_a_network_waits_and_leaves_the_job_alone(container_runtime: Any, account: Account) -> None:
    from snowflake.connector.errors import OperationalError

    def job(order: JobOrder, job: Any) -> None:
        type(job).status = PropertyMock(side_effect=OperationalError("250003: no route to host"))

    account.do(job)
    with pytest.raises(SnowflakeError, match=r"cannot be looked at any more .*; it goes on in the account"):
        train(container_runtime)
    account.jobs[0].cancel.assert_not_called()


def test_reports_that_cannot_be_fetched_for_a_while_are_heard_later(
    container_runtime: Any, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, cuts = RunStage.get, iter([SnowflakeError, StageError])

    def cut(*arguments: Any) -> Any:
        if (kind := next(cuts, None)) is not None:
            raise kind("no route to host")
        return get(*arguments)

    monkeypatch.setattr(RunStage, "get", cut)
    account.do(ends("FAILED", report=TrainingError("stop")))
    with pytest.raises(TrainingError, match="stop"):
        train(container_runtime)
    assert next(cuts, None) is None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("please grant privileges on schema before submitting a job, see", "https://docs.snowflake.com"),
        ValueError("The requested min_instances (4) exceeds the max_nodes (3) of compute pool 'PCB_CV_COMPUTEPOOL'."),
    ],
)
def test_what_snowflake_ml_refuses_is_one_line(
    container_runtime: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(jobs, "submit_directory", create_autospec(jobs.submit_directory, side_effect=error))
    with pytest.raises(SnowflakeError) as caught:
        submit(container_runtime.session, ORDER, [])
    assert str(caught.value).startswith("compute pool PCB_CV_COMPUTEPOOL: the job cannot be submitted (")
    assert "`copperline snowflake status`" in str(caught.value)


@pytest.mark.parametrize("name", ["PCB_CV", 'Line "1"; DROP'])
def test_snowflake_ml_knows_every_argument(
    tmp_path: Path, container_runtime: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Its own checks, which run without an account: of arguments, entry point and folder on the stage."""
    from snowflake.ml.jobs._utils.object_naming import build_object_stage_path
    from snowflake.ml.jobs._utils.payload_utils import resolve_entrypoint
    from snowflake.ml.jobs.job_definition import MLJobDefinition

    order = ORDER.model_copy(update={"names": SnowflakeSettings(database=name, stage=name), "nodes": 2})
    requirements = write_payload(order, tmp_path)
    check_wheel(Wheel(requirements[0].removeprefix("./"), (tmp_path / requirements[0]).read_bytes()))
    arguments = job_arguments(order, ["ACCESS"])
    with caplog.at_level(logging.WARNING):
        made = MLJobDefinition._create(
            str(tmp_path), session=container_runtime.session, pip_requirements=requirements, **arguments
        )
    assert not caplog.records
    assert (made.target_instances, made.min_instances, made.external_access_integrations) == (2, 2, ["ACCESS"])
    assert made.payload is not None
    resolve_entrypoint(made.payload.source, made.payload.entrypoint)
    path = build_object_stage_path(made.stage_name, str(made.name)).as_posix()
    assert path == f"@{order.names.in_schema(order.names.stage)}/jobs/COPPERLINE_JOB"


def test_a_step_that_is_reported_while_the_job_runs_is_heard(container_runtime: Any, account: Account) -> None:
    def job(order: JobOrder, job: Any) -> None:
        send = reports(order)
        send(StepDone(1, 9, 0.5))
        send(Failed.of(0, TrainingError("stop")))
        job.status = "FAILED"

    heard = Heard()
    account.do(job)
    with pytest.raises(TrainingError, match="stop"):
        train(container_runtime, dataclasses.replace(WAITING, listeners=[heard]))
    assert heard.steps == [1]
