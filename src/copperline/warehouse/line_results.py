"""What the line writes: inspections with all that belongs to them, some boards in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, bindparam, insert, select, update

from copperline.taxonomy import Taxonomy
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.line_tables import deliveries, events, inspection_requests, station_states
from copperline.warehouse.records import InspectionRecord, Source
from copperline.warehouse.snowflake_rows import insert_rows
from copperline.warehouse.tables import inspections, pcb_metadata
from copperline.warehouse.tallies import kept
from copperline.warehouse.writer import insert_inspections, present, write_looking_again


@dataclass(frozen=True, slots=True)
class BoardTold:
    """What a station says of a board; None: it does not say, and what is known stays.

    Attributes:
        opportunities: defect opportunities, from the product's record.
        source: `simulated` never replaces what is known of a real board.
    """

    line_id: str | None = None
    product_type: str | None = None
    panel_id: str | None = None
    opportunities: int | None = None
    source: Source = "real"


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An idempotency key.

    Attributes:
        key: hexadecimal SHA-256 of the client and the key that it chose.
        request_sha256: hexadecimal, of what it asked.
    """

    key: str
    request_sha256: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell other systems.

    Attributes:
        event_id: the same however often it is delivered.
        event_type: `inspection.completed`, `alert.opened` or `alert.closed`.
        occurred_at: with its time zone.
        subject: board, station or line.
        payload: JSON text.
    """

    event_id: str
    event_type: str
    occurred_at: datetime
    subject: str
    payload: str


@dataclass(frozen=True, slots=True)
class LineResult:
    """One inspection with what belongs to it.

    Attributes:
        event: what sinks are told if the inspection is new; None: nothing.
    """

    record: InspectionRecord
    told: BoardTold = BoardTold()
    request: RequestKey | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a LineResult.

    Attributes:
        inspection_id: that answers it: another one's, if its request was answered before.
        new: whether this call wrote it.
    """

    inspection_id: str
    new: bool


def write_line_results(
    engine: Engine, results: Sequence[LineResult], taxonomy: Taxonomy, *, sinks: Sequence[str] = ()
) -> tuple[Written, ...]:
    """Writes them in one transaction: all of them, once, or none.

    Args:
        taxonomy: of the detections' class ids.
        sinks: names of those that every event is to be delivered to; with none, events are not kept.

    Returns:
        One for each result, in order.

    Raises:
        WarehouseError: the database refused; nothing was written.
    """
    if not results:
        return ()
    return write_looking_again(engine, partial(_write, results=results, taxonomy=taxonomy, sinks=sinks))


def answered_request(engine: Engine, key: str) -> tuple[RequestKey, str] | None:
    """The request of this key and the inspection that answered it; None: there was none."""
    query = select(inspection_requests.c.request_sha256, inspection_requests.c.inspection_id)
    with read_transaction(engine) as connection:
        found = connection.execute(query.where(inspection_requests.c.request_key == key)).one_or_none()
    return None if found is None else (RequestKey(key, found.request_sha256), str(found.inspection_id))


def add_event(connection: Connection, event: Event, sinks: Sequence[str]) -> None:
    """In the transaction of what it tells of; without sinks nothing is kept."""
    _insert_events(connection, [event], sinks)


def _write(
    connection: Connection, results: Sequence[LineResult], taxonomy: Taxonomy, sinks: Sequence[str]
) -> tuple[Written, ...]:
    keys = [result.request.key for result in results if result.request is not None]
    answered = dict(present(connection, inspection_requests.c.request_key, keys, inspection_requests.c.inspection_id))
    first: dict[str, LineResult] = {}
    requests: list[dict[str, Any]] = []
    answers: list[str] = []
    for result in results:
        key = None if result.request is None else result.request.key
        if key is None or key not in answered:
            first.setdefault(result.record.inspection_id, result)
            if result.request is not None and key is not None:
                answered[key] = result.record.inspection_id
                requests.append(_request_row(result.request, result.record.inspection_id))
        answers.append(result.record.inspection_id if key is None else answered[key])

    there = present(connection, inspections.c.inspection_id, list(first))
    new = {key: result for key, result in first.items() if key not in there}
    if new:
        _add(connection, list(new.values()), taxonomy, sinks)
    if requests:
        connection.execute(insert(inspection_requests), requests)
    written = []
    unclaimed = set(new)
    for key in answers:  # of two equal boards in one batch, one is new
        written.append(Written(key, key in unclaimed))
        unclaimed.discard(key)
    return tuple(written)


def _add(connection: Connection, new: Sequence[LineResult], taxonomy: Taxonomy, sinks: Sequence[str]) -> None:
    with kept(connection, sorted({result.record.board_id for result in new})):
        _tell_of_boards(connection, new)
        insert_inspections(connection, [result.record for result in new], taxonomy)
    _see_stations(connection, new)
    _insert_events(connection, [result.event for result in new if result.event is not None], sinks)


def _request_row(request: RequestKey, inspection_id: str) -> dict[str, Any]:
    return {
        "request_key": request.key,
        "request_sha256": request.request_sha256,
        "inspection_id": inspection_id,
        "received_at": datetime.now(UTC),
    }


_TOLD = {
    "factory_line_id": "line_id",
    "product_type": "product_type",
    "panel_id": "panel_id",
    "opportunities": "opportunities",
}


def _tell_of_boards(connection: Connection, results: Sequence[LineResult]) -> None:
    told = {result.record.board_id: result for result in results}
    query = select(pcb_metadata).where(pcb_metadata.c.board_id.in_(list(told)))
    known = {row["board_id"]: row for row in connection.execute(query).mappings()}
    added, changed = [], []
    for board_id, result in told.items():
        values = _values_told(result, known.get(board_id))
        if board_id not in known:
            added.append({"board_id": board_id, "created_at": result.record.inspected_at, **values})
        elif values != {name: known[board_id][name] for name in values}:
            changed.append({"key": board_id, **values})
    if added:
        connection.execute(insert(pcb_metadata), added)
    if changed:
        columns: dict[str, Any] = {name: bindparam(name) for name in changed[0] if name != "key"}
        connection.execute(
            update(pcb_metadata).where(pcb_metadata.c.board_id == bindparam("key")).values(columns), changed
        )


def _values_told(result: LineResult, row: RowMapping | None) -> dict[str, Any]:
    """What the row is to hold: what was told, else what is known."""
    known: dict[str, Any] = {} if row is None else dict(row)
    told = result.told
    keeps = known.get("source") == "real" and told.source == "simulated"
    values = {column: None if keeps else getattr(told, name) for column, name in _TOLD.items()}
    return {
        **{column: known.get(column) if value is None else value for column, value in values.items()},
        "image_path": known.get("image_path") or result.record.image_path,
        "source": "real" if keeps else told.source,
    }


def _see_stations(connection: Connection, results: Sequence[LineResult]) -> None:
    newest: dict[str, LineResult] = {}
    for result in sorted(results, key=lambda result: result.record.inspected_at):
        newest[result.record.station_id] = result
    last_seen = present(connection, station_states.c.station_id, list(newest), station_states.c.last_seen_at)
    rows = [
        {
            "station": station,
            "line": result.told.line_id or "",
            "seen": result.record.inspected_at,
            "known": station in last_seen,
        }
        for station, result in newest.items()
        if station not in last_seen or result.record.inspected_at > last_seen[station]
    ]
    for row in rows:
        values = {"line_id": row["line"], "last_seen_at": row["seen"]}
        if row["known"]:
            connection.execute(
                update(station_states).where(station_states.c.station_id == row["station"]).values(values)
            )
        else:
            connection.execute(
                insert(station_states).values(station_id=row["station"], first_seen_at=row["seen"], **values)
            )


def _insert_events(connection: Connection, new: Sequence[Event], sinks: Sequence[str]) -> None:
    if not new or not sinks:
        return
    insert_rows(
        connection, events, [{name: getattr(event, name) for name in Event.__dataclass_fields__} for event in new]
    )
    insert_rows(
        connection,
        deliveries,
        [
            {
                "event_id": event.event_id,
                "sink": sink,
                "status": "pending",
                "attempts": 0,
                "next_attempt_at": event.occurred_at,
            }
            for event in new
            for sink in sinks
        ],
    )
