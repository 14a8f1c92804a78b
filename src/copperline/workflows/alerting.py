"""The watch over a plant's alerts: evaluates them in the background, opens and closes what is to be."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Self

from sqlalchemy import Engine

from copperline.errors import CopperlineError
from copperline.settings import Settings
from copperline.warehouse.alerts import CLOSED, OPENED, AlertChanges, keep_alerts
from copperline.workflows.alert_conditions import Baselines, evaluate

_log = logging.getLogger(__name__)


class AlertWatch:
    """Evaluates the alerts every `alert_every_s` seconds in a thread, from `start` to `stop`.

    Several may run, in any number of processes: each alert is opened and closed once.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._baselines = Baselines(settings)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins with an evaluation at once."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ends after the evaluation that is running."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def check(self, now: datetime | None = None) -> AlertChanges:
        """Evaluates once, and opens and closes what is to be.

        Args:
            now: with its zone; None: this machine's clock.

        Raises:
            WarehouseError: the warehouse cannot be read or written.
        """
        moment = datetime.now(UTC) if now is None else now
        found = evaluate(self._engine, self._settings, moment, self._baselines)
        return keep_alerts(
            self._engine,
            found.holding,
            at=moment,
            evaluated=found.evaluated,
            clear_after=timedelta(minutes=self._settings.alert_clear_minutes),
            sinks={OPENED: self._settings.sinks_for("alert.opened"), CLOSED: self._settings.sinks_for("alert.closed")},
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                changes = self.check()
            except CopperlineError as error:
                _log.warning("alerts are not evaluated: %s", error)
            except Exception:  # noqa: BLE001  # logged whole; a mistake must not end the watch without a word
                _log.exception("alerts are not evaluated")
            else:
                for word, alerts in (("opened", changes.opened), ("closed", changes.closed)):
                    for alert in alerts:
                        _log.warning("alert %s: %s", word, alert.summary)
            self._stopping.wait(self._settings.alert_every_s)
