"""A flood of requests is not a flood of rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from copperline.access import Entry, Key, Scope, create_key, list_keys, timeline
from copperline.service.access_trail import AccessTrail
from copperline.warehouse import write_transaction


def refusals(engine: Engine) -> list[Entry]:
    return [entry for entry in timeline(engine) if entry.action == "access.refused"]


def test_refusals_are_one_entry_a_minute_for_each_caller(
    engine: Engine, in_loop_of_its_own: Callable[..., None]
) -> None:
    async def go() -> None:
        trail = AccessTrail(engine, flush_seconds=0.2)
        for _ in range(500):
            trail.refused("nobody", "192.0.2.1", "no key")
        assert refusals(engine) == []
        await asyncio.sleep(0.5)
        assert [entry.detail["count"] for entry in refusals(engine)] == [500]
        trail.refused("nobody", "192.0.2.1", "no key")
        await trail.close()

    in_loop_of_its_own(go)
    assert sorted(entry.detail["count"] for entry in refusals(engine)) == [1, 500]


def test_too_many_callers_are_counted_together(engine: Engine, in_loop_of_its_own: Callable[..., None]) -> None:
    async def go() -> None:
        trail = AccessTrail(engine)
        for number in range(1500):
            trail.refused("nobody", f"2001:db8:0:{number:x}::1", "no key")
        await trail.close()

    in_loop_of_its_own(go)
    found = timeline(engine, limit=5000)
    assert len(found) == 101
    assert [entry.detail["count"] for entry in found if entry.actor == "others"] == [1400]


def test_a_network_of_ipv6_addresses_is_one_caller(engine: Engine, in_loop_of_its_own: Callable[..., None]) -> None:
    async def go() -> None:
        trail = AccessTrail(engine)
        for number in range(50):
            trail.refused("nobody", f"2001:db8::{number:x}", "no key")
        await trail.close()

    in_loop_of_its_own(go)
    assert [(entry.subject, entry.detail["count"]) for entry in timeline(engine)] == [("2001:db8::/64", 50)]


def test_a_use_is_one_entry_an_hour_for_each_address(engine: Engine, in_loop_of_its_own: Callable[..., None]) -> None:
    _, key = create_key(engine, "AOI-1", [Scope.INSPECT], created_by="test")

    async def go() -> None:
        trail = AccessTrail(engine)
        for _ in range(100):
            trail.used(key, "192.0.2.1")
        trail.used(key, "192.0.2.2")
        await trail.close()

    in_loop_of_its_own(go)
    used = [entry.detail["address"] for entry in timeline(engine) if entry.action == "key.used"]
    assert sorted(used) == ["192.0.2.1", "192.0.2.2"]
    assert list_keys(engine)[0].last_used_at is not None


def test_what_the_database_refuses_is_in_the_log(
    engine: Engine, caplog: pytest.LogCaptureFixture, in_loop_of_its_own: Callable[..., None]
) -> None:
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE audit_log RENAME TO gone")

    async def go() -> None:
        trail = AccessTrail(engine)
        trail.used(Key("0123456789ab", "AOI-1", frozenset(), datetime.now(UTC), "test"), "192.0.2.1")
        await trail.close()

    with caplog.at_level(logging.ERROR, "copperline.service"):
        in_loop_of_its_own(go)
    assert "not in the audit log" in caplog.text
