"""Models, stations, and what holds for every route: problem documents, request ids, the log and the metrics."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from copperline.errors import ServiceError
from copperline.service.logs import _Json, _Text

Board = tuple[bytes, bytes]


def test_models_say_which_inspects(registry_service: Any) -> None:
    found = registry_service.client.models()
    assert found["serving"]["asked_for"] == "champion"
    keys = {m["key"]: m for m in found["models"]}
    assert set(keys) == {"1", "2", "builtin:deeppcb", "builtin:golden-only"}
    assert keys["2"]["aliases"] == ["challenger"]
    assert "path" not in keys["1"]
    assert str(registry_service.pieces.settings.workspace) not in json.dumps(found)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": "9"}, 404),
        ({"version": "nobody"}, 404),
        ({"version": "builtin:nothing"}, 404),
        ({"version": "1", "alias": "latest"}, 409),
        ({"version": "1", "alias": "v1"}, 409),
        ({"version": "1", "alias": "a b"}, 422),
        ({"version": "1", "why": "because"}, 422),
        ({}, 422),
    ],
)
def test_a_promotion_that_cannot_be(registry_service: Any, body: dict[str, str], status: int) -> None:
    answer = httpx.post(f"{registry_service.url}/v1/promotions", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_stations_report(service: Any, boards: list[Board]) -> None:
    service.client.inspect(boards[0][0], board_id="S1", station_id="AOI-2", line_id="L1")
    service.client.inspect(boards[1][0], board_id="S2", station_id="AOI-1")
    first, second = service.client.stations()
    assert (first["station_id"], first["line_id"]) == ("AOI-1", None)
    assert (second["station_id"], second["line_id"]) == ("AOI-2", "L1")
    assert second["first_seen_at"] <= second["last_seen_at"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/docs", 404),
        ("GET", "/v1/inspections/", 404),
        ("PUT", "/v1/inspections", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/v1/dispositions", 422),
        ("POST", "/v1/inspections", 422),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/v1/boards/", 422),
    ],
)
def test_every_error_is_a_problem_document(service: Any, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, service.url + path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:copperline:problem:")
    assert document["title"]
    assert document["detail"]
    assert answer.headers["X-Request-ID"]
    if status == 405:
        assert answer.headers["Allow"] == {"/healthz": "GET", "/v1/inspections": "GET, POST"}[path]


def test_a_form_that_is_none_is_refused(service: Any) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{service.url}/v1/inspections", content=b"--y\r\nnothing", headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_fault_of_the_code_is_logged_and_not_told(
    service: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> Any:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(service.pieces.metrics, "text", fails)
    answer = httpx.get(f"{service.url}/metrics")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "secret of the house" in caplog.text


def test_metrics_have_no_label_that_a_client_can_make(service: Any) -> None:
    with httpx.Client(base_url=service.url) as http:
        for n in range(30):
            http.get(f"/nowhere/{n}")
            http.get(f"/v1/boards/unknown-{n}")
        for method in ("PROPFIND", "MKCOL"):
            http.request(method, "/v1/quality")
        text = http.get("/metrics").text
    assert 'copperline_http_requests_total{method="GET",route="unmatched",status="404"} 3' in text
    assert 'route="/v1/boards/{board_id}"' in text
    assert 'method="other"' in text
    assert "PROPFIND" not in text
    assert "unknown-7" not in text
    assert "nowhere" not in text


def test_a_line_of_the_log_for_each_request_without_secrets(
    service: Any, caplog: pytest.LogCaptureFixture, until: Any
) -> None:
    caplog.set_level(logging.INFO, "copperline.service.access")
    httpx.get(f"{service.url}/v1/boards/a%1Bb?token=hidden", headers={"Authorization": "Bearer hidden"})
    # The line is written when the answer is out.
    until(lambda: any(r.name == "copperline.service.access" for r in caplog.records))
    record = next(r for r in caplog.records if r.name == "copperline.service.access")
    line = _Text().format(record)
    assert "GET /v1/boards/a%1Bb 422" in line
    assert "\n" not in line
    facts = json.loads(_Json().format(record))
    assert (facts["status"], facts["path"], facts["client"]) == (422, "/v1/boards/a%1Bb", "127.0.0.1")
    assert "hidden" not in line + json.dumps(facts)


def test_the_client_says_what_the_service_said(service: Any) -> None:
    with pytest.raises(ServiceError, match=r"the service says 404: expected an inspected board") as error:
        service.client.board("nobody")
    assert (error.value.status, error.value.kind) == (404, "not-found")
    assert str(error.value).startswith(f"{service.url}/v1/boards/nobody: ")
