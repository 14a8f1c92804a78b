"""The audit log: who did what, from where and by which key. Rows are only ever added, and the database sees to it.

What is already kept by name where it belongs (dispositions, promotions) has an entry here for what is not kept there:
the key and the address. `timeline.py` shows all of it as one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, insert

from copperline.access.principals import Principal
from copperline.warehouse import ReferenceRecord, write_transaction
from copperline.warehouse.line_tables import audit_log

_LONGEST = 255


class Action(StrEnum):
    """What is recorded."""

    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    KEY_USED = "key.used"
    ACCESS_REFUSED = "access.refused"
    REVIEW_RECORDED = "review.recorded"
    REFERENCE_ADDED = "reference.added"
    REFERENCE_RETIRED = "reference.retired"
    MODEL_PROMOTED = "model.promoted"


def record(
    engine: Engine,
    actor: str,
    action: Action,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    *,
    at: datetime | None = None,
) -> None:
    """Adds one entry in a transaction of its own.

    Args:
        actor: name of a key, or account of the machine.
        subject: what it was done to; with `actor` cut at 255 characters.
        detail: kept as JSON; times in ISO 8601, what is None left out.
        at: aware; None: now.

    Raises:
        WarehouseError: the database refused.
    """
    with write_transaction(engine) as connection:
        record_in(connection, actor, action, subject, detail, at=at)


def record_in(
    connection: Connection,
    actor: str,
    action: Action,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    *,
    at: datetime | None = None,
) -> None:
    """As `record`, in the transaction of what it tells of."""
    told = {name: value for name, value in (detail or {}).items() if value is not None}
    row = {
        "entry_id": str(uuid.uuid4()),
        "at": datetime.now(UTC) if at is None else at,
        "actor": actor[:_LONGEST],
        "action": action.value,
        "subject": subject[:_LONGEST],
        "detail": json.dumps(told, default=_json, ensure_ascii=False) if told else None,
    }
    connection.execute(insert(audit_log).values(row))


def audit_review(
    engine: Engine,
    principal: Principal,
    inspection_id: str,
    disposition_ids: Sequence[str],
    address: str | None = None,
) -> None:
    """After `record_dispositions`: by which key, and from where."""
    detail = {**_by(principal, address), "disposition_ids": list(disposition_ids)}
    record(engine, principal.name, Action.REVIEW_RECORDED, inspection_id, detail)


def audit_reference_added(
    engine: Engine, principal: Principal, reference: ReferenceRecord, address: str | None = None
) -> None:
    """After `add_reference`."""
    detail = {**_by(principal, address), **_reference(reference), "image_sha256": reference.image_sha256}
    record(engine, principal.name, Action.REFERENCE_ADDED, reference.reference_id, detail)


def audit_reference_retired(
    engine: Engine, principal: Principal, reference: ReferenceRecord, address: str | None = None
) -> None:
    """After `retire_reference`, whose row does not say who did it."""
    detail = {**_by(principal, address), **_reference(reference)}
    record(engine, principal.name, Action.REFERENCE_RETIRED, reference.reference_id, detail)


def audit_promotion(
    engine: Engine, principal: Principal, model_name: str, alias: str, to_version: int, address: str | None = None
) -> None:
    """After a promotion by `principal.name`."""
    detail = {**_by(principal, address), "alias": alias, "to_version": to_version}
    record(engine, principal.name, Action.MODEL_PROMOTED, model_name, detail)


def _by(principal: Principal, address: str | None) -> dict[str, Any]:
    return {"key_id": principal.key_id, "address": address}


def _reference(reference: ReferenceRecord) -> dict[str, Any]:
    return {
        "product_type": reference.product_type,
        "revision": reference.revision or None,
        "version": reference.version,
    }


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
