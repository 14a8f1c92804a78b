"""The service on PostgreSQL, which a plant with several stations has."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from copperline.warehouse import differences, read_transaction

Start = Callable[..., AbstractContextManager[Any]]


def test_boards_are_inspected_judged_and_counted_once(
    start: Start, new_postgresql: Callable[[], str], boards: list[tuple[bytes, bytes]]
) -> None:
    with start(warehouse_url=new_postgresql()) as service:

        def inspect(number: int) -> dict[str, Any]:
            image, reference = boards[number % 4]
            found: dict[str, Any] = service.client.inspect(
                image,
                board_id=f"B{number % 8}",
                station_id="AOI-1",
                line_id="L1",
                reference=reference,
                idempotency_key=f"key {number % 8}",
            )
            return found

        with ThreadPoolExecutor(8) as threads:  # each request twice, most of them at the same time
            found = list(threads.map(inspect, range(16)))
        assert len({one["inspection_id"] for one in found}) == 8
        assert sum(one["new"] for one in found) >= 8
        assert {one["board_id"] for one in service.client.inspections(page=3)} == {f"B{n}" for n in range(8)}
        failed = next(one for one in found if one["call"] == "FAIL")
        service.client.judge({"inspection_id": failed["inspection_id"], "disposition": "CONFIRMED"}, reviewer="ann")
        figures = {figure["key"]: figure for figure in service.client.quality()["figures"]}
        assert figures["machine_yield"]["denominator"] == 8
        assert [station["station_id"] for station in service.client.stations()] == ["AOI-1"]
        with read_transaction(service.engine) as connection:
            assert connection.dialect.name == "postgresql"
            assert differences(connection) == []
