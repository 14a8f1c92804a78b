"""Whatever a text holds, it comes back as it was, or is refused; it never does anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NASTY = [
    "'; DROP TABLE inspections; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "..\\..\\windows",
    "%00",
    "%2e%2e/",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    "ﬀﬁ İ ß",
    "\u202eevil",
    "👩‍🏭",
    "\ufeffB1",
    "NULL",
    "true",
    "\x7f",
    "a\r\nX-Injected: 1",
    " lead",
]
TEXTS = st.sampled_from(NASTY) | st.text(max_size=300)
FIELDS = ("board_id", "station_id", "line_id", "product_type", "panel_id")
MANY = settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def http(service: Any) -> Any:
    with httpx.Client(base_url=service.url, timeout=20) as client:
        yield client


def tables(service: Any) -> list[str]:
    with sqlite3.connect(Path(service.engine.url.database)) as connection:
        return sorted(row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))


@MANY
@given(field=st.sampled_from(FIELDS), text=TEXTS)
def test_a_field_of_an_inspection(
    service: Any, http: httpx.Client, boards: list[tuple[bytes, bytes]], field: str, text: str
) -> None:
    before = tables(service)
    fields = {"board_id": "B1", "station_id": "S", field: text}
    try:
        answer = http.post("/v1/inspections", files={"image": boards[0][0]}, data=fields)
    except UnicodeEncodeError:  # half a surrogate pair cannot be sent in a form
        return
    assert answer.status_code in (200, 201, 422)
    assert "X-Injected" not in answer.headers
    if answer.status_code == 422:
        assert answer.headers["content-type"] == "application/problem+json"
        return
    made = answer.json()
    if text:
        assert made[field] == text or made["new"] is False
    read = http.get(f"/v1/inspections/{made['inspection_id']}").json()
    assert read["board_id"] == made["board_id"]
    board = http.get(f"/v1/boards/{quote(made['board_id'], safe='').replace('.', '%2E')}")
    assert board.status_code == 200
    assert board.json()["board_id"] == made["board_id"]
    listed = http.get("/v1/inspections", params={"board_id": made["board_id"]}).json()["inspections"]
    assert {one["board_id"] for one in listed} == {made["board_id"]}
    assert tables(service) == before


@MANY
@given(text=TEXTS)
def test_a_text_in_a_path_or_a_query(http: httpx.Client, text: str) -> None:
    try:
        part = quote(text, safe="").replace(".", "%2E")
    except UnicodeEncodeError:
        return
    board = http.get(f"/v1/boards/{part}")
    assert board.status_code in (404, 422) or board.json()["board_id"] == text
    for path in (f"/v1/inspections/{part}", f"/v1/references/{part}/image"):
        assert http.get(path).status_code in (404, 422)
    for query in (f"/v1/inspections?cursor={part}", f"/v1/quality?model={part}", f"/v1/quality?line={part}"):
        assert http.get(query).status_code in (200, 422)


@MANY
@given(text=TEXTS)
def test_a_text_in_a_judgement(service: Any, http: httpx.Client, boards: list[tuple[bytes, bytes]], text: str) -> None:
    made = service.client.inspect(boards[0][0], board_id="J1", station_id="S")
    judgement = {"inspection_id": made["inspection_id"], "disposition": "CONFIRMED", "note": text}
    answer = http.post("/v1/dispositions", json={"judgements": [judgement], "reviewer": text})
    assert answer.status_code in (201, 409, 422)
    if answer.status_code == 201:
        (one,) = answer.json()["dispositions"]
        assert (one["reviewer"], one["note"]) == (text, text or None)


def test_no_id_becomes_a_file_name(service: Any, boards: list[tuple[bytes, bytes]]) -> None:
    service.client.inspect(boards[1][0], board_id="../../outside", station_id="../s", panel_id="/etc/x")
    names = {path.name for path in service.pieces.settings.workspace.parent.rglob("*")}
    assert not [name for name in names if "outside" in name or name in ("s", "x")]
