"""Training on Snowflake from a laptop: sends Copperline and the order to a compute pool as an ML Job, and waits."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copperline.errors import CopperlineError, SettingsError, SnowflakeError, StageError
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake.own_wheel import own_wheel
from copperline.training import Listener
from copperline.training.engines.reports import Failed
from copperline.training.engines.run_stage import INIT_NAME, RunStage, StageReader, run_location
from copperline.training.engines.watching import Watch
from copperline.workflows.snowflake_job import RESULT_FILE, JobOrder, JobResult

if TYPE_CHECKING:
    from snowflake.ml.jobs import MLJob
    from snowflake.snowpark import Session

SCRIPT = "train_in_snowflake.py"
ORDER_FILE = "order.json"
# torch is in the Container Runtime; the version that the extra `train` names would be fetched in its place.
REQUIREMENTS = ("onnx>=1.17",)
LAST_LINES = 5
POLL_S = 10.0
MOST_MISSED = 30
"""So many looks at a job in a row may fail: five minutes."""
ENDED = frozenset({"DONE", "FAILED", "CANCELLED", "INTERNAL_ERROR", "DELETED"})
STOPPED_BY_SOMEBODY = frozenset({"CANCELLED", "DELETED"})

_ENTRY = '''"""Started by the ML Job, beside the order and the wheel."""

from pathlib import Path

from copperline.workflows.snowflake_job import main

main(Path(__file__).with_name("order.json"))
'''

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Waiting:
    """How a job is waited for.

    Attributes:
        limit_s: for all jobs of the run together.
        retries: so often a job that was lost is started again, from the run's last checkpoint.
        listeners: told of steps and epochs.
        log: given each line of the job's log; None: nobody reads it.
        poll_s: how often the job is looked at.
    """

    limit_s: float
    retries: int
    listeners: Sequence[Listener] = ()
    log: Tell | None = None
    poll_s: float = POLL_S


class JobLost(Exception):
    """A job ended in a way that need not repeat itself. The text says how."""


def write_payload(order: JobOrder, folder: Path) -> list[str]:
    """Writes what the job is made of into `folder`: script, order and wheel. Gives its pip requirements.

    They are installed on each node, in the payload's folder, which the wheel's path is relative to.
    """
    wheel = own_wheel()
    (folder / wheel.name).write_bytes(wheel.data)
    (folder / SCRIPT).write_text(_ENTRY, encoding="utf-8")
    (folder / ORDER_FILE).write_text(order.model_dump_json(indent=1), encoding="utf-8")
    return [f"./{wheel.name}", *REQUIREMENTS]


def job_arguments(order: JobOrder, external_access: Sequence[str]) -> dict[str, Any]:
    """What `snowflake.ml.jobs.submit_directory` is given, but for the payload and the session."""
    names = order.names
    return {
        "compute_pool": names.compute_pool,
        "entrypoint": SCRIPT,
        "stage_name": f"@{names.in_schema(names.stage)}/jobs",
        "target_instances": order.nodes,
        "external_access_integrations": list(external_access),
        "min_instances": order.nodes,  # all nodes or none: the workers share out the batch
        "database": names.database,
        "schema": names.schema_name,
        "query_warehouse": names.warehouse,
        "name": f"COPPERLINE_{order.job}".replace("-", "_").upper(),  # its folder on the stage is of this job alone
        "comment": f"copperline training {order.run}",
    }


def submit(session: Session, order: JobOrder, external_access: Sequence[str]) -> MLJob[None]:
    """Uploads the payload and starts the job.

    Raises:
        SnowflakeError: the account refuses: no pool, no privilege, too few nodes, no network.
    """
    from snowflake.ml.jobs import submit_directory

    pool = order.names.compute_pool
    with tempfile.TemporaryDirectory() as folder, snowflake_errors(f"compute pool {pool}"):
        requirements = write_payload(order, Path(folder))
        try:
            return submit_directory(
                folder, session=session, pip_requirements=requirements, **job_arguments(order, external_access)
            )
        except (ValueError, RuntimeError) as error:  # what Snowflake ML finds out itself
            raise SnowflakeError(
                f"the job cannot be submitted ({_one_line(error)})",
                where=f"compute pool {pool}",
                fix="see `copperline snowflake status`: the pool's nodes, and the role's privileges",
            ) from error


def train_on_snowflake(
    session: Session,
    order: JobOrder,
    external_access: Sequence[str],
    waiting: Waiting,
    tell: Tell,
    *,
    init: Path | None = None,
) -> JobResult:
    """Runs the order as a job, and once more from the last checkpoint when a job is lost.

    Ctrl-C cancels the job. So does the limit.

    Args:
        init: the model file that the order's settings name, to start from.

    Raises:
        SnowflakeError: the job cannot be submitted, was cancelled, was lost too often, or did not end in time.
        StageError: the model to start from cannot be sent, or the result not be fetched.
        CopperlineError: what the job itself ended with.
    """
    deadline = time.monotonic() + waiting.limit_s
    stage = RunStage(session, run_location(order.names, order.run))
    if init is not None:
        stage.put(init, name=INIT_NAME)
    for number in range(1, waiting.retries + 2):
        started = order.model_copy(update={"job": f"{order.job}-{number}"})
        job = submit(session, started, external_access)
        tell(f"Job {job.id} is on compute pool {order.names.compute_pool}.")
        try:
            return _follow(job, stage, started, waiting, deadline)
        except JobLost as lost:
            if number > waiting.retries:
                raise SnowflakeError(
                    f"{lost} (job {number} of at most {waiting.retries + 1})",
                    where=job.id,
                    fix=f"the last checkpoint is kept: go on with --resume {order.run}",
                ) from lost
            tell(f"{lost}. Started again from the last checkpoint.")
    raise SettingsError(f"expected 0 or more retries, found {waiting.retries}", fix="correct it")


def _follow(job: MLJob[None], stage: RunStage, order: JobOrder, waiting: Waiting, deadline: float) -> JobResult:
    watch = Watch(waiting.listeners, waiting.limit_s)
    with tempfile.TemporaryDirectory() as folder:
        look = _Look(job, StageReader(stage, Path(folder), order.job, 0), watch, waiting.log)
        try:
            while (status := look()) not in ENDED:
                if time.monotonic() > deadline:
                    _cancel(job)
                    raise SnowflakeError(
                        f"expected the job to end within {waiting.limit_s / 3600:g} h, found it {status}; it is "
                        "cancelled now",
                        where=job.id,
                        fix=f"go on from its last checkpoint with --resume {order.run}, and raise --time-limit",
                    )
                time.sleep(waiting.poll_s)
        except (KeyboardInterrupt, SystemExit):
            _cancel(job)
            raise
    if status == "DONE":
        return _result(stage, job)
    raise _why(job, status, watch.failures, order.run)


class _Look:
    """One look at a job: hands on what it reports and logs, and gives its status.

    The network may be gone for a while: the job does not need it, and registers its model without anybody who waits.
    """

    def __init__(self, job: MLJob[None], reports: StageReader, watch: Watch, log: Tell | None) -> None:
        self._job, self._reports, self._watch, self._log = job, reports, watch, log
        self._lines = self._missed = 0
        self._status = "PENDING"

    def __call__(self) -> str:
        try:
            with snowflake_errors(self._job.id):
                self._status = str(self._job.status)
            self._watch.take(self._reports())
            self._missed = 0
        except (SnowflakeError, StageError) as error:
            self._missed += 1
            if self._missed > MOST_MISSED:
                raise SnowflakeError(
                    f"the job cannot be looked at any more ({error.problem})",
                    where=self._job.id,
                    fix="it goes on in the account and registers its model itself; stop it with "
                    f"CALL {self._job.id}!spcs_cancel_job()",
                ) from error
        if self._log is not None:
            lines = _log(self._job)
            for line in lines[self._lines :]:
                self._log(line)
            self._lines = max(self._lines, len(lines))
        return self._status


def _cancel(job: MLJob[None]) -> None:
    try:
        with snowflake_errors(job.id):
            job.cancel()
    except (SnowflakeError, RuntimeError) as error:
        raise SnowflakeError(
            f"the job could not be cancelled ({_one_line(error)}) and goes on",
            where=job.id,
            fix=f"stop it with CALL {job.id}!spcs_cancel_job()",
        ) from error


def _result(stage: RunStage, job: MLJob[None]) -> JobResult:
    with tempfile.TemporaryDirectory() as folder:
        path = stage.get(RESULT_FILE, Path(folder))
        if path is None:
            raise JobLost(f"job {job.id} is done and has left no result{_last_lines(job)}")
        return JobResult.model_validate_json(path.read_bytes())


def _why(job: MLJob[None], status: str, failures: Sequence[Failed], run: str) -> CopperlineError | JobLost:
    if status in STOPPED_BY_SOMEBODY:
        return SnowflakeError(
            f"the job was {status.lower()}", where=job.id, fix=f"go on from its last checkpoint with --resume {run}"
        )
    for failed in failures:
        if (error := failed.for_people) is not None:
            return error
    return JobLost(f"job {job.id} ended as {status}{_last_lines(job)}")


def _last_lines(job: MLJob[None]) -> str:
    lines = [line.strip() for line in _log(job) if line.strip()]
    return f"; its log ends: {' | '.join(lines[-LAST_LINES:])}" if lines else ""


def _log(job: MLJob[None]) -> list[str]:
    try:
        with snowflake_errors(job.id):
            return list(job.get_logs(as_list=True))
    except (SnowflakeError, RuntimeError):  # none are kept, or not yet
        return []


def _one_line(error: BaseException) -> str:
    return " ".join(" ".join(map(str, error.args)).split())[:300]
