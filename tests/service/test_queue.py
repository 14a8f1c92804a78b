"""What happens when boards come faster than they can be judged, when clients leave, and when writing fails."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DataError as DatabaseDataError
from sqlalchemy.exc import OperationalError

from copperline.errors import WarehouseError
from copperline.service import readiness
from copperline.taxonomy import Call
from copperline.warehouse import plant_counts, read_transaction
from copperline.warehouse.tables import inspections

Board = tuple[bytes, bytes]


def post(service: Any, image: bytes, board_id: str, key: str | None = None, read_s: float = 20) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    fields = {"board_id": board_id, "station_id": "S"}
    return httpx.post(
        f"{service.url}/v1/inspections",
        files={"image": image},
        data=fields,
        headers=headers,
        timeout=httpx.Timeout(20, read=read_s),
    )


def written(service: Any) -> set[str]:
    with read_transaction(service.engine) as connection:
        return set(connection.execute(select(inspections.c.board_id)).scalars())


def test_a_full_queue_says_when_to_come_again(start: Any, boards: list[Board], gate: Any, until: Any) -> None:
    with start(service_queue=2) as service, ThreadPoolExecutor(8) as threads:
        held = gate(service)
        waiting = [threads.submit(post, service, boards[0][0], "B0")]
        held.wait_for_one()
        waiting += [threads.submit(post, service, boards[n][0], f"B{n}") for n in (1, 2)]
        until(lambda: service.pieces.lane.depth == 2)
        refused = post(service, boards[3][0], "B3")
        assert refused.status_code == 429
        assert refused.json()["type"] == "urn:copperline:problem:queue-full"
        assert int(refused.headers["Retry-After"]) >= 1
        not_ready = httpx.get(f"{service.url}/readyz")
        assert not_ready.status_code == 503
        assert "the queue is full" in not_ready.json()["reasons"][0]
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        held.open()
        assert [one.result().status_code for one in waiting] == [201, 201, 201]
        assert httpx.get(f"{service.url}/readyz").status_code == 200
        assert written(service) == {"B0", "B1", "B2"}
        # Of the two that waited one transaction was made.
        assert "copperline_batch_boards_sum 3.0" in httpx.get(f"{service.url}/metrics").text
        assert "copperline_batch_boards_count 2.0" in httpx.get(f"{service.url}/metrics").text


def test_who_waits_too_long_is_dropped_and_not_inspected(
    start: Any, boards: list[Board], gate: Any, until: Any
) -> None:
    with start(service_timeout_s=4) as service, ThreadPoolExecutor(4) as threads:
        held = gate(service)
        first = threads.submit(post, service, boards[0][0], "B0", "key-0")
        held.wait_for_one()
        second = threads.submit(post, service, boards[1][0], "B1", "key-1")
        under_way, dropped = first.result(), second.result()
        assert (under_way.status_code, dropped.status_code) == (504, 503)
        assert dropped.json()["type"] == "urn:copperline:problem:not-inspected-in-time"
        assert int(dropped.headers["Retry-After"]) >= 1
        held.open()
        until(lambda: written(service) == {"B0"})
        # The same key has the answer of what was under way, and inspects what was dropped.
        again = post(service, boards[0][0], "B0", "key-0")
        assert (again.status_code, again.json()["new"]) == (200, False)
        assert post(service, boards[1][0], "B1", "key-1").status_code == 201
        assert held.came == ["B0", "B1"]


def test_who_closes_the_connection_is_not_inspected(start: Any, boards: list[Board], gate: Any, until: Any) -> None:
    with start() as service, ThreadPoolExecutor(4) as threads:
        held = gate(service)
        first = threads.submit(post, service, boards[0][0], "B0")
        held.wait_for_one()
        with pytest.raises(httpx.ReadTimeout):
            post(service, boards[1][0], "B1", read_s=0.3)
        until(lambda: service.pieces.lane.depth == 0)
        held.open()
        assert first.result().status_code == 201
        assert post(service, boards[2][0], "B2").status_code == 201
        assert held.came == ["B0", "B2"]
        until(lambda: 'status="499"' in httpx.get(f"{service.url}/metrics").text)


def test_a_board_stays_while_another_request_waits_for_it(
    start: Any, boards: list[Board], gate: Any, until: Any
) -> None:
    with start() as service, ThreadPoolExecutor(4) as threads:
        held = gate(service)
        first = threads.submit(post, service, boards[0][0], "B0")
        held.wait_for_one()
        second = threads.submit(post, service, boards[1][0], "B1", "key")
        until(lambda: service.pieces.lane.depth == 1)
        with pytest.raises(httpx.ReadTimeout):
            post(service, boards[1][0], "B1", "key", read_s=0.3)
        held.open()
        assert [first.result().status_code, second.result().status_code] == [201, 201]


def test_one_record_that_cannot_be_written_takes_no_other_along(
    start: Any, boards: list[Board], gate: Any, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    with start() as service, ThreadPoolExecutor(8) as threads:
        inspector = service.pieces.inspector
        write, batches = inspector.write, []

        def refuses_one(judged: Any) -> Any:
            names = [j.document.board_id for j in judged]
            batches.append(names)
            if "bad" in names:
                try:
                    raise DatabaseDataError("INSERT", {}, Exception("value too long"))
                except DatabaseDataError as error:
                    raise WarehouseError("the database says: value too long") from error
            return write(judged)

        monkeypatch.setattr(inspector, "write", refuses_one)
        held = gate(service)
        first = threads.submit(post, service, boards[0][0], "B0")
        held.wait_for_one()
        names = ["B1", "bad", "B2"]
        others = []
        for n, name in enumerate(names):
            others.append(threads.submit(post, service, boards[n][0], name))
            until(lambda n=n: service.pieces.lane.depth == n + 1)  # type: ignore[misc]
        held.open()
        assert first.result().status_code == 201
        assert [one.result().status_code for one in others] == [201, 503, 201]
        assert batches == [["B0"], names, ["B1"], ["bad"], ["B2"]]
        assert written(service) == {"B0", "B1", "B2"}


def test_a_locked_warehouse_says_so_and_the_retry_is_written(start: Any, boards: list[Board], until: Any) -> None:
    with start() as service:
        assert post(service, boards[0][0], "B0").status_code == 201
        other = sqlite3.connect(Path(service.engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        busy = post(service, boards[1][0], "B1", "key")
        assert busy.status_code == 503
        assert busy.json()["type"] == "urn:copperline:problem:warehouse-busy"
        assert busy.headers["Retry-After"] == "1"
        not_ready = httpx.get(f"{service.url}/readyz")
        assert not_ready.status_code == 503
        assert "the warehouse cannot be written" in not_ready.json()["reasons"][0]
        assert str(service.engine.url.database) not in not_ready.text + busy.text
        other.execute("ROLLBACK")
        other.close()
        assert post(service, boards[1][0], "B1", "key").status_code == 201
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 200)


def test_a_full_disk_is_507_and_not_tried_board_by_board(
    start: Any, boards: list[Board], gate: Any, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    """The database's own limit stands for the disk's: SQLite says the same to both."""
    with start() as service, ThreadPoolExecutor(9) as threads:
        assert post(service, boards[0][0], "B0").status_code == 201
        inspector = service.pieces.inspector
        write, batches = inspector.write, []

        def counted(judged: Any) -> Any:
            batches.append(len(judged))
            return write(judged)

        monkeypatch.setattr(inspector, "write", counted)
        with service.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        @event.listens_for(service.engine, "checkout")
        def limit(raw: Any, record: Any, proxy: Any) -> None:
            raw.execute(f"PRAGMA max_page_count = {pages}")

        held = gate(service)
        asked = [threads.submit(post, service, boards[1][0], "0-" + "x" * 200)]
        held.wait_for_one()
        asked += [threads.submit(post, service, boards[1][0], f"{n}-" + "x" * 200) for n in range(1, 9)]
        until(lambda: service.pieces.lane.depth == 8)
        held.open()
        answers = [one.result() for one in asked]
        full = [a for a in answers if a.status_code == 507]
        assert full, [a.status_code for a in answers]
        assert full[0].json()["type"] == "urn:copperline:problem:storage-full"
        assert batches == [1, 8]


def test_a_lost_database_is_not_asked_once_for_each_board() -> None:
    from copperline.service.lane import _may_be_of_one

    def refused(cause: Exception) -> WarehouseError:
        try:
            raise WarehouseError("the database says: no") from cause
        except WarehouseError as error:
            return error

    assert not _may_be_of_one(refused(OperationalError("", {}, Exception())))
    assert _may_be_of_one(refused(DatabaseDataError("", {}, Exception())))
    assert _may_be_of_one(ValueError())


def test_a_fault_in_judging_fails_one_board_and_tells_nothing_of_itself(
    start: Any, boards: list[Board], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with start() as service:
        judge = service.pieces.inspector.judge

        def fails(prepared: Any) -> Any:
            if prepared.submission.board_id == "B1":
                raise RuntimeError("secret of the house")
            return judge(prepared)

        monkeypatch.setattr(service.pieces.inspector, "judge", fails)
        failed = post(service, boards[0][0], "B1")
        assert failed.status_code == 500
        assert failed.json()["type"] == "urn:copperline:problem:internal"
        assert "secret" not in failed.text
        assert failed.headers["X-Request-ID"] in failed.json()["detail"]
        assert "secret of the house" in caplog.text
        assert post(service, boards[0][0], "B2").status_code == 201


def test_the_end_waits_for_boards_that_were_accepted(start: Any, boards: list[Board], gate: Any, until: Any) -> None:
    with ThreadPoolExecutor(4) as threads:
        with start() as service:
            held = gate(service)
            asked = [threads.submit(post, service, boards[n][0], f"B{n}") for n in range(3)]
            until(lambda: service.pieces.lane.depth == 2)
            threads.submit(lambda: (time.sleep(0.3), held.open()))
        assert [one.result().status_code for one in asked] == [201] * 3
        assert not service.pieces.lane.is_alive


def test_inspections_are_counted_by_call(start: Any, boards: list[Board]) -> None:
    with start() as service:
        calls = [post(service, board[0], f"B{n}").json()["call"] for n, board in enumerate(boards[:3])]
        post(service, boards[0][0], "B0")
        text = httpx.get(f"{service.url}/metrics").text
        for call in Call:
            assert f'copperline_inspections_total{{call="{call.value}"}} {float(calls.count(call.value))}' in text
        assert plant_counts(service.engine).boards == 3


def test_two_services_at_one_warehouse_give_one_key_one_answer(start: Any, boards: list[Board], gate: Any) -> None:
    with start() as slow, start() as quick, ThreadPoolExecutor(4) as threads:
        held = gate(slow)
        same = threads.submit(post, slow, boards[0][0], "B0", "key-0")
        other = threads.submit(post, slow, boards[1][0], "B1", "key-1")
        held.wait_for_one()
        assert post(quick, boards[0][0], "B0", "key-0").status_code == 201
        assert post(quick, boards[2][0], "B2", "key-1").status_code == 201
        held.open()
        assert (same.result().status_code, same.result().json()["new"]) == (200, False)
        assert other.result().status_code == 422
        assert other.result().json()["type"] == "urn:copperline:problem:idempotency-key-used"
        assert written(slow) == {"B0", "B2"}


def test_a_disk_that_is_nearly_full_is_not_ready(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with start() as service:
        assert httpx.get(f"{service.url}/readyz").json()["status"] == "ready"
        monkeypatch.setattr(readiness, "LEAST_FREE_BYTES", 2**62)
        monkeypatch.setattr(readiness, "FRESH_S", 0)
        answer = httpx.get(f"{service.url}/readyz")
        assert answer.status_code == 503
        assert "MiB free" in answer.json()["reasons"][0]


def test_who_asks_whether_it_is_ready_does_not_wait_for_a_locked_warehouse(start: Any) -> None:
    with start() as service, ThreadPoolExecutor(16) as threads:
        assert httpx.get(f"{service.url}/readyz").status_code == 200
        other = sqlite3.connect(Path(service.engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(readiness.FRESH_S)
        asked = [threads.submit(httpx.get, f"{service.url}/readyz") for _ in range(16)]
        assert httpx.get(f"{service.url}/v1/stations", timeout=5).status_code == 200
        assert 503 in [one.result().status_code for one in asked]
        other.execute("ROLLBACK")
        other.close()
