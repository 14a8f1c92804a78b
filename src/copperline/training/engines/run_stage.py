"""A run's folder on a Snowflake stage, which workers, notebook and laptop all reach: checkpoints, reports, requests.

checkpoint.pt               the last one; each replaces the one before, whole
init.onnx                   the model that the run starts from, if it does
START/rank0.jsonl           what each worker of a start reported, see `reports`
START/stop                  the workers of this start are to end
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from copperline.errors import DataError, SnowflakeError, StageError
from copperline.files import atomic_file
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage.snowflake_files import get_bytes, put_bytes, put_file
from copperline.stage.stage_path import StagePath
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


def run_location(names: SnowflakeSettings, run: str) -> StagePath:
    """Where the run called `run` is kept; its text is what workers are told, and they find it by that.

    Raises:
        DataError: the run's name cannot be that of a folder.
        SettingsError: a name of database, schema or stage has a slash.

    >>> str(run_location(SnowflakeSettings(), "20260102-0304"))
    '@PCB_CV.PUBLIC.MODEL_STAGE/training/20260102-0304'
    """
    return StagePath.parse(f"@{names.in_schema(names.stage)}/{FOLDER}/{run}")


class RunStage:
    """Files of one run.

    Whatever the account refuses is a SnowflakeError, a network that fails for all tries that or a StageError.

    Args:
        session: of this process: of the notebook, of the job or of the worker.
        location: see `run_location`.
    """

    def __init__(self, session: Session, location: StagePath) -> None:
        self._session = session
        self.location = location

    def put(self, path: Path, folder: str = "", *, name: str | None = None) -> None:
        """Uploads a file in place of the one before, which stays where it was if that fails.

        Args:
            path: of the file on this machine.
            folder: of the run; empty: the run's own.
            name: there; default: the file's own.

        Raises:
            SnowflakeError, StageError: it could not be uploaded.
            DataError: it cannot be read.
        """
        place = self.location / folder if folder else self.location
        put_file(self._session, place / (name or path.name), path)

    def get(self, name: str, folder: Path) -> Path | None:
        """Downloads a file into a local folder, whole or not at all; None: it is not there.

        Raises:
            SnowflakeError, StageError: the stage cannot be reached.
            DataError: the folder cannot be written.
        """
        data = self._bytes(name)
        if data is None:
            return None
        path = folder / Path(name).name
        with atomic_file(path) as target:
            target.write_bytes(data)
        return path

    def checkpoint(self, folder: Path) -> Checkpoint | None:
        """The last one, which is downloaded into `folder`; None: there is none yet."""
        path = self.get(CHECKPOINT_NAME, folder)
        return None if path is None else Checkpoint.load(path)

    def ask_to_stop(self, start: str) -> None:
        """The workers of `start` end with their next checkpoint."""
        put_bytes(self._session, self.location / start / STOP_NAME, b"stop\n")

    def is_to_stop(self, start: str) -> bool:
        return self._bytes(f"{start}/{STOP_NAME}") is not None

    def _bytes(self, name: str) -> bytes | None:
        file = self.location / name
        try:
            return get_bytes(self._session, file)
        except DataError:  # there is no such file; that there is no such stage is something else
            return None


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
        except (SnowflakeError, StageError) as error:
            sys.stderr.write(f"warning: {error}\n")  # into the worker's log; the next upload has it all


class StageReader:
    """The other end: what a worker of a start has reported since the last call."""

    def __init__(self, stage: RunStage, folder: Path, start: str, rank: int) -> None:
        self._stage, self._folder = stage, folder / start
        self._name = f"{start}/rank{rank}.jsonl"
        self._read = ReportReader(self._folder / f"rank{rank}.jsonl")

    def __call__(self) -> list[Report]:
        self._stage.get(self._name, self._folder)
        return self._read()
