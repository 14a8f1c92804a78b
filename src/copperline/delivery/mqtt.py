"""MQTT with QoS 1: an event is delivered when the broker has acknowledged it (PUBACK)."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from filelock import FileLock, Timeout
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from copperline.delivery.messages import Message, message_of
from copperline.delivery.sinks import Outcome, secret_of
from copperline.errors import DataError
from copperline.files import unwritable
from copperline.sink_settings import MqttSink
from copperline.warehouse import Event
from copperline.warehouse.outbox import Failure

_log = logging.getLogger(__name__)

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
_KEEP_ALIVE_S = 30
_LOST = -1


class Mqtt:
    """A sink; see `copperline.delivery.sinks.Sink`.

    A broker throws a client off when another comes with the same id. So of the processes of one workspace only one
    sends to it, by a lock that ends with the process; another takes over then. It connects when there is something to
    send, and stays connected; the last will says `offline` on the status topic when it is gone.

    Args:
        workspace: where the lock is.
        probe: for one message: another client id, without lock, status and will.
    """

    batch = 100
    pause_s = 0.0

    def __init__(self, settings: MqttSink, workspace: Path, *, probe: bool = False) -> None:
        self.name = settings.name
        self.max_attempts = settings.max_attempts
        self.send_s = 3 * settings.timeout_s  # to connect, to be accepted, to be acknowledged
        self._settings = settings
        self._password = secret_of(settings.password_env, self.name)
        self._probe = probe
        client_id = settings.client_id or f"copperline-{settings.name}-{socket.gethostname()}"
        self._client_id = f"{client_id}-test" if probe else client_id
        self._status_topic = settings.status_topic or f"copperline/status/{settings.name}"
        self._lock_file = workspace.absolute() / "delivery" / f"{settings.name}.lock"
        self._lock = FileLock(self._lock_file, thread_local=False)
        self._client: paho.Client | None = None
        self._connected = threading.Event()
        self._refusal: str | None = None
        self._acknowledged: queue.SimpleQueue[tuple[int, str | None]] = queue.SimpleQueue()

    def ready(self) -> bool:
        if self._probe or self._lock.is_locked:
            return True
        try:
            self._lock_file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise unwritable(self._lock_file, error) from error
        return True

    def close(self) -> None:
        if self._client is not None and self._client.is_connected() and not self._probe:
            told = self._client.publish(self._status_topic, "offline", qos=1, retain=True)
            try:
                told.wait_for_publish(self._settings.timeout_s)
            except (RuntimeError, ValueError) as error:
                _log.info("sink %s: the status was not told: %s", self.name, error)
        self._drop()
        self._lock.release()

    def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
        messages = []
        for event in events:
            try:
                messages.append(message_of(event, self._settings.format))
            except DataError as error:
                yield event.event_id, Failure(str(error), final=True)
        if not messages:
            return
        failure = self._connect()
        if failure is not None:
            yield messages[0].event_id, failure
            return
        yield from self._publish(messages)

    def _publish(self, messages: Sequence[Message]) -> Iterator[tuple[str, Outcome]]:
        assert self._client is not None
        waiting: dict[int, str] = {}
        refused: list[tuple[str, Failure]] = []
        for message in messages:
            told = self._client.publish(topic_of(self._settings.topic, message), message.body, qos=1)
            if told.rc in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN):
                waiting[told.mid] = message.event_id
        deadline = time.monotonic() + self._settings.timeout_s
        while waiting:
            try:
                mid, refusal = self._acknowledged.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                mid, refusal = _LOST, f"no PUBACK within {self._settings.timeout_s:g} s"
            if mid == _LOST:
                # What is not acknowledged is sent again, by a new connection.
                self._drop()
                yield next(iter(waiting.values())), Failure(refusal or "the connection was lost")
                return
            event_id = waiting.pop(mid, None)
            if event_id is None:
                continue
            deadline = time.monotonic() + self._settings.timeout_s
            if refusal is None:
                yield event_id, None
            else:  # at the end: whoever asks stops at the first failure, and the others are under way
                refused.append((event_id, Failure(f"the broker refused it: {refusal}")))
        yield from refused

    def _connect(self) -> Outcome:
        if self._client is not None and self._client.is_connected():
            return None
        self._drop()
        parts = urlsplit(self._settings.url)
        self._connected.clear()
        self._refusal = None
        self._acknowledged = queue.SimpleQueue()
        try:
            self._client = self._new_client(parts.scheme == "mqtts")
            self._client.connect(str(parts.hostname), parts.port or _PORTS[parts.scheme], _KEEP_ALIVE_S)
        except (OSError, ValueError) as error:
            self._drop()
            return Failure(f"no connection: {getattr(error, 'strerror', None) or error or type(error).__name__}")
        self._client.loop_start()
        answered = self._connected.wait(self._settings.timeout_s)
        if answered and self._refusal is None:
            return None
        self._drop()
        return Failure(self._refusal or f"no answer of the broker within {self._settings.timeout_s:g} s")

    def _new_client(self, encrypted: bool) -> paho.Client:
        # Every connection has its own queue, so that a late word of an old one is not taken for one of the new.
        acknowledged = self._acknowledged
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=_VERSIONS[self._settings.protocol],
            reconnect_on_failure=False,
        )
        client.connect_timeout = self._settings.timeout_s
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._password)
        if encrypted:
            own = self._settings
            trusted, certificate, key = (
                None if f is None else str(f) for f in (own.ca_file, own.certificate_file, own.key_file)
            )
            client.tls_set(trusted, certificate, key)
        if not self._probe:
            client.will_set(self._status_topic, "offline", qos=1, retain=True)

        def on_connect(client: paho.Client, data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
            if reason.is_failure:
                self._refusal = f"the broker refused the connection: {reason}"
            elif not self._probe:
                client.publish(self._status_topic, "online", qos=1, retain=True)
            self._connected.set()

        def on_publish(client: paho.Client, data: Any, mid: int, reason: ReasonCode, properties: Any) -> None:
            acknowledged.put((mid, str(reason) if reason.is_failure else None))

        def on_disconnect(client: paho.Client, data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
            acknowledged.put((_LOST, f"the connection was lost: {reason}"))

        client.on_connect, client.on_publish, client.on_disconnect = on_connect, on_publish, on_disconnect
        return client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()


def topic_of(template: str, message: Message) -> str:
    """The topic of a message; what a line or a station is called cannot make it another one.

    >>> opened = Message("E1", "alert.opened", "a/b", "", "", b"")
    >>> topic_of("plant/{line_id}/{subject}/{event_type}", opened)
    'plant/unknown/a_b/alert.opened'
    """
    names = ("line_id", "station_id", "event_type", "subject")
    return template.format(**{name: _level(getattr(message, name)) for name in names})


def _level(text: str) -> str:
    cleaned = "".join("_" if c in "/+#$" or ord(c) < 32 or 0x7F <= ord(c) < 0xA0 else c for c in text)
    return cleaned.encode(errors="replace").decode() or "unknown"
