"""What the gate tells the audit log: uses and refusals, added up so that a flood of requests is not one of rows."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from copperline.access import Action, Key, record, record_in, see_key_used
from copperline.errors import CopperlineError
from copperline.service.buckets import network_of
from copperline.warehouse import write_transaction

_logger = logging.getLogger("copperline.service")

FLUSH_SECONDS = 60.0
# Different callers in a minute, and keys with addresses in an hour, that are told apart.
_MOST_CALLERS = 100
_MOST_USES = 4096
_OTHERS = ("others", "several addresses", "too many to tell apart")


@dataclass(slots=True)
class _Refused:
    count: int
    first_at: datetime


class AccessTrail:
    """Uses of keys and refusals, written by threads beside the requests.

    An entry that the database does not take is told in the program's log, and no request fails for it. What was refused
    in the last minute is lost if the process is killed.
    """

    def __init__(self, engine: Engine, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._engine = engine
        self._flush_seconds = flush_seconds
        self._refused: dict[tuple[str, str, str], _Refused] = {}
        self._hours: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._minutes: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._flush: asyncio.Task[None] | None = None

    def used(self, key: Key, address: str) -> None:
        """Once an hour for a key and address an entry, once a minute for a key its `last_used_at`."""
        now = datetime.now(UTC)
        minute = now.replace(second=0, microsecond=0)
        if self._minutes.get(key.key_id) != minute:
            self._minutes[key.key_id] = minute
            self._write(lambda: see_key_used(self._engine, key.key_id, now))
        hour = minute.replace(minute=0)
        if self._hours.get((key.key_id, address)) != hour:
            self._hours[(key.key_id, address)] = hour
            self._hours.move_to_end((key.key_id, address))
            if len(self._hours) > _MOST_USES:
                self._hours.popitem(last=False)
            detail = {"address": address}
            self._write(lambda: record(self._engine, key.name, Action.KEY_USED, key.key_id, detail, at=now))

    def refused(self, actor: str, address: str, why: str) -> None:
        """Counts it; one entry for each actor, address (IPv6: its /64) and reason is written every `flush_seconds`.

        Args:
            actor: nothing that a stranger can choose at will, so that the table does not grow at theirs.
        """
        caller = (actor, network_of(address), why)
        if caller not in self._refused and len(self._refused) >= _MOST_CALLERS:
            caller = _OTHERS
        refused = self._refused.setdefault(caller, _Refused(0, datetime.now(UTC)))
        refused.count += 1
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._flush_later())

    async def close(self) -> None:
        """Writes what is left, and waits until all is written."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        self._write_refused()
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _flush_later(self) -> None:
        await asyncio.sleep(self._flush_seconds)
        self._flush = None
        self._write_refused()

    def _write_refused(self) -> None:
        refused, self._refused = self._refused, {}
        if refused:
            self._write(lambda: self._record_refused(refused))

    def _record_refused(self, refused: dict[tuple[str, str, str], _Refused]) -> None:
        with write_transaction(self._engine) as connection:
            for (actor, address, why), counted in refused.items():
                detail = {"why": why, "count": counted.count}
                record_in(connection, actor, Action.ACCESS_REFUSED, address, detail, at=counted.first_at)

    def _write(self, what: Callable[[], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._written(what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _written(self, what: Callable[[], None]) -> None:
        try:
            await run_in_threadpool(what)
        except CopperlineError as error:
            _logger.error("not in the audit log: %s", error)
