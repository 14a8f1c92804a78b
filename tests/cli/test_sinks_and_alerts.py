"""`copperline sinks` and `copperline alerts`, with a real receiver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from copperline.detections import Detections
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import (
    BoardTold,
    Event,
    InspectionRecord,
    LineResult,
    add_event,
    open_warehouse,
    write_line_results,
    write_transaction,
)
from copperline.warehouse.outbox import backlogs

Run = Callable[..., Any]


@pytest.fixture
def receiver() -> Iterator[Any]:
    """An HTTP server with `got`, the bodies it was sent, and `status`, what it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(server.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, form: str, *values: object) -> None:
            """Silent."""

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.status = [], 200
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def workspace(tmp_path: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sinks in the settings, three events for one of them and one for a sink that is no more."""
    monkeypatch.chdir(tmp_path)
    Path("copperline.toml").write_text(
        f'[[sinks]]\nkind = "webhook"\nname = "mes"\nurl = "http://127.0.0.1:{receiver.server_port}/in?key=hidden"\n'
        'events = ["inspection.completed"]\nmax_attempts = 1\n'
        '[[sinks]]\nkind = "message_files"\nname = "drop"\nfolder = "drop"\n'
    )
    engine = open_warehouse(Settings(workspace=tmp_path).warehouse)
    with write_transaction(engine) as connection:
        for n in range(3):
            event = Event(f"E{n}", "inspection.completed", datetime(2026, 3, 1, n, tzinfo=UTC), "B1", "{}")
            add_event(connection, event, ("mes",) if n else ("mes", "old"))
    engine.dispose()
    return tmp_path


def sinks(copperline: Run, workspace: Path) -> dict[str, dict[str, Any]]:
    listed = copperline("sinks", "list", "--workspace", workspace, "--json").json["sinks"]
    return {row["name"]: row for row in listed}


def test_the_life_of_an_event(workspace: Path, copperline: Run, receiver: Any) -> None:
    assert list(sinks(copperline, workspace)) == ["mes", "drop", "old"]
    row = sinks(copperline, workspace)["mes"]
    assert (row["pending"], row["oldest_pending"]) == (3, "2026-03-01T00:00:00+00:00")
    assert row["destination"] == f"http://127.0.0.1:{receiver.server_port}/in"
    receiver.status = 500
    ran = copperline("sinks", "deliver", "--once", "--workspace", workspace, "--json")
    assert ran.status == 1
    assert ran.json["sinks"][0] == {
        "sink": "mes",
        "delivered": 0,
        "failed": 1,
        "given_up": 1,
        "reason": "HTTP 500 Internal Server Error",
    }
    ran = copperline("sinks", "list", "--workspace", workspace)
    assert "copperline sinks retry mes" in ran.out
    assert "copperline sinks forget old" in ran.out
    assert "hidden" not in ran.out
    receiver.status = 200
    assert copperline("sinks", "retry", "mes", "--workspace", workspace, "--json").json == {
        "sink": "mes",
        "due_again": 1,
    }
    ran = copperline("sinks", "deliver", "--once", "--workspace", workspace)
    assert (ran.status, "mes: 3 delivered" in ran.out, "drop: 0 delivered" in ran.out) == (0, True, True)
    assert {body["event_id"] for body in receiver.got} == {"E0", "E1", "E2"}
    assert copperline("sinks", "forget", "old", "--workspace", workspace, "--json").json["deleted"] == 1
    assert list(sinks(copperline, workspace)) == ["mes", "drop"]
    assert sinks(copperline, workspace)["mes"]["delivered"] == 3


def test_a_trial(workspace: Path, copperline: Run, receiver: Any) -> None:
    ran = copperline("sinks", "test", "mes", "--workspace", workspace)
    assert ran.status == 0
    assert "mes took the trial event" in ran.out
    assert [body["type"] for body in receiver.got] == ["sink.trial"]
    receiver.status = 401
    ran = copperline("sinks", "test", "mes", "--workspace", workspace)
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "HTTP 401" in ran.err
    ran = copperline("sinks", "test", "mes", "--workspace", workspace, "--json")
    assert (ran.status, ran.json["delivered"], "401" in ran.json["reason"]) == (1, False, True)
    assert copperline("sinks", "test", "drop", "--workspace", workspace).status == 0
    assert len(list((workspace / "drop").glob("*.json"))) == 1
    # Nothing of it is in the outbox.
    assert sinks(copperline, workspace)["mes"]["pending"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("test", "none"), "mes, drop"),
        (("retry", "old"), "mes, drop"),
        (("forget", "mes"), "remove its [[sinks]] table first"),
    ],
)
def test_another_name_is_refused(workspace: Path, copperline: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = copperline("sinks", *arguments, "--workspace", workspace)
    assert ran.status == 1
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_without_sinks(tmp_path: Path, copperline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "No sink is set up" in copperline("sinks", "list", "--workspace", tmp_path).out
    assert copperline("sinks", "deliver", "--once", "--workspace", tmp_path).status == 1


def test_delivering_until_it_is_ended(workspace: Path, receiver: Any) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "copperline", "sinks", "deliver", "--workspace", str(workspace)]
    process = subprocess.Popen(command, env=environment, cwd=workspace, stdout=subprocess.PIPE, text=True)
    engine = open_warehouse(Settings(workspace=workspace).warehouse)
    try:
        deadline = time.monotonic() + 30
        while backlogs(engine)["mes"].delivered < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait(10)
        engine.dispose()
    assert process.returncode == 0
    assert "Ended" in out


def test_alerts(workspace: Path, copperline: Run) -> None:
    assert "No alert is open" in copperline("alerts", "list", "--workspace", workspace).out
    engine = open_warehouse(Settings(workspace=workspace).warehouse)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    record = InspectionRecord(
        "I1", "B1", long_ago, "AOI-7", "m", "1", "{}", "b.png", "ab", None, None, None, Call.PASS, 9.0, 64, 64,
        Detections.empty(),
    )  # fmt: skip
    write_line_results(engine, [LineResult(record, BoardTold("L1"))], DEEPPCB)
    engine.dispose()
    ran = copperline("alerts", "check", "--workspace", workspace)
    assert ran.status == 0
    assert "1 opened, 0 closed, 1 open." in ran.out
    again = copperline("alerts", "check", "--workspace", workspace, "--json").json
    assert (len(again["opened"]), len(again["open"])) == (0, 1)
    (alert,) = copperline("alerts", "list", "--workspace", workspace, "--json").json["alerts"]
    assert (alert["kind"], alert["subject"], alert["closed_at"]) == ("station_silent", "AOI-7", None)
    assert "AOI-7" in copperline("alerts", "list", "--workspace", workspace).out
    # The sink that is told of alerts has it to deliver, the other one has not.
    row = sinks(copperline, workspace)
    assert (row["drop"]["pending"], row["mes"]["pending"]) == (1, 3)
