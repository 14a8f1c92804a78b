"""The service as a process of its own: how it starts, how it ends, and that nothing is lost when it is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from copperline.client import Client
from copperline.errors import ServiceError
from copperline.registry import promote_model
from copperline.settings import Settings
from copperline.warehouse import differences, open_warehouse, plant_counts, read_transaction

Board = tuple[bytes, bytes]


class Process:
    """`copperline serve` on a free port."""

    def __init__(self, workspace: Path, *arguments: str, port: int = 0, **variables: str) -> None:
        command = [sys.executable, "-m", "copperline", "serve", "--port", str(port), "--workspace", str(workspace)]
        environment = {**os.environ, "COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1", **variables}
        self.log = workspace.parent / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("Service: http://127.0.0.1:"):
            self.process.kill()
            pytest.fail(f"it did not begin to serve: {line}{self.log.read_text()}")
        self.url = line.split()[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


Begin = Callable[..., Process]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts services in one workspace; none outlives the test."""
    started: list[Process] = []

    def start(*arguments: str, port: int = 0, **variables: str) -> Process:
        started.append(Process(tmp_path / "w", *arguments, port=port, **variables))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        assert one.process.stdout is not None
        one.process.stdout.close()


def test_a_process_that_was_told_to_end_finishes_what_it_accepted(
    begin: Begin, boards: list[Board], tmp_path: Path
) -> None:
    server = begin("--model", "builtin:deeppcb", COPPERLINE_SERVICE_LOG="json")
    with ThreadPoolExecutor(8) as threads, Client(server.url, retries=0, timeout_s=20) as client:
        client.inspect(boards[0][0], board_id="first", station_id="S")
        asked = [threads.submit(client.inspect, boards[n % 8][0], board_id=f"B{n}", station_id="S") for n in range(24)]
        asked[3].result()
        assert server.end() == 0
        answers = [one.exception() or one.result() for one in asked]
    refused = [a for a in answers if isinstance(a, ServiceError)]
    inspected = [a for a in answers if isinstance(a, dict)]
    # Who had not been taken yet found nobody; whoever was taken has an answer.
    assert all(a.status is None for a in refused)
    assert len(inspected) >= 4
    engine = open_warehouse(Settings(workspace=tmp_path / "w").warehouse)
    assert plant_counts(engine).boards == 1 + len(inspected)
    engine.dispose()
    lines = server.log.read_text().splitlines()
    assert all(line.startswith("{") for line in lines)
    assert any('"path": "/v1/inspections", "status": 201' in line for line in lines)
    assert server.process.stdout is not None
    assert "The service has ended" in server.process.stdout.read()


def test_a_process_that_was_killed_loses_nothing_and_inspects_nothing_twice(
    begin: Begin, boards: list[Board], tmp_path: Path
) -> None:
    first = begin("--model", "builtin:deeppcb")
    port = int(first.url.rpartition(":")[2])
    with ThreadPoolExecutor(4) as threads, Client(first.url, retries=12, timeout_s=20) as client:
        asked = [
            threads.submit(client.inspect, boards[n % 8][0], board_id=f"B{n}", station_id="S", idempotency_key=f"k{n}")
            for n in range(24)
        ]
        asked[5].result()
        first.process.kill()
        first.process.wait()
        begin("--model", "builtin:deeppcb", port=port)
        answers = [one.result() for one in asked]
        assert {a["board_id"] for a in answers} == {f"B{n}" for n in range(24)}
        again = client.inspect(boards[0][0], board_id="B0", station_id="S", idempotency_key="k0")
        assert again["inspection_id"] == answers[0]["inspection_id"]
        assert again["new"] is False
    engine = open_warehouse(Settings(workspace=tmp_path / "w").warehouse)
    counts = plant_counts(engine)
    assert (counts.boards, counts.inspections) == (24, 24)
    with read_transaction(engine) as connection:
        assert differences(connection) == []
    engine.dispose()


def test_the_champion_changes_under_load_and_no_request_fails(
    begin: Begin, boards: list[Board], registered: Path, tmp_path: Path, until: Any
) -> None:
    shutil.copytree(registered, tmp_path / "w")
    server = begin(COPPERLINE_SERVICE_MODEL_POLL_S="0.1")
    versions: list[str] = []
    faults: list[BaseException] = []
    over = threading.Event()

    def station(name: str) -> None:
        with Client(server.url, retries=0, timeout_s=20) as client:
            for n in range(2000):
                if over.is_set():
                    return
                try:
                    made = client.inspect(boards[n % 8][0], board_id=f"{name}-{n}", station_id=name)
                except ServiceError as error:
                    faults.append(error)
                    return
                versions.append(made["model"]["version"])

    stations = [threading.Thread(target=station, args=(f"S{n}",)) for n in range(3)]
    for one in stations:
        one.start()
    try:
        until(lambda: len(versions) > 5)
        promote_model(Settings(workspace=tmp_path / "w"), "2", by="ann")
        until(lambda: versions.count("2") > 5, 30)
    finally:
        over.set()
        for one in stations:
            one.join()
    assert faults == []
    assert set(versions) == {"1", "2"}
    assert server.end(signal.SIGINT) == 0


def test_what_cannot_start_says_why(copperline: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = copperline("serve", "--port", port, "--workspace", tmp_path / "w")
    assert ran.status == 1
    assert ran.err.startswith(f"error: 127.0.0.1:{port}: expected an address that can be listened on")
    assert not (tmp_path / "w").exists()
    for host in ("a..b", "192.0.2.1"):
        assert copperline("serve", "--host", host, "--port", 0, "--workspace", tmp_path / "w").status == 1
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tmp_path / "w")
    ran = copperline("serve", "--port", 0, "--model", "nothing.onnx", "--workspace", tmp_path / "w")
    assert ran.status == 1
    assert "nothing.onnx" in ran.err


def test_without_the_extra_it_says_what_to_install(copperline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "copperline.service.server", raising=False)
    ran = copperline("serve")
    assert ran.status == 1
    assert "copperline[service]" in ran.err
