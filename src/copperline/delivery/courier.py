"""The courier: takes events out of the outbox and hands them to the sinks, in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from sqlalchemy import Engine

from copperline.delivery.opening import open_sink
from copperline.delivery.sinks import Sink
from copperline.errors import CopperlineError
from copperline.settings import Settings
from copperline.warehouse.outbox import Claim, Failure, backoff, claim_due, prune_delivered, settle

_log = logging.getLogger(__name__)

# Longest wait after a try that failed before the sink is tried with another event.
_LONGEST_PAUSE_S = 60.0
_LONGEST_ASKED_S = 3600.0
_SHORTEST_LEASE_S = 30.0
# What became of events is written at least so often, so that little is sent again if this process dies.
_SETTLED_EVERY_S = 2.0
_PRUNED_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a round came to.

    Attributes:
        delivered, failed: events; failed ones are tried again, or were given up (`given_up`, part of them).
        reason: why the last of them failed; None: none did.
        stuck: whether a try failed that may succeed later: the sink is better left alone for a while.
        retry_after_s: what the sink asked for, seconds.
    """

    delivered: int = 0
    failed: int = 0
    given_up: int = 0
    reason: str | None = None
    stuck: bool = False
    retry_after_s: float | None = None

    def __add__(self, later: Delivered) -> Delivered:
        return Delivered(
            self.delivered + later.delivered,
            self.failed + later.failed,
            self.given_up + later.given_up,
            later.reason or self.reason,
            later.stuck or self.stuck,
            later.retry_after_s if later.retry_after_s is not None else self.retry_after_s,
        )


class Courier:
    """Delivers events while it runs: a thread for each sink, so that one that is slow or gone holds up no other.

    Any number of couriers may run, in one process or several: a lease in the warehouse gives each event to one of them
    at a time. Each event arrives at least once, and mostly in order of time; one whose try failed comes later.

    Args:
        sinks: None: those of the settings.
        poll_s: how often the outbox is looked into, seconds.

    Raises:
        SettingsError: a sink of the settings cannot be used.
    """

    def __init__(
        self, engine: Engine, settings: Settings, sinks: Sequence[Sink] | None = None, *, poll_s: float = 0.5
    ) -> None:
        self._engine = engine
        self._settings = settings
        self.sinks = tuple(sinks) if sinks is not None else open_sinks(settings, engine)
        self._poll_s = poll_s
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins to deliver; nothing happens if there is no sink."""
        if self._threads or not self.sinks:
            return
        self._stopping.clear()
        works = [(f"deliver to {sink.name}", self._serve, (sink,)) for sink in self.sinks]
        self._threads = [threading.Thread(target=work, args=args, name=name, daemon=True) for name, work, args in works]
        self._threads.append(threading.Thread(target=self._prune, name="prune delivered events", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 15.0) -> bool:
        """Ends after what is being sent; what is claimed and not sent is given back at once.

        Returns:
            Whether all threads have ended. A sink that hangs is left: what it was sent is claimed until its lease ends.
        """
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        ended = not any(thread.is_alive() for thread in self._threads)
        self._threads = []
        return ended

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def deliver_now(self, sink: Sink) -> Delivered | None:
        """Hands a sink all that is due, until nothing is or a try fails; None: another process delivers to it.

        Raises:
            WarehouseError: the outbox cannot be read or written.
        """
        if not sink.ready():
            return None
        done = Delivered()
        while not self._stopping.is_set():
            batch = self._round(sink)
            if batch is None:
                break
            done += batch
            if batch.stuck:
                break
        return done

    def _serve(self, sink: Sink) -> None:
        failures = 0
        try:
            while not self._stopping.is_set():
                pause = self._poll_s
                try:
                    done = self._round(sink) if sink.ready() else None
                except CopperlineError as error:  # the database or the disk, not the sink
                    failures += 1
                    pause = self._pause_after(sink, failures, Delivered(reason=str(error), stuck=True))
                else:
                    if done is not None and not done.stuck:
                        failures, pause = 0, sink.pause_s
                    elif done is not None:
                        # One that got through: it was the event, not the sink.
                        failures = 1 if done.delivered else failures + 1
                        pause = self._pause_after(sink, failures, done)
                self._stopping.wait(pause)
        finally:
            sink.close()

    def _round(self, sink: Sink) -> Delivered | None:
        """Claims a batch and sends it up to the first try that fails; None: nothing was due."""
        lease = max(3 * sink.send_s, _SHORTEST_LEASE_S)
        ends = time.monotonic() + lease - sink.send_s
        claims = claim_due(self._engine, sink.name, limit=sink.batch, lease=timedelta(seconds=lease))
        if not claims:
            return None
        waiting = {claim.event.event_id: claim for claim in claims}
        ledger = _Ledger(self._engine, sink)
        try:
            for event_id, failure in sink.send([claim.event for claim in claims]):
                claim = waiting.pop(event_id)
                ledger.note(claim, failure)
                if failure is not None and not failure.final:
                    break
                if self._stopping.is_set() or time.monotonic() > ends:
                    break
        except CopperlineError:
            raise
        except Exception as error:  # noqa: BLE001  # logged whole; a mistake must not hold up the events behind it
            _log.exception("sink %s failed in a way that it must not", sink.name)
            if waiting:
                claim = waiting.pop(next(iter(waiting)))
                ledger.note(claim, Failure(f"a mistake in Copperline, see its log: {type(error).__name__}"))
        finally:
            ledger.settle(released=list(waiting.values()))
        return ledger.total

    def _pause_after(self, sink: Sink, failures: int, done: Delivered) -> float:
        pause = min(backoff(failures).total_seconds(), _LONGEST_PAUSE_S)
        # Who asks for time means all events.
        pause = max(pause, min(done.retry_after_s or 0.0, _LONGEST_ASKED_S))
        _log.warning("sink %s: %s; tried again in %.1f s", sink.name, done.reason, pause)
        return pause

    def _prune(self) -> None:
        while not self._stopping.is_set():
            before = datetime.now(UTC) - timedelta(days=self._settings.events_kept_days)
            try:
                prune_delivered(self._engine, before)
            except CopperlineError as error:
                _log.warning("delivered events are not removed: %s", error)
            self._stopping.wait(_PRUNED_EVERY_S)


class _Ledger:
    """What became of the claims of a round, written to the outbox some at a time."""

    def __init__(self, engine: Engine, sink: Sink) -> None:
        self._engine = engine
        self._sink = sink
        self._delivered: list[Claim] = []
        self._failed: list[tuple[Claim, Failure]] = []
        self._written_at = time.monotonic()
        self.total = Delivered()

    def note(self, claim: Claim, failure: Failure | None) -> None:
        if failure is None:
            self._delivered.append(claim)
        else:
            self._failed.append((claim, failure))
        if time.monotonic() - self._written_at > _SETTLED_EVERY_S:
            self.settle()

    def settle(self, released: Sequence[Claim] = ()) -> None:
        given_up = settle(
            self._engine,
            delivered=self._delivered,
            failed=self._failed,
            released=released,
            max_attempts=self._sink.max_attempts,
        )
        last = next((failure for _, failure in reversed(self._failed)), None)
        self.total += Delivered(
            len(self._delivered),
            len(self._failed),
            given_up,
            None if last is None else last.reason,
            any(not failure.final for _, failure in self._failed),
            None if last is None else last.retry_after_s,
        )
        self._delivered, self._failed = [], []
        self._written_at = time.monotonic()


def open_sinks(settings: Settings, engine: Engine) -> tuple[Sink, ...]:
    """Those of the settings. Raises as `open_sink`."""
    return tuple(open_sink(sink, settings, engine) for sink in settings.sinks)
