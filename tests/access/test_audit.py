"""What is recorded, and how it is shown together with dispositions and promotions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from copperline.access import (
    Action,
    Principal,
    Scope,
    audit_promotion,
    audit_reference_added,
    audit_reference_retired,
    audit_review,
    record,
    record_in,
    timeline,
)
from copperline.errors import WarehouseError
from copperline.registry import History, Promotion
from copperline.taxonomy import Disposition
from copperline.warehouse import (
    Judgement,
    NewReference,
    add_reference,
    record_dispositions,
    retire_reference,
    write_transaction,
)
from copperline.warehouse.tables import inspections

ANN = Principal("ann", frozenset({Scope.REVIEW}), "0123456789ab")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def inspected(engine: Engine) -> Engine:
    """One board that was called FAIL."""
    row: dict[str, Any] = {
        "inspection_id": "I1",
        "board_id": "B1",
        "inspected_at": NOON,
        "station_id": "AOI-1",
        "model_name": "m",
        "model_version": "1",
        "operating_point": "{}",
        "image_path": "b1.png",
        "image_sha256": "00",
        "call": "FAIL",
        "defect_count": 0,
        "latency_ms": 1.0,
    }
    with write_transaction(engine) as connection:
        connection.execute(insert(inspections).values(row))
    return engine


def review(engine: Engine, reviewer: str, at: datetime, note: str | None = None) -> tuple[str, ...]:
    return record_dispositions(engine, [Judgement("I1", Disposition.FALSE_CALL, note=note)], reviewer, decided_at=at)


def test_an_entry_is_kept_with_its_detail(engine: Engine) -> None:
    record(engine, "ann", Action.KEY_USED, "k1", {"address": "192.0.2.1", "nothing": None, "at": NOON}, at=NOON)
    (entry,) = timeline(engine)
    assert (entry.at, entry.actor, entry.action, entry.subject) == (NOON, "ann", "key.used", "k1")
    assert entry.detail == {"address": "192.0.2.1", "at": "2026-03-01T12:00:00+00:00"}


def test_long_names_are_cut_and_not_refused(engine: Engine) -> None:
    record(engine, "a" * 300, Action.ACCESS_REFUSED, "s" * 300)
    assert {len(timeline(engine)[0].actor), len(timeline(engine)[0].subject)} == {255}


def test_an_entry_is_there_only_if_what_it_tells_of_is(engine: Engine) -> None:
    with pytest.raises(WarehouseError), write_transaction(engine) as connection:
        record_in(connection, "ann", Action.KEY_CREATED, "k1")
        raise WarehouseError("no")
    assert timeline(engine) == ()


def test_entries_cannot_be_changed(engine: Engine) -> None:
    record(engine, "ann", Action.KEY_USED, "k1")
    for change in ("UPDATE audit_log SET actor = 'bo'", "DELETE FROM audit_log"):
        with pytest.raises(WarehouseError, match="only ever added"), write_transaction(engine) as connection:
            connection.exec_driver_sql(change)
    assert timeline(engine)[0].actor == "ann"


def test_a_review_is_shown_once_with_key_and_address(inspected: Engine) -> None:
    ids = review(inspected, "ann", datetime.now(UTC), "dust")
    audit_review(inspected, ANN, "I1", ids, "192.0.2.1")
    (entry,) = timeline(inspected)
    assert (entry.actor, entry.action, entry.subject) == ("ann", "review.recorded", "I1")
    assert entry.detail == {
        "disposition": "FALSE_CALL",
        "note": "dust",
        "key_id": "0123456789ab",
        "address": "192.0.2.1",
    }


def test_a_promotion_is_shown_once_with_key_and_address(engine: Engine) -> None:
    at = datetime.now(UTC)
    mine = Promotion(by="ann", alias="champion", from_version=1, to_version=2, reason="better", at=at)
    before = Promotion(by="ann", alias="champion", from_version=None, to_version=1, at=at - timedelta(hours=1))
    failed = Promotion(by="bo", alias="champion", from_version=2, to_version=3, failed="disk full", at=at)
    audit_promotion(engine, ANN, "pcb-detector", "champion", 2, "192.0.2.1")
    found = timeline(engine, History((before, mine), (failed,)))
    assert [(e.actor, e.subject, e.detail) for e in found] == [
        ("ann", "champion", {"alias": "champion", "to_version": 1}),
        ("bo", "champion", {"alias": "champion", "from_version": 2, "to_version": 3, "failed": "disk full"}),
        (
            "ann",
            "pcb-detector",
            {
                "alias": "champion",
                "from_version": 1,
                "to_version": 2,
                "reason": "better",
                "key_id": "0123456789ab",
                "address": "192.0.2.1",
            },
        ),
    ]


def test_an_entry_without_its_promotion_is_shown_too(engine: Engine) -> None:
    audit_promotion(engine, ANN, "pcb-detector", "champion", 2)
    assert [e.action for e in timeline(engine, History())] == ["model.promoted"]


def test_references_tell_who_added_and_retired_them(engine: Engine) -> None:
    new = NewReference("Hub", "", "hub.png", "ab" * 32, 640, 640, created_by="ann")
    reference = add_reference(engine, new)
    audit_reference_added(engine, ANN, reference, "192.0.2.1")
    audit_reference_retired(engine, ANN, retire_reference(engine, reference.reference_id), "192.0.2.1")
    assert [(e.action, e.subject, e.detail["product_type"], e.detail["version"]) for e in timeline(engine)] == [
        ("reference.added", reference.reference_id, "Hub", 1),
        ("reference.retired", reference.reference_id, "Hub", 1),
    ]


def test_everything_is_in_order_and_can_be_chosen(inspected: Engine) -> None:
    review(inspected, "bo", NOON)
    record(inspected, "ann", Action.KEY_CREATED, "k1", at=NOON - timedelta(hours=1))
    record(inspected, "ann", Action.KEY_USED, "k1", at=NOON + timedelta(hours=2))
    history = History(
        (Promotion(by="cy", alias="champion", from_version=None, to_version=1, at=NOON + timedelta(hours=1)),)
    )

    def actions(**chosen: Any) -> list[str]:
        return [entry.action for entry in timeline(inspected, history, **chosen)]

    assert actions() == ["key.created", "review.recorded", "model.promoted", "key.used"]
    assert actions(since=NOON) == ["review.recorded", "model.promoted", "key.used"]
    assert actions(actor="ann") == ["key.created", "key.used"]
    assert actions(actor="cy") == ["model.promoted"]
    assert actions(action="review.recorded") == ["review.recorded"]
    assert actions(action="key.used", actor="bo") == []
    assert actions(limit=2) == ["model.promoted", "key.used"]
