"""What a sink is, and opening those of the settings."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import Engine

from copperline.errors import SettingsError
from copperline.settings import Settings
from copperline.sink_settings import FilesSink, MessageFilesSink, MqttSink, SinkSettings, WebhookSink
from copperline.warehouse import Event
from copperline.warehouse.outbox import Failure

Outcome = Failure | None
"""What became of one event; None: the sink has it."""


class Sink(Protocol):
    """Somebody who is told of events.

    Attributes:
        batch: how many events it takes at once.
        send_s: how long sending may take at most until it is known what became of one more event, seconds.
        pause_s: seconds from one batch to the next.
    """

    name: str
    max_attempts: int
    batch: int
    send_s: float
    pause_s: float

    def ready(self) -> bool:
        """Whether this process may send now; False: another one does. Nothing is claimed then."""
        ...

    def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
        """Sends them, and gives (event_id, what became of it) as soon as it is known, in any order.

        Whoever asks may stop asking: what it has not been told of counts as not tried. Raises nothing that the sink
        on the other side can cause.
        """
        ...

    def close(self) -> None:
        """Gives back what it holds; it may be used again."""
        ...


def open_sink(settings: SinkSettings, plant: Settings, engine: Engine, *, probe: bool = False) -> Sink:
    """The sink of one table of the settings.

    Args:
        probe: for one message beside a courier that may be running.

    Raises:
        SettingsError: a variable that it names is not set or not usable.
        ModuleNotFoundError: it needs an extra that is not installed.
    """
    if isinstance(settings, MqttSink):
        from copperline.delivery.mqtt import Mqtt

        return Mqtt(settings, plant.workspace, probe=probe)
    if isinstance(settings, FilesSink):
        from copperline.delivery.tables_by_day import TablesByDay

        return TablesByDay(settings, engine)
    if isinstance(settings, MessageFilesSink):
        from copperline.delivery.message_files import MessageFiles

        return MessageFiles(settings)
    from copperline.delivery.webhook import Webhook

    return Webhook(settings)


def destination(settings: SinkSettings) -> str:
    """Where a sink's events go, for people.

    >>> destination(WebhookSink(kind="webhook", name="mes", url="https://mes.example/in?key=1"))
    'https://mes.example/in'
    """
    if isinstance(settings, FilesSink | MessageFilesSink):
        return str(settings.folder)
    # Without the query, in which some put a key.
    return settings.url.partition("?")[0]


def trial_event(settings: SinkSettings) -> Event:
    """An event that tells of nothing, to try a sink with; in the form of CFX it is of a simulated board."""
    now = datetime.now(UTC)
    payload: dict[str, object] = {"message": "Copperline was asked to try this sink; nothing happened on the line."}
    if isinstance(settings, MessageFilesSink | MqttSink | WebhookSink) and settings.format == "cfx":
        payload = {
            "inspection_id": str(uuid.uuid4()),
            "board_id": "COPPERLINE-TRIAL",
            "inspected_at": now.isoformat(),
            "station_id": "trial",
            "simulated": True,
            "call": "PASS",
            "model": {"name": "none", "version": "0"},
        }
    return Event(str(uuid.uuid4()), "sink.trial", now, settings.name, json.dumps(payload))


def secret_of(variable: str | None, sink: str) -> str | None:
    """The value of a variable that the settings name; None: they name none. Raises SettingsError if it is not set."""
    if variable is None:
        return None
    value = os.environ.get(variable, "")
    if not value:
        raise SettingsError(
            f"sink {sink!r}: expected the variable {variable} of the environment, found none",
            fix="set it where Copperline is started, or name another in copperline.toml",
        )
    return value
