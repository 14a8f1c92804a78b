"""Bodies and forms that are too large or too slow, over a real server."""

from __future__ import annotations

import io
import resource
import shutil
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copperline.data import decode_image
from copperline.errors import DataError
from copperline.service.limits import MIB, BodyLimits
from copperline.settings import Settings

MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
SMALL = BodyLimits(max_bytes=100_000, max_text_bytes=10_000)


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def test_a_length_that_is_too_large_is_refused_before_the_body(serve: Callable[..., Any]) -> None:
    served = serve(SMALL)
    began = time.monotonic()
    with served.connect() as connection:
        connection.sendall(head("/count", "Content-Length: 100001"))
        first = connection.recv(65536)
        assert time.monotonic() - began < 5
        assert first.startswith(b"HTTP/1.1 413 ")
        connection.shutdown(socket.SHUT_WR)
        answer = served.until_closed(connection)
    assert answer.raw == b""
    assert b"connection: close" in first.lower()
    assert b"urn:copperline:problem:body-too-large" in first


def test_a_length_at_the_limit_is_taken(serve: Callable[..., Any]) -> None:
    assert serve(SMALL).post("/count", content=bytes(100_000)).json() == {"bytes": 100_000}


@pytest.mark.parametrize(("size", "status"), [(100_000, 200), (100_001, 413)])
def test_a_body_without_a_length_is_counted(serve: Callable[..., Any], size: int, status: int) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, size, 1000):
            yield bytes(min(1000, size - start))

    assert serve(SMALL).post("/count", content=chunks()).status_code == status


def test_json_is_held_in_memory_and_has_a_smaller_limit(serve: Callable[..., Any]) -> None:
    served = serve(SMALL)
    assert served.post("/reviews", json={"note": "x" * 9000}).status_code == 200
    answer = served.post("/reviews", json={"note": "x" * 10_000})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:copperline:problem:body-too-large")

    def chunks() -> Iterator[bytes]:
        yield b'{"note": "'
        yield from (b"x" * 1000 for _ in range(50))
        yield b'"}'

    # FastAPI would make a 400 of what goes wrong while it reads.
    answer = served.post("/reviews", content=chunks(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:copperline:problem:body-too-large")


@pytest.mark.parametrize("announced", [True, False])
def test_100_mb_do_not_grow_the_server(serve_process: Callable[..., Any], announced: bool) -> None:
    served = serve_process()
    served.post("/count", content=bytes(1000))
    before = served.peak_mib()

    def chunks() -> Iterator[bytes]:
        yield from (bytes(1 << 20) for _ in range(100))

    headers = {"Content-Length": str(100 << 20)} if announced else {}
    answer = served.post("/count", content=chunks(), headers=headers)
    assert answer.status_code == 413
    assert served.peak_mib() - before < 16
    assert served.post("/count", content=bytes(1000)).json() == {"bytes": 1000}


def test_who_asks_first_is_told_before_sending(serve: Callable[..., Any]) -> None:
    served = serve(SMALL)
    with served.connect() as connection:
        connection.sendall(head("/count", "Content-Length: 200000", "Expect: 100-continue"))
        answer = served.until_closed(connection)
    assert answer.status == 413
    with served.connect() as connection:
        connection.sendall(head("/count", "Content-Length: 3", "Expect: 100-continue", "Connection: close"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert served.until_closed(connection).problem == {"bytes": 3}


def test_a_body_that_trickles_in_is_ended(serve: Callable[..., Any]) -> None:
    served = serve(BodyLimits(grace_s=0.5, slowest=1000))
    began = time.monotonic()
    with served.connect() as connection:
        connection.sendall(head("/count", "Content-Length: 10000"))
        for _ in range(4):
            time.sleep(0.1)
            connection.sendall(b"x")
        answer = served.until_closed(connection)
    assert 0.4 < time.monotonic() - began < 8
    assert (answer.status, answer.problem["type"]) == (408, "urn:copperline:problem:body-too-slow")


def test_what_came_fast_buys_no_long_pause(serve: Callable[..., Any]) -> None:
    served = serve(BodyLimits(pause_s=0.5))
    began = time.monotonic()
    with served.connect() as connection:
        connection.sendall(head("/count", "Content-Length: 10000000") + bytes(9_000_000))
        assert served.until_closed(connection).status == 408
    assert time.monotonic() - began < 8


def test_a_body_at_its_pace_may_take_longer(serve: Callable[..., Any]) -> None:
    served = serve(BodyLimits(grace_s=0.4, slowest=1000))

    def chunks() -> Iterator[bytes]:
        for _ in range(6):
            time.sleep(0.15)
            yield bytes(400)

    assert served.post("/count", content=chunks()).json() == {"bytes": 2400}


def test_a_form_is_read_with_its_files(serve: Callable[..., Any]) -> None:
    files = {"image": ("a.png", bytes(2 << 20)), "reference": ("b.png", bytes(10))}
    answer = serve().post("/inspections", files=files, data={"board_id": "B1"})
    assert answer.json() == {"by": "local", "board_id": "B1", "sizes": [2 << 20, 10]}


@pytest.mark.parametrize(
    ("form", "status", "word"),
    [
        ({"files": [(f"f{n}", ("a", b"x")) for n in range(3)]}, 400, "Too many files"),
        ({"files": [("image", ("a", b"x"))], "data": {f"n{n}": "1" for n in range(5)}}, 400, "Too many fields"),
        ({"files": [("image", ("a", b"x"))], "data": {"board_id": "x" * 1001}}, 400, "exceeded maximum size"),
        ({"files": [("image", ("a", b"x"))]}, 422, "board_id"),
        ({"json": {"board_id": "B1"}}, 422, "missing"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": b"x", "headers": MULTIPART}, 400, "Invalid"),
        ({"content": b"--b\r\n\r\nx\r\n--b--", "headers": MULTIPART}, 400, "name"),
    ],
)
def test_a_form_that_cannot_be_used_is_refused(
    serve: Callable[..., Any], form: dict[str, Any], status: int, word: str
) -> None:
    answer = serve().post("/inspections", **form)
    assert answer.status_code == status
    assert word in answer.text


def test_a_form_that_is_too_large_is_that(serve: Callable[..., Any]) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        yield from (bytes(10_000) for _ in range(20))

    answer = serve(SMALL).post("/inspections", content=chunks(), headers=MULTIPART)
    assert answer.status_code == 413


def test_a_disk_without_room_for_a_form_is_told_as_that(serve_process: Callable[..., Any], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    inside = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=1m none {small} && exec "$@"', "sh")
    if not shutil.which("unshare") or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no test mount a small file system")
    served = serve_process(inside, {"TMPDIR": str(small)})
    board = {"board_id": "B1"}
    answer = served.post("/inspections", files={"image": ("a.png", bytes(8 << 20))}, data=board)
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:copperline:problem:storage-full")
    assert served.post("/inspections", files={"image": ("a.png", bytes(1000))}, data=board).status_code == 200


def png(width: int, height: int) -> bytes:
    """A file of a few bytes that says it has so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (12_000, 12_000)])
def test_a_huge_image_is_refused_by_its_header(width: int, height: int) -> None:
    most = Settings().service_max_megapixels * 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with pytest.raises(DataError, match="expected at most"):
        decode_image(png(width, height), "image", max_pixels=most)
    assert time.monotonic() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_the_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_SERVICE_MAX_MIB", "3")
    assert BodyLimits.of(Settings.load()).max_bytes == 3 * MIB


def test_a_client_that_goes_away_ends_its_request(serve: Callable[..., Any]) -> None:
    served = serve(SMALL)
    with served.connect() as connection:
        connection.sendall(head("/count", "Content-Length: 50000") + bytes(100))
    assert served.post("/count", content=io.BytesIO(b"abc")).json() == {"bytes": 3}


def test_many_requests_use_one_connection(serve: Callable[..., Any]) -> None:
    served = serve(SMALL)
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        for _ in range(100):
            assert client.post("/count", content=bytes(70_000)).json() == {"bytes": 70_000}
