"""A run's folder on a Snowflake stage, which workers, notebook and laptop all reach: checkpoints, reports, requests.

checkpoint.pt               the last one; each replaces the one before, whole
init.onnx                   the model that the run starts from, if it does
START/rank0.jsonl           what each worker of a start reported, see `reports`
START/stop                  the workers of this start are to end
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from copperline.errors import SnowflakeError
from copperline.files import atomic_file, read_whole
from copperline.snowflake.failures import is_of_snowflake, snowflake_errors
from copperline.snowflake_settings import SnowflakeSettings
from copperline.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from copperline.training.engines.reports import Report, ReportReader, ReportWriter, StepDone

if TYPE_CHECKING:
    from snowflake.snowpark import Session

FOLDER = "training"
"""On the stage of `SnowflakeSettings.stage`: all runs."""
INIT_NAME = "init.onnx"
STOP_NAME = "stop"
SEND_EVERY_S = 20.0
"""How long steps may wait to be sent: each sending stops training for the time of a PUT, about a second."""
TRIES = 3
PAUSE_S = 2.0


def run_location(names: SnowflakeSettings, run: str) -> str:
    """Where the run called `run` is kept.

    >>> run_location(SnowflakeSettings(), "20260102-0304")
    '@"PCB_CV"."PUBLIC"."MODEL_STAGE"/training/20260102-0304'
    """
    return f"@{names.in_schema(names.stage)}/{FOLDER}/{run}"


class RunStage:
    """Files of one run.

    Args:
        location: see `run_location`.
    """

    def __init__(self, session: Session, location: str) -> None:
        self._session = session
        self.location = location

    def put(self, path: Path, folder: str = "") -> None:
        """Uploads a file under its own name, in place of the one before; tries again if the network fails.

        Raises:
            SnowflakeError: it could not be uploaded; whatever was there before is still there.
        """
        place = f"{self.location}/{folder}" if folder else self.location
        for left in reversed(range(TRIES)):
            try:
                with snowflake_errors(place):
                    self._session.file.put(str(path), place, auto_compress=False, overwrite=True)
                return
            except SnowflakeError:
                if not left:
                    raise
                time.sleep(PAUSE_S)

    def get(self, name: str, folder: Path) -> Path | None:
        """Downloads a file into a local folder; None: it is not there.

        Raises:
            SnowflakeError: the stage cannot be reached.
        """
        place = f"{self.location}/{name}"
        with snowflake_errors(place), tempfile.TemporaryDirectory() as temporary:
            try:
                self._session.file.get(place, temporary)
            except Exception as error:
                if _is_missing(error):
                    return None
                raise
            found = Path(temporary) / Path(name).name
            if not found.is_file():
                return None
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(folder / found.name) as target:
                target.write_bytes(read_whole(found))
        return folder / found.name

    def checkpoint(self, folder: Path) -> Checkpoint | None:
        """The last one, which is downloaded into `folder`; None: there is none yet."""
        path = self.get(CHECKPOINT_NAME, folder)
        return None if path is None else Checkpoint.load(path)

    def ask_to_stop(self, start: str) -> None:
        """The workers of `start` end with their next checkpoint."""
        with tempfile.TemporaryDirectory() as folder:
            (path := Path(folder) / STOP_NAME).touch()
            path.write_text("stop\n", encoding="ascii")
            self.put(path, start)

    def is_to_stop(self, start: str) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            return self.get(f"{start}/{STOP_NAME}", Path(folder)) is not None


class StageReports:
    """A worker's end: collects its reports in a file, and uploads the whole file now and then.

    Steps are sent together; whatever else at once. That a report does not arrive does not end a run.
    """

    def __init__(self, stage: RunStage, folder: Path, start: str, rank: int) -> None:
        self._stage, self._start = stage, start
        self._path = folder / f"rank{rank}.jsonl"
        self._write = ReportWriter(self._path)
        self._sent = time.monotonic()

    def __call__(self, report: Report) -> None:
        self._write(report)
        if not isinstance(report, StepDone) or time.monotonic() - self._sent > SEND_EVERY_S:
            self._send()

    def _send(self) -> None:
        self._sent = time.monotonic()
        try:
            self._stage.put(self._path, self._start)
        except SnowflakeError as error:
            print(f"warning: {error}", flush=True)  # noqa: T201  into the worker's log; the next upload has it all


class StageReader:
    """The other end: what a worker of a start has reported since the last call."""

    def __init__(self, stage: RunStage, folder: Path, start: str, rank: int) -> None:
        self._stage, self._folder = stage, folder / start
        self._name = f"{start}/rank{rank}.jsonl"
        self._read = ReportReader(self._folder / f"rank{rank}.jsonl")

    def __call__(self) -> list[Report]:
        self._stage.get(self._name, self._folder)
        return self._read()


def _is_missing(error: Exception) -> bool:
    """Whether GET says that there is no such file; that there is no such stage is something else."""
    known = is_of_snowflake(error) or type(error).__module__.startswith("snowflake.")
    return known and "file does not exist" in str(error).lower()
