"""A real receiver of webhooks that fails as told, a real MQTT broker, and the warehouse's databases."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.delivery import courier
from copperline.warehouse import Event, add_event, open_warehouse, outbox, write_transaction

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}")
    yield engine
    engine.dispose()


def a_payload(board_id: str, **changes: Any) -> dict[str, Any]:
    """Of inspection.completed, as the line writes it."""
    return {
        "inspection_id": "6f0b8d3a-52a4-4f5c-9a63-0f6f2f8f4c11",
        "board_id": board_id,
        "inspected_at": NOON.isoformat(),
        "station_id": "AOI-1",
        "line_id": "L1",
        "product_type": "Hub",
        "panel_id": None,
        "simulated": False,
        "call": "FAIL",
        "registration_score": 0.98,
        "latency_ms": 12.5,
        "model": {"name": "pcb-detector", "version": "3"},
        "brightness": 120.0,
        "contrast": None,
        "detections": [
            {
                "inference_id": "b2f6",
                "class": "open",
                "severity": "critical",
                "confidence": 0.9,
                "box": [10.0, 20.0, 30.0, 60.0],
            }
        ],
        **changes,
    }


def an_event(number: int, **changes: Any) -> Event:
    payload = json.dumps(a_payload(f"B{number}", **changes))
    return Event(f"E{number:04}", "inspection.completed", NOON, f"B{number}", payload)


@pytest.fixture
def payload() -> Callable[..., dict[str, Any]]:
    return a_payload


@pytest.fixture
def event() -> Callable[..., Event]:
    return an_event


@pytest.fixture
def tell() -> Callable[..., list[str]]:
    """Writes so many events for some sinks into the outbox, and gives their ids."""

    def write(engine: Engine, number: int, *sinks: str, first: int = 0) -> list[str]:
        made = [an_event(n) for n in range(first, first + number)]
        with write_transaction(engine) as connection:
            for one in made:
                add_event(connection, one, sinks or ("mes",))
        return [one.event_id for one in made]

    return write


@dataclass
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = int | tuple[int, dict[str, str], bytes] | float | str


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent, and answers as `answers` says, the last one from then on.

    An answer is a status, a status with headers and body, seconds to hang before a 200, or `drop`: the connection is
    closed after the request was read.
    """

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        with self.lock:
            return [request.json["event_id"] for request in self.requests]

    def next_answer(self) -> Answer:
        with self.lock:
            if not self.answers:
                return 200
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def new_receiver() -> Iterator[Callable[..., Receiver]]:
    """Starts receivers on free loopback ports; all are stopped in the end."""
    servers: list[tuple[ThreadingHTTPServer, Receiver]] = []

    def new(*answers: Answer) -> Receiver:
        receiver = Receiver(answers=list(answers))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.lock:
                    receiver.requests.append(Received(self.path, dict(self.headers), body))
                answer = receiver.next_answer()
                if answer == "drop":
                    self.close_connection = True
                    return
                if isinstance(answer, float):
                    receiver.ended.wait(answer)
                    answer = 200
                status, headers, text = (answer, {}, b"") if isinstance(answer, int) else answer
                try:
                    self.send_response(int(status))
                    for name, value in {"content-length": str(len(text)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    self.close_connection = True  # the client has not waited

            def log_message(self, form: str, *values: object) -> None:
                """Silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append((server, receiver))
        return receiver

    yield new
    for server, receiver in servers:
        receiver.ended.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits after failed tries take a tenth of their time; how long they are is said by the tests of the outbox."""
    backoff = outbox.backoff

    def tenth(attempt: int, retry_after_s: float | None = None) -> timedelta:
        return backoff(attempt, retry_after_s) / 10

    monkeypatch.setattr(outbox, "backoff", tenth)
    monkeypatch.setattr(courier, "backoff", tenth)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A mosquitto of its own, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder = folder
        self.port = free_port()
        listener = "" if any(line.startswith("listener") for line in more) else f"listener {self.port} 127.0.0.1\n"
        lines = "\n".join(line.format(port=self.port) for line in more)
        self.config = folder / "mosquitto.conf"
        self.config.write_text(f"{listener}allow_anonymous true\n{lines}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [MOSQUITTO, "-c", str(self.config)], stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + 15
        while True:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Starts a broker with more lines of configuration; `{port}` in them is its port."""
    if not Path(MOSQUITTO).is_file():
        pytest.skip(f"no MQTT broker: {MOSQUITTO} is not installed")
    made: list[Broker] = []

    def new(*more: str) -> Broker:
        folder = tmp_path / f"broker{len(made)}"
        folder.mkdir()
        # It gives up root's rights otherwise, and then cannot read the folder.
        made.append(Broker(folder, "user root" if os.geteuid() == 0 else "", *more))
        made[-1].start()
        return made[-1]

    yield new
    for broker in made:
        broker.kill()


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for something to become true, at most so many seconds."""

    def wait(true: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it has not become true in time"
            time.sleep(0.02)

    return wait
