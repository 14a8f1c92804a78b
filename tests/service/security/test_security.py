"""Keys, scopes, rates and what a service without keys lets through, over a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self

import pytest
from fastapi import Request
from sqlalchemy import Engine, select, update

from copperline.access import Scope, create_key, list_keys, revoke_key, timeline
from copperline.errors import SettingsError
from copperline.service import security
from copperline.service.problems import Problem
from copperline.service.security import Gate, require_keys
from copperline.warehouse import write_transaction
from copperline.warehouse.line_tables import api_keys


def new_key(engine: Engine, *scopes: Scope, name: str = "AOI-1", **options: Any) -> str:
    return create_key(engine, name, scopes or (Scope.INSPECT,), created_by="test", **options)[0]


def test_without_keys_this_machine_may_do_everything(serve: Callable[..., Any]) -> None:
    served = serve()
    assert served.get("/who").json() == {"name": "local", "key_id": None, "scopes": ["admin", "inspect", "review"]}
    assert served.post("/reviews", json={"note": "ok"}).json() == {"by": "local", "note": "ok"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1", 200),
        ("[::1]:{port}", 200),
        ("evil.example:{port}", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_without_keys_host_is_a_name_of_this_machine(serve: Callable[..., Any], host: str, status: int) -> None:
    served = serve()
    with served.connect() as connection:
        sent = f"GET /who HTTP/1.1\r\nHost: {host.format(port=served.port)}\r\nConnection: close\r\n\r\n"
        connection.sendall(sent.encode())
        answer = served.until_closed(connection)
    assert answer.status == status
    if status == 403:
        assert answer.problem["type"] == "urn:copperline:problem:not-local"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[evil"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Forwarded-For": "192.0.2.1"}, 403),
    ],
)
def test_without_keys_other_web_pages_and_proxies_change_nothing(
    serve: Callable[..., Any], headers: dict[str, str], status: int
) -> None:
    served = serve()
    sent = {name: value.format(port=served.port) for name, value in headers.items()}
    assert served.post("/reviews", json={"note": "x"}, headers=sent).status_code == status


def test_with_a_key_host_and_origin_do_not_matter(serve: Callable[..., Any], engine: Engine) -> None:
    served, key = serve(), new_key(engine, Scope.REVIEW)
    headers = {"Host": "plant.example", "Origin": "https://mes.plant.example", "X-Forwarded-For": "192.0.2.1"}
    assert served.post("/reviews", key, json={"note": "x"}, headers=headers).status_code == 200


def test_opened_to_a_network_on_purpose_only_other_pages_are_kept_out(serve: Callable[..., Any]) -> None:
    served = serve(host="0.0.0.0", open_to_network=True)
    assert served.get("/who", host="plant-pc:8000").status_code == 200
    assert served.post("/reviews", json={"note": "x"}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_off_loopback_nothing_is_open(serve: Callable[..., Any]) -> None:
    assert serve(host="0.0.0.0").get("/who").status_code == 401


def test_as_soon_as_there_is_a_key_every_request_needs_one(serve: Callable[..., Any], engine: Engine) -> None:
    served = serve()
    assert served.get("/who").status_code == 200
    key = new_key(engine)
    time.sleep(0.3)
    answer = served.get("/who")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert served.get("/health").status_code == 200
    assert served.get("/who", key).json()["name"] == "AOI-1"
    assert served.get("/who", X_API_Key=key).json()["name"] == "AOI-1"
    assert served.get("/who", authorization=f"bearer  {key}").status_code == 200


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "cpl_", "cpl_000000000000_" + "A" * 43, "Basic", "\xe9" * 10, "cpl_" + "a" * 5000],
)
def test_what_is_no_key_opens_nothing(serve: Callable[..., Any], engine: Engine, wrong: str) -> None:
    new_key(engine)
    assert serve().get("/who", authorization=f"Bearer {wrong}".strip()).status_code == 401


def test_a_wrong_secret_for_a_known_key_opens_nothing(serve: Callable[..., Any], engine: Engine) -> None:
    key = new_key(engine)
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    answer = serve().get("/who", other)
    assert answer.status_code == 401
    assert "unknown" in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_basic_authentication_is_no_key(serve: Callable[..., Any], engine: Engine) -> None:
    key = new_key(engine)
    assert serve().get("/who", authorization=f"Basic {key}").status_code == 401


def test_the_missing_scope_is_named(serve: Callable[..., Any], engine: Engine) -> None:
    served, key = serve(), new_key(engine, Scope.INSPECT)
    answer = served.post("/reviews", key, json={"note": "x"})
    assert answer.status_code == 403
    assert answer.json()["needed_scopes"] == ["review", "admin"]
    assert "scope review or admin, found one with inspect" in answer.json()["detail"]


def test_one_of_several_scopes_is_enough(serve: Callable[..., Any], engine: Engine) -> None:
    served, key = serve(), new_key(engine, Scope.ADMIN, name="chief")
    assert served.post("/reviews", key, json={"note": "x"}).json() == {"by": "chief", "note": "x"}


def test_a_revoked_key_stops_working_and_the_last_one_opens_no_door(serve: Callable[..., Any], engine: Engine) -> None:
    served, key = serve(), new_key(engine)
    assert served.get("/who", key).status_code == 200
    revoke_key(engine, list_keys(engine)[0].key_id, revoked_by="test")
    time.sleep(0.3)
    answer = served.get("/who", key)
    assert (answer.status_code, "revoked" in answer.json()["detail"]) == (401, True)
    assert served.get("/who").status_code == 401


def test_a_key_ends_at_its_time_even_while_it_is_in_use(
    serve: Callable[..., Any], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, key = serve(keys_seconds=60), new_key(engine, lifetime=timedelta(minutes=1))
    assert served.get("/who", key).status_code == 200

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=61)

    monkeypatch.setattr(security, "datetime", Later)
    answer = served.get("/who", key)
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)


def test_each_key_has_its_own_rate(serve: Callable[..., Any], engine: Engine) -> None:
    one, two = new_key(engine, name="one"), new_key(engine, name="two")
    served = serve(rate_limit=0.5, rate_burst=3)
    statuses = [served.get("/who", one).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = served.get("/who", one)
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert answer.json()["type"] == "urn:copperline:problem:too-many-requests"
    assert served.get("/who", two).status_code == 200


def test_guessing_is_stopped_and_machines_that_work_go_on(serve: Callable[..., Any], engine: Engine) -> None:
    working, fresh = new_key(engine, name="working"), new_key(engine, name="fresh")
    served = serve()
    assert served.get("/who", working).status_code == 200
    statuses = [served.get("/who", f"cpl_000000000000_{n:043}").status_code for n in range(14)]
    assert statuses[:10] == [401] * 10
    assert set(statuses[10:]) == {429}
    # Not even a valid key is looked at, so that a guess tells nothing; but who was here before goes on.
    answer = served.get("/who", fresh)
    assert (answer.status_code, 1 <= int(answer.headers["retry-after"]) <= 6) == (429, True)
    assert served.get("/who", working).status_code == 200


def test_uses_and_refusals_are_added_up_in_the_audit_log(serve: Callable[..., Any], engine: Engine) -> None:
    key = new_key(engine)
    served = serve()
    for _ in range(3):
        assert served.get("/who", key).status_code == 200
        assert served.post("/reviews", key, json={"note": "x"}).status_code == 403
        assert served.get("/who").status_code == 401
    assert served.get("/who", "cpl_000000000000_" + "A" * 43).status_code == 401
    served.stop()
    found = [(e.action, e.actor, e.subject, e.detail) for e in timeline(engine)][1:]
    assert sorted(found, key=str) == [
        ("access.refused", "AOI-1", "127.0.0.1", {"why": "no scope review admin", "count": 3}),
        ("access.refused", "nobody", "127.0.0.1", {"why": "no key", "count": 3}),
        ("access.refused", "unknown key", "127.0.0.1", {"why": "unknown key", "count": 1}),
        ("key.used", "AOI-1", list_keys(engine)[0].key_id, {"address": "127.0.0.1"}),
    ]


def test_the_last_use_is_kept_to_the_minute(serve: Callable[..., Any], engine: Engine) -> None:
    served, key = serve(), new_key(engine)
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    served.get("/who", key)
    deadline = time.monotonic() + 10
    while (last := list_keys(engine)[0].last_used_at) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert last in (before, before + timedelta(minutes=1))


def test_keys_that_cannot_be_read_open_nothing(serve: Callable[..., Any], engine: Engine) -> None:
    served = serve()
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO gone")
    answer = served.get("/who")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:copperline:problem:warehouse-unavailable")
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO api_keys")
    time.sleep(0.3)
    assert served.get("/who").status_code == 200


def test_a_request_that_is_given_up_while_keys_are_read_opens_no_door(
    engine: Engine, in_loop_of_its_own: Callable[..., None]
) -> None:
    new_key(engine)

    async def go() -> None:
        gate = Gate(engine, host="127.0.0.1", keys_seconds=60)
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")], "client": None}
        first = asyncio.create_task(gate.admit(Request(dict(scope))))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(Problem) as caught:
            await gate.admit(Request(dict(scope)))
        assert caught.value.status == 401
        await gate.close()

    in_loop_of_its_own(go)


def test_the_openapi_document_shows_both_ways(serve: Callable[..., Any]) -> None:
    document = serve().get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "ApiKeyHeader"}
    assert document["paths"]["/who"]["get"]["security"] == [{"ApiKey": []}, {"ApiKeyHeader": []}]
    assert "security" not in document["paths"]["/health"]["get"]


def test_a_strangers_body_is_not_read(serve: Callable[..., Any], engine: Engine) -> None:
    """Not even where FastAPI reads it before the route's dependencies."""
    new_key(engine)
    served = serve()
    lines = ["POST /reviews HTTP/1.1", "Host: a", "Content-Type: application/json", "Content-Length: 500000", "", ""]
    began = time.monotonic()
    with served.connect() as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert time.monotonic() - began < 8


def test_a_request_counts_once(serve: Callable[..., Any]) -> None:
    served = serve(rate_limit=0.01, rate_burst=2)
    statuses = [served.post("/reviews", json={"note": "x"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_off_loopback_a_server_needs_keys_to_start(engine: Engine) -> None:
    require_keys(engine, "127.0.0.1")
    require_keys(engine, "0.0.0.0", open_to_network=True)
    with pytest.raises(SettingsError, match="copperline keys create"):
        require_keys(engine, "0.0.0.0")
    new_key(engine)
    require_keys(engine, "0.0.0.0")


def test_no_secret_is_in_the_database(engine: Engine) -> None:
    key = new_key(engine)
    secret = key.split("_", 2)[2]
    with write_transaction(engine) as connection:
        row = connection.execute(select(api_keys)).mappings().one()
        connection.execute(update(api_keys).values(name="x"))
    assert secret not in str(dict(row))
