"""Files on a stage: real ones of Snowpark's local testing, LIST against a server that speaks Snowflake's protocol."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copperline.errors import DataError, SettingsError, SnowflakeError, StageError
from copperline.stage import SnowflakeStage, StagePath, list_files, read_bytes, require_readable
from copperline.stage.snowflake_files import get_bytes, list_entries, put_bytes, put_file

STAGE = StagePath("PCB_CV", "PUBLIC", "MODEL_STAGE")
IMAGES = frozenset({".png"})


def test_files_are_listed_and_read(snowpark: Any) -> None:
    for path, content in {
        "lot 7/a.png": b"12",
        "lot 7/sub/é+1.png": b"123",
        "lot 7/n.txt": b"",
        "lot 70/x.png": b"",
    }.items():
        put_bytes(snowpark, STAGE / path, content)
    files = list_files(f"{STAGE}/lot 7", IMAGES)
    assert [(file.location, file.size) for file in files] == [
        ("@PCB_CV.PUBLIC.MODEL_STAGE/lot 7/a.png", 2),
        ("@PCB_CV.PUBLIC.MODEL_STAGE/lot 7/sub/é+1.png", 3),
    ]
    assert read_bytes(files[1].location) == b"123"
    require_readable(files[0].location)
    for file in files:
        assert file.changed_at is not None
        assert abs(datetime.now(UTC) - file.changed_at) < timedelta(minutes=1)
    assert list_files(f"{STAGE}/nothing", IMAGES) == []


def test_files_of_one_name_that_are_read_at_once_are_not_mixed_up(snowpark: Any) -> None:
    """Snowpark's own streams keep what they fetch under the file's name alone."""
    places = [STAGE / f"lot{number}/B1.png" for number in range(6)]
    for number, place in enumerate(places):
        put_bytes(snowpark, place, bytes([number]) * 1000)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda place: read_bytes(str(place)), places * 3))
    assert [content[0] for content in found] == [0, 1, 2, 3, 4, 5] * 3


def test_what_is_not_there_is_said(snowpark: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^@PCB_CV\.PUBLIC\.MODEL_STAGE/a\.png: expected a file, found no such file"):
        read_bytes(f"{STAGE}/a.png")
    with pytest.raises(DataError, match="no such file"):
        require_readable(f"{STAGE}/a.png")
    with pytest.raises(DataError, match="the file cannot be read"):
        put_file(snowpark, STAGE / "a.png", tmp_path / "none.png")


def test_a_file_that_is_listed_under_a_name_that_cannot_be_read_is_told_by_its_name(snowpark: Any) -> None:
    """Others may write to the stage: such a board is skipped and told of, and stops no batch."""
    snowpark.file.put_stream(__import__("io").BytesIO(b"1"), f"{STAGE.in_sql}/it's.png", auto_compress=False)
    (file,) = list_files(str(STAGE), IMAGES)
    with pytest.raises(DataError, match=r"it's\.png: expected a path that a stage can have"):
        read_bytes(file.location)


def test_a_stage_keeps_each_image_once(snowpark: Any) -> None:
    stage = SnowflakeStage(snowpark, STAGE / "line")
    first, again = stage.put(b"\x89PNG1"), stage.put(b"\x89PNG1")
    assert first == again
    assert first.location == f"{STAGE}/line/{first.sha256[:2]}/{first.sha256}.png"
    assert read_bytes(first.location) == b"\x89PNG1"
    assert len(list_files(str(STAGE), IMAGES)) == 1


class Failing:
    """The session's file operations, of which the first `times` fail with `error`."""

    def __init__(self, session: Any, error: Exception, times: int) -> None:
        self.real, self.error, self.left = session.file, error, times

    def _next(self) -> None:
        self.left -= 1
        if self.left >= 0:
            raise self.error

    def get(self, *arguments: Any, **options: Any) -> Any:
        self._next()
        return self.real.get(*arguments, **options)

    def put_stream(self, stream: Any, *arguments: Any, **options: Any) -> Any:
        stream.read(1)  # half a file is gone by then
        self._next()
        stream.seek(0) if False else None
        return self.real.put_stream(stream, *arguments, **options)


def cut() -> Exception:
    from snowflake.connector.errorcode import ER_FAILED_TO_UPLOAD_TO_STAGE
    from snowflake.connector.errors import OperationalError

    return OperationalError(msg="While putting file(s) there was an error: 'reset'", errno=ER_FAILED_TO_UPLOAD_TO_STAGE)


@pytest.fixture
def failing(snowpark: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(error: Exception, times: int) -> Failing:
        operations = Failing(snowpark, error, times)
        monkeypatch.setattr(type(snowpark), "file", operations)
        return operations

    return make


def test_a_network_that_fails_twice_is_tried_a_third_time(snowpark: Any, failing: Any) -> None:
    put_bytes(snowpark, STAGE / "a.png", b"1234")
    failing(cut(), 2)
    assert get_bytes(snowpark, STAGE / "a.png") == b"1234"
    failing(ConnectionResetError(104, "Connection reset by peer"), 2)
    assert get_bytes(snowpark, STAGE / "a.png") == b"1234"


@pytest.mark.parametrize(
    ("error", "tries"),
    [(cut, 3), (lambda: ConnectionResetError(104, "Connection reset by peer"), 3), (lambda: refused(), 1)],
)
def test_what_stays_is_told_in_one_line(snowpark: Any, failing: Any, error: Any, tries: int) -> None:
    operations = failing(error(), 99)
    with pytest.raises(SnowflakeError, match=r"^@PCB_CV\.PUBLIC\.MODEL_STAGE/a\.png: ") as failed:
        get_bytes(snowpark, STAGE / "a.png")
    assert "\n" not in str(failed.value)
    assert 99 - operations.left == tries


def refused() -> Exception:
    from snowflake.connector.errors import ProgrammingError

    return ProgrammingError(msg="SQL access control error:\nInsufficient privileges to operate on stage", errno=3001)


def test_without_credentials_it_says_which_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("copperline.stage.snowflake_files.active_session", lambda: None)
    monkeypatch.setattr("copperline.snowflake.session.active_session", lambda: None)
    with pytest.raises(SettingsError, match="expected credentials for Snowflake, found none"):
        list_files(str(STAGE), IMAGES)


@pytest.fixture
def server_session(snowflake_server: dict[str, Any]) -> Iterator[Any]:
    from snowflake.snowpark import Session
    from snowflake.snowpark import session as sessions

    # Its own limit of a second is too short for a machine that has more to do.
    session = Session.builder.configs({**snowflake_server, "network_timeout": 60}).create()
    try:
        for statement in (
            "CREATE DATABASE IF NOT EXISTS STAGE_FILES",
            "CREATE SCHEMA IF NOT EXISTS STAGE_FILES.PUBLIC",
            "USE SCHEMA STAGE_FILES.PUBLIC",
            "CREATE STAGE IF NOT EXISTS LISTED",
        ):
            session.sql(statement).collect()
        yield session
    finally:
        # Closing a session asks for what this server does not know, and waits for it once more at the end.
        atexit.unregister(session._close_at_exit)
        session.connection.close()
        sessions._remove_session(session)


def test_list_tells_names_sizes_and_times(server_session: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"123")
    server_session.sql(f"PUT file://{file} @LISTED AUTO_COMPRESS=FALSE").collect()
    (entry,) = list_entries(server_session, StagePath("STAGE_FILES", "PUBLIC", "LISTED"))
    assert (entry.path, entry.size) == ("a.png", 3)
    assert abs(datetime.now(UTC) - entry.changed_at) < timedelta(minutes=1)


def test_a_stage_that_does_not_exist_is_said(server_session: Any) -> None:
    with pytest.raises(SnowflakeError, match=r"NOPE.* does not exist or not authorized"):
        list_entries(server_session, StagePath("STAGE_FILES", "PUBLIC", "NOPE"))


class Rows:
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows, self.asked = rows, ""

    def sql(self, text: str) -> Rows:
        self.asked = text
        return self

    def collect(self) -> list[dict[str, Any]]:
        return self.rows


CHANGED = "Thu, 26 Nov 2026 05:22:04 GMT"


def test_a_folder_is_asked_for_with_its_slash_and_names_of_others_are_left_out() -> None:
    rows = [
        {"name": f"my stage/{name}", "size": 1, "last_modified": CHANGED} for name in ("lot7/b", "lot7/a", "lot70/c")
    ]
    session = Rows(rows)
    found = list_entries(session, StagePath("D", "S", "my 'stage'", "lot7"))  # type: ignore[arg-type]
    assert [entry.path for entry in found] == ["lot7/a", "lot7/b"]
    assert found[0].changed_at == datetime(2026, 11, 26, 5, 22, 4, tzinfo=UTC)
    assert session.asked == """LIST '@"D"."S"."my \\'stage\\'"/lot7/'"""


def test_an_external_stage_is_refused_with_what_to_do() -> None:
    session = Rows([{"name": "s3://bucket/lot7/a.png", "size": 1, "last_modified": CHANGED}])
    with pytest.raises(StageError, match=r"expected an internal stage.*s3://BUCKET/FOLDER"):
        list_entries(session, STAGE)  # type: ignore[arg-type]
