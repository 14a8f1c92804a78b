"""The sinks of the settings, opened; each kind is imported when there is one."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from sqlalchemy import Engine

from copperline.delivery.sinks import Sink
from copperline.settings import Settings
from copperline.sink_settings import FilesSink, MessageFilesSink, MqttSink, SinkSettings, WebhookSink
from copperline.warehouse import Event


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
