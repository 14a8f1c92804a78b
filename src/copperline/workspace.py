"""The workspace: one folder for data sets, runs, reports and stores, used by one writer at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from copperline.errors import SettingsError
from copperline.settings import Settings


class Workspace:
    """Paths inside `settings.workspace`."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.workspace.absolute()

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def dataset(self, named: Path) -> Path:
        """What a person means by the name of a data set: the path, if there is one, else that of the workspace."""
        in_workspace = self.datasets / named
        return in_workspace if not named.exists() and named.name == str(named) and in_workspace.is_dir() else named

    def new_run(self) -> Path:
        """A fresh folder for a training run, named by the time in UTC."""
        self.runs.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-")
        return Path(tempfile.mkdtemp(prefix=stamp, dir=self.runs))

    def last_run(self) -> Path:
        """The newest run folder that holds a checkpoint; raises SettingsError if there is none."""
        runs = sorted(self.runs.glob("*/checkpoint.pt"))
        if not runs:
            raise SettingsError("no run to resume", where=self.runs, fix="train without --resume")
        return runs[-1].parent

    def prepare(self) -> None:
        """Creates the workspace and makes sure that it can be written; raises SettingsError if not."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise SettingsError(
                f"the workspace cannot be written ({error.strerror})",
                where=self.root,
                fix="choose another with --workspace or COPPERLINE_WORKSPACE",
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the workspace for one training or demo; raises SettingsError at once if another process holds it.

        The operating system releases the lock when the process ends, however it ends.
        """
        self.prepare()
        path = self.root / ".lock"
        owner = self.root / ".lock-owner"
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            pid = owner.read_text(encoding="ascii").strip() if owner.exists() else "unknown"
            raise SettingsError(
                f"the workspace is in use by another run (process {pid})",
                where=self.root,
                fix="wait for it, or choose another with --workspace",
            ) from error
        try:
            owner.write_text(str(os.getpid()), encoding="ascii")
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()
