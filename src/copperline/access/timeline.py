"""One timeline of who did what, from the three places where it is kept: audit log, dispositions, promotions.

A review or promotion through the service is in two of them, once by name and once by key and address: it is shown
once, with what both say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select

from copperline.access.audit import Action
from copperline.registry import History, Promotion
from copperline.warehouse import read_transaction
from copperline.warehouse.line_tables import audit_log
from copperline.warehouse.tables import dispositions

# An entry of the audit log follows its promotion at once; this is more than a busy database takes.
_SAME_PROMOTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that somebody did.

    Attributes:
        at: UTC.
        actor: name of a key, reviewer, e-mail address or account.
        action: see Action.
        subject: what it was done to.
        detail: what else is known, ready for JSON.
    """

    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] = field(default_factory=dict)


def timeline(
    engine: Engine,
    history: History | None = None,
    *,
    since: datetime | None = None,
    actor: str | None = None,
    action: str | None = None,
    limit: int = 200,
) -> tuple[Entry, ...]:
    """The newest `limit` entries that fit, the oldest of them first.

    Args:
        history: promotions of the registry; None: without them.
        since: aware; None: from the beginning.
        actor, action: exactly these; None: all.
    """
    reviewed = _dispositions(engine, since, actor, limit) if action in (None, Action.REVIEW_RECORDED) else {}
    promoted = _promotions(history, since, actor) if action in (None, Action.MODEL_PROMOTED) else []
    found = _told_twice(_logged(engine, since, actor, action, limit), reviewed, promoted)
    found += [*reviewed.values(), *promoted]
    found.sort(key=lambda entry: (entry.at, entry.subject))
    return tuple(found[-limit:])


def _logged(engine: Engine, since: datetime | None, actor: str | None, action: str | None, limit: int) -> list[Entry]:
    query = select(audit_log).order_by(audit_log.c.at.desc(), audit_log.c.entry_id).limit(limit)
    if since is not None:
        query = query.where(audit_log.c.at >= since)
    if actor is not None:
        query = query.where(audit_log.c.actor == actor)
    if action is not None:
        query = query.where(audit_log.c.action == action)
    with read_transaction(engine) as connection:
        rows = connection.execute(query).all()
    return [
        Entry(row.at, row.actor, row.action, row.subject, {} if row.detail is None else json.loads(row.detail))
        for row in rows
    ]


def _dispositions(engine: Engine, since: datetime | None, actor: str | None, limit: int) -> dict[str, Entry]:
    table = dispositions.c
    query = select(dispositions).order_by(table.decided_at.desc(), table.disposition_id).limit(limit)
    if since is not None:
        query = query.where(table.decided_at >= since)
    if actor is not None:
        query = query.where(table.reviewer == actor)
    with read_transaction(engine) as connection:
        rows = connection.execute(query).mappings().all()
    names = ("disposition", "inference_id", "corrected_class", "note")
    return {
        row["disposition_id"]: Entry(
            row["decided_at"],
            row["reviewer"],
            Action.REVIEW_RECORDED,
            row["inspection_id"],
            {name: row[name] for name in names if row[name] is not None},
        )
        for row in rows
    }


def _promotions(history: History | None, since: datetime | None, actor: str | None) -> list[Entry]:
    promotions: Iterable[Promotion] = () if history is None else (*history.promotions, *history.failed)
    return [
        Entry(p.at, p.by, Action.MODEL_PROMOTED, p.alias, _detail_of(p))
        for p in promotions
        if (since is None or p.at >= since) and actor in (None, p.by)
    ]


def _detail_of(promotion: Promotion) -> dict[str, Any]:
    told = promotion.model_dump(include={"alias", "from_version", "to_version", "reason", "failed"})
    return {name: value for name, value in told.items() if value not in (None, "")}


def _told_twice(logged: list[Entry], reviewed: dict[str, Entry], promoted: list[Entry]) -> list[Entry]:
    """What only the log tells; what it adds to the others is put there."""
    only = []
    for entry in logged:
        if entry.action == Action.REVIEW_RECORDED:
            same = [key for key in entry.detail.get("disposition_ids", ()) if key in reviewed]
            for key in same:
                reviewed[key] = _with(reviewed[key], entry)
        elif entry.action == Action.MODEL_PROMOTED:
            same = [position for position, other in enumerate(promoted) if _is_same(entry, other)][-1:]
            for position in same:
                promoted[position] = _with(promoted[position], entry, subject=entry.subject)
        else:
            same = []
        if not same:
            only.append(entry)
    return only


def _is_same(entry: Entry, promotion: Entry) -> bool:
    return (
        timedelta(0) <= entry.at - promotion.at <= _SAME_PROMOTION
        and entry.actor == promotion.actor
        and all(entry.detail.get(name) == promotion.detail[name] for name in ("alias", "to_version"))
    )


def _with(entry: Entry, log: Entry, **changes: Any) -> Entry:
    told = {name: value for name, value in log.detail.items() if name in ("key_id", "address")}
    return replace(entry, detail={**entry.detail, **told}, **changes)
