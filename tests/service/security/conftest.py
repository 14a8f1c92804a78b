"""The small service on loopback, in a thread or in a process of its own, stopped even when a test fails."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import Engine

from copperline.service.limits import BodyLimits
from copperline.service.slow_clients import ConnectionLimits
from copperline.warehouse import open_warehouse

SCRIPT = Path(__file__).with_name("small_service.py")


Loop = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def in_loop_of_its_own() -> Loop:
    """Runs a coroutine in another thread: in this one, a browser of other tests may have a loop that runs already."""

    def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(work())).result()

    return run


def _small_service() -> Any:
    spec = importlib.util.spec_from_file_location("small_service", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["small_service"] = module  # FastAPI looks up annotations there
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Answer:
    """What came over a raw connection until the server closed it."""

    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def problem(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw.partition(b"\r\n\r\n")[2])
        return found


@dataclass(frozen=True)
class Served:
    """A running service."""

    port: int
    stop: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, key: str | None = None, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()}
        return httpx.get(self.url + path, headers=_with_key(sent, key), trust_env=False)

    def post(
        self, path: str, key: str | None = None, headers: dict[str, str] | None = None, **what: Any
    ) -> httpx.Response:
        return httpx.post(self.url + path, headers=_with_key(headers or {}, key), trust_env=False, timeout=30, **what)

    def connect(self, timeout: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def until_closed(self, connection: socket.socket, limit: int = 1 << 20) -> Answer:
        """All that comes until the server closes; fails if it does not within the socket's time-out."""
        found = b""
        while len(found) < limit:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                break
            if not data:
                break
            found += data
        return Answer(found)


def _with_key(headers: dict[str, Any], key: str | None) -> dict[str, Any]:
    return headers if key is None else {"Authorization": f"Bearer {key}", **headers}


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("security") / "empty.db"
    open_warehouse(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def warehouse(empty_warehouse: Path, tmp_path: Path) -> str:
    shutil.copyfile(empty_warehouse, tmp_path / "warehouse.db")
    return f"sqlite:///{tmp_path / 'warehouse.db'}"


@pytest.fixture
def engine(warehouse: str) -> Iterator[Engine]:
    engine = open_warehouse(warehouse)
    yield engine
    engine.dispose()


@contextmanager
def _running(server: uvicorn.Server) -> Iterator[int]:
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the server has ended"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server does not end"


@pytest.fixture
def serve(engine: Engine) -> Iterator[Callable[..., Served]]:
    """Starts the small service in a thread; options of the gate by name, others for uvicorn in `server`."""
    small = _small_service()
    with ExitStack() as running:

        def start(
            body: BodyLimits | None = None,
            connections: ConnectionLimits | None = None,
            server: dict[str, Any] | None = None,
            **gate_options: Any,
        ) -> Served:
            app = small.make_app(small.gate_for(engine, **gate_options), body)
            options = {"timeout_graceful_shutdown": 1, **(server or {})}
            one = running.enter_context(ExitStack())
            port = one.enter_context(_running(uvicorn.Server(small.config(app, connections, **options))))
            return Served(port, one.close)

        yield start


@dataclass(frozen=True)
class Process(Served):
    """A running service in a process of its own."""

    pid: int = 0

    def peak_mib(self) -> float:
        """The most memory that it ever held."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


@pytest.fixture
def serve_process(warehouse: str) -> Iterator[Callable[..., Process]]:
    """Starts the small service in a process; `before` is put before its command line."""
    started = []

    def start(before: tuple[str, ...] = (), env: dict[str, str] | None = None) -> Process:
        process = subprocess.Popen(
            [*before, sys.executable, str(SCRIPT), warehouse],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the server has ended"
        return Process(int(line), pid=process.pid)

    yield start
    for process in started:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
