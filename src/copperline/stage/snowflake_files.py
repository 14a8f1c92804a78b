"""Files on a Snowflake stage: listed, read and written through a Snowpark session.

The session is the active one, as inside Snowflake, else one made from the environment, see `copperline.snowflake`.
"""

from __future__ import annotations

import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from copperline.errors import DataError, SnowflakeError, StageError
from copperline.settings import Settings
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake.session import active_session, open_session
from copperline.stage.stage_path import StagePath

if TYPE_CHECKING:
    from snowflake.snowpark import Session

_TRIES = 3
_PAUSE_S = 1.0  # before the second try; twice as long before the third
_NO_SUCH_FILE = 253006  # of the connector
_opening = threading.Lock()
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as LIST tells of it.

    Attributes:
        path: below the stage, as in `StagePath`.
        size: bytes; where the stage encrypts on the client's side, up to 16 more than the file has.
        changed_at: when it was written, UTC, by Snowflake's clock.
    """

    path: str
    size: int
    changed_at: datetime


def stage_session() -> Session:
    """The session for stages, the same in all threads; raises SettingsError or SnowflakeError if there can be none."""
    with _opening:  # or two threads would open one each, and neither would be *the* active one
        return active_session() or open_session(Settings.load().snowflake)


def list_entries(session: Session, place: StagePath) -> list[Entry]:
    """The files below `place`, by path; none if there is no such folder.

    Raises:
        SnowflakeError: the stage does not exist, or the role may not read it.
        StageError: the stage is an external one.
    """
    rows = retried(lambda: _list(session, place), str(place))
    return sorted((entry for entry in map(_entry, rows) if _below(entry.path, place.path)), key=lambda e: e.path)


def find(location: str) -> Iterator[tuple[str, int, datetime | None]]:
    """As `urls.find`, for a place on a stage."""
    place = StagePath.parse(location)
    stage = str(place.on_stage(""))
    for entry in list_entries(stage_session(), place):
        # Names that Copperline cannot read are listed too: reading them says so, board by board.
        yield f"{stage}/{entry.path}", entry.size, entry.changed_at


def read(location: str, end: int | None = None) -> bytes:
    """As `urls.read`, for a file on a stage; the whole file is fetched, whatever `end` is."""
    return get_bytes(stage_session(), StagePath.parse(location))[:end]


def get_bytes(session: Session, file: StagePath) -> bytes:
    """The bytes of a file; raises DataError if it is not there, SnowflakeError or StageError if it cannot be had."""
    # In a folder of its own: Snowpark's streams would put all files of one name into the same place.
    with tempfile.TemporaryDirectory(prefix="copperline-") as folder:
        return get_file(session, file, Path(folder)).read_bytes()


def get_file(session: Session, file: StagePath, folder: Path) -> Path:
    """Fetches a file into `folder`, which is to hold nothing of that name; raises as `get_bytes`."""
    try:
        retried(lambda: session.file.get(file.in_sql, str(folder)), str(file))
    except SnowflakeError as error:
        if _is_missing(error.__cause__):
            raise _no_such_file(file) from error
        raise
    found = folder / file.name
    if not found.is_file():
        raise _no_such_file(file)
    return found


def put_bytes(session: Session, file: StagePath, data: bytes, *, overwrite: bool = True) -> None:
    """Writes a file, whole or not at all.

    Args:
        overwrite: over one of that name; else that one stays.

    Raises:
        SnowflakeError: Snowflake refuses.
        StageError: the network failed.
    """
    _put(session, file, lambda: io.BytesIO(data), overwrite)


def put_file(session: Session, file: StagePath, local: Path) -> None:
    """As `put_bytes`, from a local file; raises DataError if that cannot be read."""

    def opened() -> IO[bytes]:
        try:
            return local.open("rb")
        except OSError as error:
            raise DataError(
                f"the file cannot be read ({error.strerror})", where=local, fix="check the path and its rights"
            ) from error

    _put(session, file, opened, True)


def _put(session: Session, file: StagePath, opened: Callable[[], IO[bytes]], overwrite: bool) -> None:
    def put() -> None:
        with opened() as stream:  # anew for each try
            session.file.put_stream(stream, file.in_sql, auto_compress=False, overwrite=overwrite)

    retried(put, str(file))


def retried(action: Callable[[], _Result], where: str) -> _Result:
    """What `action` gives, tried again while the network fails: three times in all, within seconds of pausing.

    Raises:
        SnowflakeError: Snowflake refuses, which another try would not change.
        StageError: the network failed each time.
    """
    for tried in range(1, _TRIES):
        try:
            with _errors(where):
                return action()
        except (SnowflakeError, StageError) as error:
            if not _may_pass(error):
                raise
            time.sleep(_PAUSE_S * tried)
    with _errors(where):
        return action()


@contextmanager
def _errors(where: str) -> Iterator[None]:
    try:
        with snowflake_errors(where):
            yield
    except OSError as error:  # requests' errors are such too, where the connector lets them through
        raise StageError(
            f"the stage cannot be reached ({error.strerror or type(error).__name__})",
            where=where,
            fix="check the network, and start again: what is there already is not sent again",
        ) from error


def _may_pass(error: BaseException) -> bool:
    """Whether the network is what failed, as far as the causes tell."""
    from snowflake.connector.errors import OperationalError

    if _is_missing(error.__cause__):  # an OperationalError too
        return False
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OperationalError | OSError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _list(session: Session, place: StagePath) -> list[Any]:
    # With the slash it is a folder: without, the files of `lot70` would be among those of `lot7`.
    folder = f"{place.in_sql}/" if place.path else place.in_sql
    text = folder.replace("\\", "\\\\").replace("'", "\\'")
    return list(session.sql(f"LIST '{text}'").collect())


def _entry(row: Any) -> Entry:
    name = str(row["name"])
    if "://" in name:
        raise StageError(
            "expected an internal stage, found one of an object store outside Snowflake",
            where=name,
            fix="give Copperline that store's own URL, such as s3://BUCKET/FOLDER",
        )
    changed = parsedate_to_datetime(str(row["last_modified"]))
    changed = changed.replace(tzinfo=UTC) if changed.tzinfo is None else changed.astimezone(UTC)
    return Entry(name.partition("/")[2], int(row["size"]), changed)


def _below(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _is_missing(error: BaseException | None) -> bool:
    return getattr(error, "errno", None) == _NO_SUCH_FILE or "file does not exist" in str(error).lower()


def _no_such_file(file: StagePath) -> DataError:
    return DataError("expected a file, found no such file", where=str(file), fix="check stage and folder")
