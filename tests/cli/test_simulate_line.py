"""A line in one command: a real service, stations and reviewers, and rows that say that they are simulated."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.data.synthetic import write_synthetic_dataset
from copperline.settings import Settings
from copperline.warehouse import (
    differences,
    list_references,
    list_stations,
    open_warehouse,
    plant_counts,
    read_transaction,
)

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

QUICK = ("--takt", "0.02", "--size", "160", "--model", "builtin:deeppcb")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_THREADS", "1")


def test_stations_hand_in_boards_and_reviewers_judge(copperline: Callable[..., Any], tmp_path: Path) -> None:
    words = ("--stations", 2, "--boards", 8, "--defective", 0.5, "--reviewed", 1, "--workspace", tmp_path)
    ran = copperline("simulate-line", *QUICK, *words, "--json")
    assert ran.status == 0, ran.err
    told = ran.json
    assert told["boards"] == 16
    assert 2 <= told["defective"] <= 14
    assert [station["boards"] for station in told["stations"]] == [8, 8]
    assert told["dispositions"]["CONFIRMED"] >= 1
    engine = open_warehouse(Settings(workspace=tmp_path).warehouse, read_only=True)
    counts = plant_counts(engine)
    assert counts.reviewed_bad >= 1
    assert (counts.boards, counts.simulated) == (16, 16)
    assert counts.failed == sum(station["calls"].get("FAIL", 0) for station in told["stations"])
    assert [(s.station_id, s.line_id, s.boards) for s in list_stations(engine)] == [
        ("AOI-1", "LINE-1", 8),
        ("AOI-2", "LINE-2", 8),
    ]
    assert len(list_references(engine)) == 2
    with read_transaction(engine) as connection:
        assert differences(connection) == []
    engine.dispose()


def test_a_second_simulation_adds_boards_and_no_reference(copperline: Callable[..., Any], tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    write_synthetic_dataset(drawn, train=3, test=1, size=160, processes=1)
    shared = ("--stations", 1, "--boards", 2, "--workspace", tmp_path / "w")
    for source in ((), (), ("--source", drawn)):
        ran = copperline("simulate-line", *QUICK, *shared, *source)
        assert ran.status == 0, ran.err
    assert "2 simulated boards were inspected" in ran.out
    assert "Next: copperline dashboard" in ran.out
    engine = open_warehouse(Settings(workspace=tmp_path / "w").warehouse, read_only=True)
    assert plant_counts(engine).boards == 6
    assert len(list_references(engine)) == 1
    engine.dispose()


def test_ctrl_c_ends_it_with_a_summary_and_takes_the_service_along(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "copperline",
        "simulate-line",
        *QUICK,
        "--workspace",
        str(tmp_path),
        "--stations",
        "2",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = Settings(workspace=tmp_path).warehouse
        deadline = time.monotonic() + 60
        while not _boards(tmp_path, url):
            assert time.monotonic() < deadline and process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert "Ending: each station finishes its board." in err
    assert "simulated boards were inspected" in out
    # Another program may have taken the port meanwhile, and speak something else there.
    with pytest.raises((OSError, http.client.HTTPException)):
        _get(out.split("Service: ")[1].split()[0])


def _boards(workspace: Path, url: str) -> int:
    if not (workspace / "warehouse.db").exists():
        return 0
    engine = open_warehouse(url)
    boards = plant_counts(engine).boards
    engine.dispose()
    return boards


def _get(url: str) -> None:
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else error from error


def test_a_service_that_is_not_there_is_told_of(copperline: Callable[..., Any], tmp_path: Path) -> None:
    ran = copperline("simulate-line", *QUICK, "--url", "http://127.0.0.1:9", "--workspace", tmp_path)
    assert ran.status == 1
    assert "expected an answer of the service, found none" in ran.err
    assert "Traceback" not in ran.err


def test_a_key_goes_with_every_request(copperline: Callable[..., Any], tmp_path: Path) -> None:
    """With a key without the scope `admin` the golden images cannot be added, and the service says so."""
    from copperline.service.launch import running_service

    scopes = ("--scope", "inspect", "--scope", "review")
    made = copperline("keys", "create", "line", *scopes, "--workspace", tmp_path, "--json").json["key"]
    full = copperline("keys", "create", "all", *scopes, "--scope", "admin", "--workspace", tmp_path, "--json").json[
        "key"
    ]
    with running_service(Settings(workspace=tmp_path), model="builtin:deeppcb") as url:
        told = ("--url", url, "--stations", 1, "--boards", 3, "--defective", 1, "--reviewed", 1)
        refused = copperline("simulate-line", *QUICK, *told, "--key", made, "--workspace", tmp_path)
        assert refused.status == 1
        assert "403" in refused.err
        ran = copperline("simulate-line", *QUICK, *told, "--key", full, "--workspace", tmp_path, "--json")
    assert ran.status == 0, ran.err
    told_of = ran.json
    assert told_of["boards"] == 3
    assert sum(told_of["dispositions"].values()) >= 1
