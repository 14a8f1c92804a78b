"""Events as messages: what is sent to a sink, in Copperline's own form or in that of CFX."""

from __future__ import annotations

import json
from dataclasses import dataclass

from copperline.delivery.cfx import units_inspected
from copperline.errors import DataError
from copperline.sink_settings import BodyFormat
from copperline.warehouse import Event

CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """An event in the form that a sink wants.

    Attributes:
        event_id: the same however often it is sent.
        body: JSON in ASCII, byte for byte the same at every try.
        line_id, station_id: of the board or the alert; empty: unknown.
    """

    event_id: str
    event_type: str
    subject: str
    line_id: str
    station_id: str
    body: bytes


def message_of(event: Event, form: BodyFormat) -> Message:
    """Raises DataError if the payload is not what such an event has: it will never be, so no try helps.

    >>> from datetime import UTC, datetime
    >>> opened = Event("E1", "alert.opened", datetime(2026, 3, 1, 12, tzinfo=UTC), "L1", '{"kind": "drift"}')
    >>> message_of(opened, "copperline").body.decode()  # doctest: +NORMALIZE_WHITESPACE
    '{"event_id": "E1", "type": "alert.opened", "timestamp": "2026-03-01T12:00:00+00:00", "subject": "L1",
      "data": {"kind": "drift"}}'
    """
    try:
        payload = json.loads(event.payload)
    except ValueError as error:
        raise DataError(
            "expected JSON as the payload of an event, found something else", where=event.event_id
        ) from error
    if not isinstance(payload, dict):
        raise DataError("expected a JSON object as the payload of an event", where=event.event_id)
    if form == "cfx":
        content = units_inspected(event.event_id, payload)
    else:
        content = {
            "event_id": event.event_id,
            "type": event.event_type,
            "timestamp": event.occurred_at.isoformat(),
            "subject": event.subject,
            "data": payload,
        }
    return Message(
        event_id=event.event_id,
        event_type=event.event_type,
        subject=event.subject,
        line_id=str(payload.get("line_id") or ""),
        station_id=str(payload.get("station_id") or ""),
        body=json.dumps(content).encode("ascii"),
    )
