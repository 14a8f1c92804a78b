"""How a folder is watched."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from copperline.errors import DataError, SettingsError
from copperline.line.watching.locking import OWN_FOLDER
from copperline.line.watching.pattern import Pattern, require_usable


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What is watched, what is known of its boards, and how long is waited for what. Times are seconds.

    Attributes:
        folder: where stations put images.
        done, failed: where files go; default: `done` and `failed` in the folder.
        pattern: reads what paths say.
        station_id: of boards whose path names none; likewise line_id, product_type and revision.
        poll_s: between two looks at the folder.
        settle_s: a file counts when nothing was written to it for so long.
        pair_wait_s: a test image whose path says that a reference comes waits so long for it.
        unfinished_wait_s: a file that is no whole image fails when nothing was written to it for so long.

    Raises:
        SettingsError: a folder is in the place of another, a time is not above (`settle_s`, `pair_wait_s`: at
            least) zero, or a name cannot be kept.
    """

    folder: Path
    done: Path | None = None
    failed: Path | None = None
    pattern: Pattern = field(default_factory=Pattern)
    station_id: str = "AOI-1"
    line_id: str | None = None
    product_type: str | None = None
    revision: str = ""
    poll_s: float = 1.0
    settle_s: float = 1.0
    pair_wait_s: float = 10.0
    unfinished_wait_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("poll_s", "settle_s", "pair_wait_s", "unfinished_wait_s"):
            value, least = getattr(self, name), 0.0 if name in ("settle_s", "pair_wait_s") else 0.01
            if not (math.isfinite(value) and value >= least):
                raise SettingsError(
                    f"expected {name.removesuffix('_s').replace('_', '-')} of at least {least:g} s, found {value:g}",
                    fix="give more",
                )
        told = {
            "station": self.station_id,
            "line": self.line_id,
            "product": self.product_type,
            "revision": self.revision,
        }
        try:
            require_usable({name: value for name, value in told.items() if value}, "the options")
        except DataError as error:
            raise SettingsError(error.problem, fix="correct the option of that name") from error
        if not self.station_id:
            raise SettingsError("expected a station, found none", fix="name it with --station")
        watched, done, failed = (path.absolute() for path in (self.folder, self.done_folder, self.failed_folder))
        for path in (done, failed):
            if watched == path or watched.is_relative_to(path):
                raise SettingsError("expected a folder outside the way of the watched one", where=path, fix=_FIX)
        if done == failed or done.is_relative_to(failed) or failed.is_relative_to(done):
            raise SettingsError("expected two folders apart for done and failed boards", where=done, fix=_FIX)

    @property
    def done_folder(self) -> Path:
        return self.done or self.folder / "done"

    @property
    def failed_folder(self) -> Path:
        return self.failed or self.folder / "failed"

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Those that are not watched; absolute."""
        own = self.done_folder, self.failed_folder, self.folder / OWN_FOLDER
        return tuple(path.absolute() for path in own)

    def prepare(self) -> None:
        """Makes sure that files can be moved: raises SettingsError if a folder is missing or cannot be written."""
        if not self.folder.is_dir():
            raise SettingsError("expected a folder to watch, found none", where=self.folder, fix="check the path")
        for path in (self.folder, self.done_folder, self.failed_folder):
            try:
                path.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=path, prefix="."):
                    pass
            except OSError as error:
                raise SettingsError(
                    f"expected a folder that can be written, found that it cannot ({error.strerror or error})",
                    where=os.fspath(path),
                    fix="give the account that watches the right to write and to move files there",
                ) from error


_FIX = "choose others with --done and --failed"
