"""The client tries again what may be tried again, and says what went wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from copperline.client import Client
from copperline.client import service_client as module
from copperline.client.service_client import _pause
from copperline.errors import DataError, ServiceError


class Answers:
    """A server on loopback that gives these answers in order; the last one again and again."""

    def __init__(self, *answers: tuple[int, dict[str, str], str] | None) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def handler(answers: Answers) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answers.seen.append((self.command, self.path, dict(self.headers)))
                given = answers.answers.pop(0) if len(answers.answers) > 1 else answers.answers[0]
                if given is None:  # the connection breaks after the request was read
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, body = given
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@contextmanager
def served(answers: Answers, **options: Any) -> Iterator[Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers.handler())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{server.server_address[1]}", **options) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have waited, without the wait."""
    found: list[float] = []
    monkeypatch.setattr(module.time, "sleep", found.append)
    return found


OK = (200, {}, '{"inspection_id": "i", "stations": [], "dispositions": []}')
FULL = (429, {"Retry-After": "7"}, '{"detail": "full"}')


@pytest.mark.parametrize("bad", [None, FULL, (503, {}, ""), (504, {}, "")])
def test_an_inspection_is_tried_again_with_the_same_key(bad: Any, pauses: list[float]) -> None:
    answers = Answers(bad, bad, OK)
    with served(answers, key="cpl_secret") as client:
        assert client.inspect(b"image", board_id="B1", station_id="S")["inspection_id"] == "i"
    assert len(answers.seen) == 3
    keys = {headers["Idempotency-Key"] for _, _, headers in answers.seen}
    assert len(keys) == 1
    assert {headers["Authorization"] for _, _, headers in answers.seen} == {"Bearer cpl_secret"}
    assert len(pauses) == 2
    assert all(7 <= p <= 7 + 0.5 for p in pauses) or bad != FULL


def test_each_inspection_has_a_key_of_its_own() -> None:
    answers = Answers(OK)
    with served(answers) as client:
        for _ in range(2):
            client.inspect(b"image", board_id="B1", station_id="S")
        client.inspect(b"image", board_id="B1", station_id="S", idempotency_key="mine")
    keys = [headers["Idempotency-Key"] for _, _, headers in answers.seen]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


@pytest.mark.parametrize(("bad", "tries"), [(None, 1), ((504, {}, ""), 1), ((503, {}, ""), 2), (FULL, 2)])
def test_a_judgement_is_tried_again_only_if_nothing_was_done(bad: Any, tries: int) -> None:
    answers = Answers(bad, OK)
    ask: Callable[[Client], Any] = lambda c: c.judge({"inspection_id": "i", "disposition": "CONFIRMED"})  # noqa: E731
    with served(answers) as client:
        if tries == 1:
            with pytest.raises(ServiceError):
                ask(client)
        else:
            assert ask(client) == ()
    assert len(answers.seen) == tries


def test_patience_ends(pauses: list[float]) -> None:
    answers = Answers(FULL)
    with served(answers, retries=3) as client, pytest.raises(ServiceError, match="the service says 429: full") as error:
        client.stations()
    assert (len(answers.seen), len(pauses), error.value.status) == (4, 3, 429)


def test_nobody_listens(pauses: list[float]) -> None:
    with (
        Client("http://127.0.0.1:9", retries=2, timeout_s=1) as client,
        pytest.raises(
            ServiceError, match=r"http://127.0.0.1:9/v1/models: expected an answer .*; check the URL"
        ) as error,
    ):
        client.models()
    assert error.value.status is None
    assert len(pauses) == 2
    with Client("http://127.0.0.1:9") as client:
        assert not client.ready()


@pytest.mark.parametrize("url", ["", "plant", "ftp://plant", "http://[", "http://a b/"])
def test_an_address_that_is_none(url: str, pauses: list[float]) -> None:
    with pytest.raises(ServiceError):
        Client(url).models()
    assert len(pauses) <= 5


@pytest.mark.parametrize("body", ["", "<html>", "[]", "null"])
def test_another_program_answers(body: str) -> None:
    page = (200, {"Content-Type": "text/html"}, body)
    with served(Answers(page)) as client, pytest.raises(ServiceError, match="expected a JSON object"):
        client.stations()
    with served(Answers((404, {}, body))) as client, pytest.raises(ServiceError, match="says 404: Not Found"):
        client.stations()


def test_mistakes_in_fields_are_told() -> None:
    body = (
        '{"type": "urn:copperline:problem:invalid-request", "detail": "no", "errors": [{"field": "f", "problem": "p"}]}'
    )
    with served(Answers((422, {}, body))) as client, pytest.raises(ServiceError, match="422: no; f: p") as error:
        client.stations()
    assert error.value.kind == "invalid-request"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with Client() as client, pytest.raises(DataError):
        client.inspect(tmp_path / "none.png", board_id="B", station_id="S")
    with pytest.raises(ServiceError, match="expected the certificate of an authority"):
        Client(verify=str(tmp_path / "none.pem"))


def test_pauses_grow_and_spread() -> None:
    for turn in range(12):
        drawn = [_pause(turn, None) for _ in range(200)]
        top = min(module.LONGEST_PAUSE_S, module.FIRST_PAUSE_S * 2**turn)
        assert 0 <= min(drawn) < top / 3
        assert top * 2 / 3 < max(drawn) <= top
    assert _pause(0, 10_000) <= 61
