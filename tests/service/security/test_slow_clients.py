"""Connections that bring nothing, too much or too slowly, over raw sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from copperline.service.slow_clients import ConnectionLimits

# The product's own are 10, 5 and 30 s: what ends within 8 s, or 4.5 s, was ended by these.
QUICK = ConnectionLimits(head_s=0.6, linger_s=0.5, stalled_s=0.6)
WHO = b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n"


def trickle(connection: socket.socket, piece: bytes, seconds: float) -> float:
    """Sends `piece` ten times a second until the server closes or the time is over; gives the seconds that it took."""
    began = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - began < seconds:
        try:
            connection.sendall(piece)
            if not connection.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def test_headers_that_do_not_end_end_the_connection(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    began = time.monotonic()
    with served.connect() as connection:
        connection.sendall(b"GET /who HTTP/1.1\r\nHost: localhost\r\n")
        answer = served.until_closed(connection)
    assert 0.4 < time.monotonic() - began < 8
    assert (answer.status, answer.problem["type"]) == (408, "urn:copperline:problem:head-too-slow")


@pytest.mark.parametrize("piece", [b"X-A: b\r\n", b"x", b"\r\n"])
def test_nor_do_they_go_on_by_trickling(serve: Callable[..., Any], piece: bytes) -> None:
    served = serve(connections=QUICK)
    with served.connect() as connection:
        if piece != b"\r\n":
            connection.sendall(b"GET /who HTTP/1.1\r\nHost: localhost\r\nX-B: ")
        assert trickle(connection, piece, 12) < 8


def test_a_connection_that_says_nothing_is_closed(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    began = time.monotonic()
    with served.connect() as connection:
        assert served.until_closed(connection).raw == b""
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("piece", [b"\r\n", b"GET /who HTTP/1.1\r\n"])
def test_the_second_request_has_no_more_time_than_the_first(serve: Callable[..., Any], piece: bytes) -> None:
    served = serve(connections=QUICK)
    with served.connect() as connection:
        connection.sendall(WHO)
        assert b" 200 " in connection.recv(65536)
        connection.sendall(piece)
        assert trickle(connection, b"\r\n" if piece == b"\r\n" else b"X: y\r\n", 12) < 8


def test_a_request_may_take_longer_than_its_headers(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        for _ in range(2):
            assert client.get("/slow").status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /who HTTP/1.1\r\nX: " + b"a" * 40_000, 431),  # and does not end
        (b"GET /who HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 500) for n in range(80)) + b"\r\n", 431),
        (b"GET /who HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /" + b"a" * 9000, 414),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS to a port without
        (b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
    ids=[
        "endless_header",
        "large_headers",
        "many_headers",
        "long_url",
        "endless_url",
        "nonsense",
        "tls",
        "negative",
        "two_lengths",
    ],
)
def test_heads_that_are_too_large_or_no_http_are_refused(serve: Callable[..., Any], sent: bytes, status: int) -> None:
    served = serve()
    with served.connect() as connection:
        connection.sendall(sent[: len(sent) // 2])
        time.sleep(0.05)
        connection.sendall(sent[len(sent) // 2 :])
        answer = served.until_closed(connection)
    assert answer.status == status
    assert answer.problem["status"] == status
    assert served.get("/who").status_code == 200


def test_a_head_of_ordinary_size_passes(serve: Callable[..., Any]) -> None:
    assert serve().get("/who", **{f"X{n}": "a" * 200 for n in range(80)}).status_code == 200


def test_connections_of_one_address_are_limited_and_free_again(serve: Callable[..., Any]) -> None:
    served = serve(connections=ConnectionLimits(per_address=5))
    held = [served.connect() for _ in range(5)]
    try:
        for connection in held:
            connection.sendall(WHO)
            assert b" 200 " in connection.recv(65536)
        with served.connect() as one_more:
            answer = served.until_closed(one_more)
        assert (answer.status, answer.problem["type"]) == (503, "urn:copperline:problem:too-many-connections")
        assert b"Retry-After: 1" in answer.raw
        held[0].sendall(WHO)
        assert b" 200 " in held[0].recv(65536)
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + 20
    while (status := served.get("/who").status_code) == 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == 200


def test_a_flood_of_silent_connections_ends_by_itself(serve: Callable[..., Any]) -> None:
    served = serve(connections=ConnectionLimits(connections=20, per_address=20, head_s=0.5))
    held = [served.connect() for _ in range(40)]
    try:
        deadline = time.monotonic() + 8
        while True:
            try:
                if served.get("/who").status_code == 200:
                    break
            except httpx.TransportError:  # turned away while it sent
                pass
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        for connection in held:
            connection.close()


def test_a_client_that_reads_nothing_is_cut_off(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    with served.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1.5)
        got = len(served.until_closed(connection, limit=64 << 20).raw)
    assert got < 32 << 20


def test_asking_for_a_websocket_is_an_ordinary_request(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    with served.connect() as connection:
        connection.sendall(WHO[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert trickle(connection, b"x", 12) < 8
    assert served.get("/who").status_code == 200


def test_a_client_that_reads_gets_all(serve: Callable[..., Any]) -> None:
    assert len(serve(connections=QUICK).get("/large").content) == 32 << 20


def test_the_rest_of_a_body_after_its_answer_has_an_end(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    with served.connect() as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        assert trickle(connection, b"5\r\nabcde\r\n", 8) < 4.5


def test_a_short_rest_is_taken_and_the_connection_goes_on(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    with served.connect() as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        connection.sendall(bytes(10) + WHO)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.1)
        connection.sendall(WHO)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_may_follow_each_other_but_not_without_end(serve: Callable[..., Any]) -> None:
    served = serve()
    with served.connect() as connection:
        connection.sendall(WHO * 3 + WHO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert served.until_closed(connection).raw.count(b"HTTP/1.1 200 ") == 4
    with served.connect() as connection:
        connection.sendall(WHO * 500)
        assert served.until_closed(connection).raw.count(b"HTTP/1.1 200 ") < 500


def test_no_answer_is_taken_for_that_of_another_request(serve: Callable[..., Any]) -> None:
    """The first is still worked on when the second turns out to be no request."""
    served = serve(connections=QUICK)
    with served.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n")
        assert served.until_closed(connection).raw == b""


def test_a_body_that_is_no_http_is_told(serve: Callable[..., Any]) -> None:
    served = serve(connections=QUICK)
    with served.connect() as connection:
        connection.sendall(b"POST /count HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.1)
        connection.sendall(b"zz\r\n")
        assert served.until_closed(connection).status == 400
