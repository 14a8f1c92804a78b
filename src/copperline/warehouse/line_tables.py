"""Tables that production needs: golden references, what was asked and answered, what is to be told, access.

They are in the same database so that one transaction leaves an inspection, the request that it answers and the events
that tell of it all there, or none of them.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text

from copperline.warehouse.tables import ID, NAME, PATH, SHA256, UtcDateTime, metadata

golden_references = Table(
    "golden_references",
    metadata,
    Column("reference_id", ID, primary_key=True, comment="UUID"),
    Column("product_type", NAME, nullable=False, comment="Product that the image is golden for"),
    Column("revision", NAME, nullable=False, comment="Revision of the product; empty: it has none"),
    Column("version", Integer, nullable=False, comment="Counts from 1 for each product and revision"),
    Column("image_path", PATH, nullable=False, comment="The image as it was given, on the stage"),
    Column("image_sha256", SHA256, nullable=False, comment="SHA-256 of the file, hexadecimal"),
    Column("width", Integer, nullable=False, comment="px"),
    Column("height", Integer, nullable=False, comment="px"),
    Column("conditioning", Text, comment="JSON: recipe for this image and the test images; null: as they are"),
    Column("opportunities", Integer, comment="Defect opportunities of a board of this product; null: unknown"),
    Column("created_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("created_by", NAME, nullable=False, comment="Who added it"),
    Column("retired_at", UtcDateTime, comment="UTC; null: in use. The newest version in use counts"),
    Column("note", Text, comment="In the words of who added it"),
    comment="Golden images of products; a row is never changed but for retired_at",
)

inspection_requests = Table(
    "inspection_requests",
    metadata,
    Column("request_key", ID, primary_key=True, comment="SHA-256 of the client and its idempotency key"),
    Column("request_sha256", SHA256, nullable=False, comment="Of what was asked, to tell a repetition from a mistake"),
    Column("inspection_id", ID, ForeignKey("inspections.inspection_id"), nullable=False, comment="The answer"),
    Column("received_at", UtcDateTime, nullable=False, comment="UTC"),
    comment="Requests by idempotency key: a repetition gets the first answer, also after a change of model",
)

station_states = Table(
    "station_states",
    metadata,
    Column("station_id", NAME, primary_key=True, comment="Station"),
    Column("line_id", NAME, nullable=False, comment="Its line when it last reported; empty: unknown"),
    Column("first_seen_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("last_seen_at", UtcDateTime, nullable=False, comment="Its newest inspection, UTC"),
    comment="Stations of the line, to tell when one is silent",
)

events = Table(
    "events",
    metadata,
    Column("event_id", ID, primary_key=True, comment="UUID; the same however often it is delivered"),
    Column("event_type", String(64), nullable=False, comment="inspection.completed, alert.opened or alert.closed"),
    Column("occurred_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("subject", NAME, nullable=False, comment="Board, station or line that it tells of"),
    Column("payload", Text, nullable=False, comment="JSON"),
    comment="What is told to other systems; written in the transaction of what it tells of",
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("event_id", ID, ForeignKey("events.event_id"), primary_key=True, comment="What is told"),
    Column("sink", NAME, primary_key=True, comment="To whom: name of the sink in the settings"),
    Column("status", String(16), nullable=False, comment="pending, delivered or failed"),
    Column("attempts", Integer, nullable=False, comment="Tries so far"),
    Column("next_attempt_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("delivered_at", UtcDateTime, comment="UTC; null: not yet"),
    Column("last_error", Text, comment="Why the last try failed"),
    comment="One row for each event and sink",
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", ID, primary_key=True, comment="UUID"),
    Column("alert_key", NAME, nullable=False, comment="Kind and what it is about; one open alert for each"),
    Column("kind", String(32), nullable=False, comment="control_chart, withheld_rate, drift or station_silent"),
    Column("subject", NAME, nullable=False, comment="Line, model or station"),
    Column("summary", Text, nullable=False, comment="One sentence for people"),
    Column("evidence", Text, nullable=False, comment="JSON: the figures that it rests on"),
    Column("opened_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("last_seen_at", UtcDateTime, nullable=False, comment="When the condition last held, UTC"),
    Column("closed_at", UtcDateTime, comment="UTC; null: open"),
    comment="Conditions that people are told of once",
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", ID, primary_key=True, comment="Public part of the key"),
    Column("name", NAME, nullable=False, comment="Who or what uses it"),
    Column("secret_sha256", SHA256, nullable=False, comment="Of the secret part, which is kept nowhere"),
    Column("scopes", NAME, nullable=False, comment="inspect, review and admin, separated by spaces"),
    Column("created_at", UtcDateTime, nullable=False, comment="UTC"),
    Column("created_by", NAME, nullable=False, comment="Who made it"),
    Column("expires_at", UtcDateTime, comment="UTC; null: never"),
    Column("revoked_at", UtcDateTime, comment="UTC; null: not revoked"),
    Column("last_used_at", UtcDateTime, comment="UTC, to the minute; null: never"),
    comment="Keys of the HTTP service",
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("entry_id", ID, primary_key=True, comment="UUID"),
    Column("at", UtcDateTime, nullable=False, comment="UTC"),
    Column("actor", NAME, nullable=False, comment="Key, or account of the machine"),
    Column("action", String(64), nullable=False, comment="Such as key.created, review.recorded, access.refused"),
    Column("subject", NAME, nullable=False, comment="What it was done to"),
    Column("detail", Text, comment="JSON"),
    comment="Who did what; rows are only ever added",
)

LINE_TABLES = (
    golden_references,
    inspection_requests,
    station_states,
    events,
    deliveries,
    alerts,
    api_keys,
    audit_log,
)
