"""What the service's tests share: drawn boards, the shipped model, and the app behind a real server on loopback."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from copperline.client import Client
from copperline.data.synthetic import write_synthetic_dataset
from copperline.inspection import Detector
from copperline.line import LineInspector
from copperline.registry import promote_model
from copperline.service.app import create_app
from copperline.service.pieces import Pieces
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.warehouse import open_warehouse

Board = tuple[bytes, bytes]
_MAX_PIXELS = 4_000_000


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> list[Board]:
    """Test image and reference of some drawn boards, 320 px, as files."""
    folder = tmp_path_factory.mktemp("boards") / "drawn"
    write_synthetic_dataset(folder, train=1, test=8, size=320, processes=1)
    tests = sorted(folder.rglob("*_test.jpg"))
    return [(t.read_bytes(), t.with_name(t.name.replace("_test", "_temp")).read_bytes()) for t in tests]


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector.load("builtin:deeppcb", threads=1)


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with both shipped models registered, as versions 1 and 2; 1 is the champion. To be copied."""
    folder = tmp_path_factory.mktemp("registered") / "w"
    settings = Settings(workspace=folder)
    promote_model(settings, "builtin:deeppcb", by="ann")
    promote_model(settings, "builtin:golden-only", "challenger", by="ann")
    return folder


@dataclass(frozen=True)
class Running:
    """The service as it runs in a thread of this process."""

    url: str
    app: FastAPI
    pieces: Pieces
    client: Client

    @property
    def engine(self) -> Engine:
        return self.pieces.engine


@contextmanager
def run(app: FastAPI) -> Iterator[str]:
    """A real server on a free port of loopback."""
    config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not server.started:
                assert time.monotonic() < deadline and thread.is_alive(), "the server did not start"
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(15)
            assert not thread.is_alive(), "the server did not end"


@contextmanager
def serve(detector: Detector, workspace: Path, model: str, **changes: Any) -> Iterator[Running]:
    settings = Settings(workspace=workspace, threads=1, **changes)
    engine = open_warehouse(settings.warehouse, timeout_s=0.5)
    stage = Stage(settings)
    inspector = LineInspector(detector, engine, stage, max_pixels=_MAX_PIXELS)
    app = create_app(settings, engine, inspector, stage, model=model, max_pixels=_MAX_PIXELS)
    try:
        with run(app) as url, Client(url, retries=0) as client:
            yield Running(url, app, app.state.pieces, client)
    finally:
        engine.dispose()


Start = Callable[..., AbstractContextManager[Running]]


@pytest.fixture
def start(detector: Detector, tmp_path: Path) -> Start:
    """Starts a service of this test's own: `with start(service_queue=2) as service:`."""

    def begin(model: str = "builtin:deeppcb", **changes: Any) -> AbstractContextManager[Running]:
        return serve(detector, tmp_path / "w", model, **changes)

    return begin


@pytest.fixture(scope="module")
def service(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for a whole file of tests: each uses boards of its own."""
    with serve(detector, tmp_path_factory.mktemp("service") / "w", "builtin:deeppcb") as running:
        yield running


@pytest.fixture(scope="module")
def registry_service(
    detector: Detector, registered: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """As `service`, with registered models; the champion inspects."""
    workspace = tmp_path_factory.mktemp("registry-service") / "w"
    shutil.copytree(registered, workspace)
    champion = Detector.load("champion", settings=Settings(workspace=workspace), threads=1)
    with serve(champion, workspace, "champion", service_model_poll_s=0.2) as running:
        yield running


class Gate:
    """Holds the lane before each board until it is opened; says how many boards have come to it."""

    def __init__(self, inspector: LineInspector, monkeypatch: pytest.MonkeyPatch) -> None:
        self.came: list[str] = []
        self._open = threading.Event()
        self._arrived = threading.Semaphore(0)
        judge = inspector.judge

        def held(prepared: Any) -> Any:
            self.came.append(prepared.submission.board_id)
            self._arrived.release()
            assert self._open.wait(20)
            return judge(prepared)

        monkeypatch.setattr(inspector, "judge", held)

    def open(self) -> None:
        self._open.set()

    def wait_for_one(self) -> None:
        assert self._arrived.acquire(timeout=10)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Callable[[Running], Gate]:
    return lambda service: Gate(service.pieces.inspector, monkeypatch)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Waits for what another thread or process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return wait_until
