"""URLs: a real server that speaks S3, and what is said when it does not answer, refuses, or lacks what is asked for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copperline.errors import CopperlineError, DataError, SettingsError, StageError
from copperline.stage import list_files, location_of, read_bytes

IMAGES = frozenset({".png"})


def test_objects_are_listed_and_read(s3: Any) -> None:
    for name, content in {
        "lot 7/a.png": b"12",
        "lot 7/sub+1/b.png": b"123",
        "lot 7/notes.txt": b"",
        "other.png": b"",
    }.items():
        s3.put_object(Bucket="boards", Key=name, Body=content)
    files = list_files("s3://boards/lot 7", IMAGES)
    assert [(file.location, file.size) for file in files] == [
        ("s3://boards/lot 7/a.png", 2),
        ("s3://boards/lot 7/sub+1/b.png", 3),
    ]
    assert read_bytes(files[1].location) == b"123"
    for file in files:
        assert file.changed_at is not None
        assert abs(datetime.now(UTC) - file.changed_at) < timedelta(minutes=1)


def test_an_object_that_is_replaced_is_listed_anew(s3: Any) -> None:
    s3.put_object(Bucket="boards", Key="a.png", Body=b"1")
    (before,) = list_files("s3://boards", IMAGES)
    time.sleep(1.1)  # S3 tells whole seconds
    s3.put_object(Bucket="boards", Key="a.png", Body=b"22")
    (after,) = list_files("s3://boards", IMAGES)
    assert (before.size, after.size) == (1, 2)
    assert before.changed_at is not None
    assert after.changed_at is not None
    assert after.changed_at > before.changed_at


def test_what_is_not_there_is_said(s3: Any) -> None:
    assert list_files("s3://boards/nothing", IMAGES) == []
    with pytest.raises(DataError, match=r"^s3://no-such-bucket/lot7: .*found no such bucket"):
        list_files("s3://no-such-bucket/lot7", IMAGES)
    with pytest.raises(DataError, match=r"^s3://boards/a\.png: .*found no such file"):
        read_bytes("s3://boards/a.png")


def fails(place: str, within_s: float) -> CopperlineError:
    """What listing and reading there say; both the same, in one line, and in time."""
    said = []
    for ask in (lambda: list_files(place, IMAGES), lambda: read_bytes(f"{place}/a.png")):
        start = time.monotonic()
        with pytest.raises((StageError, SettingsError)) as failed:
            ask()
        assert time.monotonic() - start < within_s
        assert "\n" not in str(failed.value)
        said.append(failed.value)
    assert type(said[0]) is type(said[1])
    return said[0]


def test_wrong_keys_are_said_without_repeating_them(
    s3: Any, s3_checks_keys: Callable[[], None], s3_anew: Callable[..., None]
) -> None:
    s3_checks_keys()
    s3_anew(AWS_ACCESS_KEY_ID="AKIAWRONG", AWS_SECRET_ACCESS_KEY="hush")
    error = str(fails("s3://boards", 10))
    assert "refuses access" in error
    assert "AWS_ACCESS_KEY_ID" in error
    assert "hush" not in error


def test_no_keys_are_said(s3: Any, s3_anew: Callable[..., None]) -> None:
    s3_anew(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_EC2_METADATA_DISABLED="true")
    assert "needs keys, and there are none" in str(fails("s3://boards", 10))


def test_a_profile_that_does_not_exist_is_said(s3: Any, s3_anew: Callable[..., None]) -> None:
    s3_anew(AWS_PROFILE="nobody")
    assert "the profile of AWS_PROFILE does not exist" in str(fails("s3://boards", 10))


def test_nothing_at_the_endpoint_is_said_in_time(s3: Any, s3_anew: Callable[..., None]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        s3_anew(AWS_ENDPOINT_URL=f"http://127.0.0.1:{taken.getsockname()[1]}")
        error = fails("s3://boards", 10)
    assert "cannot be reached" in str(error)
    assert "AWS_ENDPOINT_URL" in str(error)


def test_an_endpoint_that_never_answers_is_given_up(
    s3: Any, s3_anew: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("copperline.stage.urls._ANSWER_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        s3_anew(AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "cannot be reached" in str(fails("s3://boards", 15))


def test_the_limit_of_a_whole_read_holds(
    s3: Any, s3_anew: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("copperline.stage.urls._READ_S", 0.5)
    monkeypatch.setattr("copperline.stage.urls._LIST_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        s3_anew(AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "no answer in time" in str(fails("s3://boards", 5))


def test_an_unknown_kind_and_a_missing_fsspec_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="expected a URL of a known kind"):
        list_files("abc://boards", IMAGES)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(SettingsError, match=r"fsspec, which is not installed; pip install 'copperline\[s3\]'"):
        read_bytes("s3://boards/a.png")


def test_a_missing_s3fs_is_said() -> None:
    """In a process of its own: fsspec remembers the drivers that it has loaded."""
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from copperline.stage import read_bytes\n"
        "try: read_bytes('s3://boards/a.png')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == (
        "SettingsError s3://boards/a.png: S3 needs s3fs, which is not installed; pip install 'copperline[s3]'"
    )


def test_other_file_systems_of_fsspec_do_too() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/lot/a.png", b"12")
    try:
        place = location_of("memory://lot")
        (file,) = list_files(place, IMAGES)
        assert read_bytes(file.location) == b"12"
        assert file.changed_at is not None
        assert abs(datetime.now(UTC) - file.changed_at) < timedelta(minutes=1)
    finally:
        memory.rm("/lot", recursive=True)
