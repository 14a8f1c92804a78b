"""Webhooks against a real HTTP server that fails in every way."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from copperline.delivery.signing import verify_signature
from copperline.delivery.webhook import Webhook
from copperline.errors import SettingsError
from copperline.sink_settings import WebhookSink
from copperline.warehouse import Event
from copperline.warehouse.outbox import Failure

SECRET, OLD = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
MakeEvent = Callable[..., Event]


def sink(url: str, **more: Any) -> Webhook:
    return Webhook(WebhookSink(kind="webhook", name="mes", url=url, timeout_s=0.5, **more))


def send(webhook: Webhook, *events: Event) -> list[Failure | None]:
    outcomes = list(webhook.send(events))
    webhook.close()
    assert [event_id for event_id, _ in outcomes] == [event.event_id for event in events]
    return [outcome for _, outcome in outcomes]


def test_a_message_arrives_signed(new_receiver: Any, event: MakeEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MES_SECRET", SECRET)
    monkeypatch.setenv("MES_OLD", OLD)
    monkeypatch.setenv("MES_TOKEN", "abc")
    receiver = new_receiver(204)
    webhook = sink(receiver.url, secret_env="MES_SECRET", previous_secret_env="MES_OLD", token_env="MES_TOKEN")
    assert send(webhook, event(1)) == [None]
    (request,) = receiver.requests
    for secret in (SECRET, OLD):
        assert verify_signature(request.headers, request.body, [secret])
    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["content-type"] == "application/json"
    assert request.json["type"] == "inspection.completed"
    assert request.json["data"]["board_id"] == "B1"
    assert request.headers["webhook-id"] == request.json["event_id"] == "E0001"


def test_repeated_it_is_the_same_message(new_receiver: Any, event: MakeEvent) -> None:
    receiver = new_receiver(500, 200)
    failure, taken = send(sink(receiver.url), event(1), event(1))
    assert failure is not None
    assert taken is None
    first, second = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


@pytest.mark.parametrize(
    ("answer", "words", "final", "wait"),
    [
        (500, "HTTP 500", False, None),
        (404, "HTTP 404", False, None),
        (410, "HTTP 410", True, None),
        ((429, {"retry-after": "120"}, b"slow down"), "HTTP 429 Too Many Requests: slow down", False, 120.0),
        ((503, {"retry-after": "7"}, b""), "HTTP 503", False, 7.0),
        ((500, {"retry-after": "7"}, b""), "HTTP 500", False, None),
        ((429, {"retry-after": "soon"}, b""), "HTTP 429", False, None),
        ((302, {"location": "http://127.0.0.1:1/other"}, b""), "redirects are not followed", False, None),
        ((400, {}, b"x" * 100_000), "HTTP 400", False, None),
        (60.0, "no answer within 0.5 s", False, None),
        ("drop", "no connection", False, None),
    ],
)
def test_answers_that_are_no(
    new_receiver: Any, event: MakeEvent, answer: Any, words: str, final: bool, wait: float | None
) -> None:
    receiver = new_receiver(answer)
    began = time.monotonic()
    (failure,) = send(sink(receiver.url), event(1))
    assert failure is not None
    assert words in failure.reason
    assert (failure.final, failure.retry_after_s) == (final, wait)
    assert len(failure.reason) < 1000
    assert len(receiver.requests) == 1
    assert time.monotonic() - began < 8  # who hangs does so for a minute


def test_a_date_to_come_back(new_receiver: Any, event: MakeEvent) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    (failure,) = send(sink(new_receiver((503, {"retry-after": at}, b"")).url), event(1))
    assert failure is not None
    assert failure.retry_after_s == pytest.approx(300, abs=5)


def test_nobody_is_there(event: MakeEvent) -> None:
    (failure,) = send(sink("http://127.0.0.1:9/hook?key=hidden"), event(1))
    assert failure is not None
    assert failure.reason == "no connection: Connection refused"
    assert not failure.final


def test_a_payload_that_is_none_is_given_up(new_receiver: Any) -> None:
    receiver = new_receiver(200)
    (failure,) = send(sink(receiver.url), Event("E1", "inspection.completed", datetime.now(UTC), "B1", "no json"))
    assert failure is not None
    assert failure.final
    assert receiver.requests == []


def test_a_secret_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MES_SECRET", raising=False)
    with pytest.raises(SettingsError, match="MES_SECRET"):
        sink("http://127.0.0.1/", secret_env="MES_SECRET")
    monkeypatch.setenv("MES_SECRET", "hunter2-hunter2")
    with pytest.raises(SettingsError, match="whsec_") as refused:
        sink("http://127.0.0.1/", secret_env="MES_SECRET")
    assert "hunter2" not in str(refused.value)
