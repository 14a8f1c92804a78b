"""The `[[sinks]]` tables of copperline.toml: who is told of what happens on the line.

Secrets are named by variables of the environment, so that none stands in a file or a log.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

EventType = Literal["inspection.completed", "alert.opened", "alert.closed"]
EVENT_TYPES: tuple[EventType, ...] = ("inspection.completed", "alert.opened", "alert.closed")
BodyFormat = Literal["copperline", "cfx"]

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Sink(BaseModel):
    """What all sinks have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Unique; kept with each delivery")
    max_attempts: int = Field(100, ge=1, description="Tries of one event before it is given up; 100 are about 4 days")


class _MessageSink(_Sink):
    """A sink that gets each event as a message."""

    events: tuple[EventType, ...] = Field(EVENT_TYPES, min_length=1, description="What it is told of")
    format: BodyFormat = Field("copperline", description="Form of the messages; cfx: of inspections alone")

    @model_validator(mode="before")
    @classmethod
    def _cfx_tells_of_inspections(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("format") == "cfx" and "events" not in given:
            return {**given, "events": ("inspection.completed",)}
        return given

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.format == "cfx" and set(self.events) != {"inspection.completed"}:
            raise ValueError(
                f'expected events = ["inspection.completed"] with format = "cfx", found {", ".join(self.events)}'
            )
        return self


class WebhookSink(_MessageSink):
    """HTTP POST, signed by the Standard Webhooks convention."""

    kind: Literal["webhook"]
    url: str = Field(description="http or https, without a password")
    secret_env: Variable | None = Field(None, description="Variable with the secret that signs; none: not signed")
    previous_secret_env: Variable | None = Field(None, description="Variable with the secret before, while it changes")
    token_env: Variable | None = Field(None, description="Variable with a bearer token")
    timeout_s: float = Field(10.0, gt=0, le=60, description="Longest wait for the connection, and for an answer")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return _checked_url(url, ("http", "https"))

    @model_validator(mode="after")
    def _previous_has_a_present(self) -> Self:
        if self.previous_secret_env is not None and self.secret_env is None:
            raise ValueError("expected secret_env beside previous_secret_env, found none")
        return self


class MqttSink(_MessageSink):
    """An MQTT broker, QoS 1."""

    kind: Literal["mqtt"]
    url: str = Field(description="mqtt://HOST[:1883] or mqtts://HOST[:8883] (TLS)")
    topic: str = Field("copperline/{line_id}/{station_id}/{event_type}", description="Of each message")
    status_topic: str | None = Field(None, description="online or offline, retained; default: copperline/status/NAME")
    client_id: str | None = Field(None, description="The same at every start; default: of the sink and the machine")
    protocol: Literal["5", "3.1.1"] = Field("5", description="Version of MQTT; 3.1.1 cannot tell of a refused message")
    username: str | None = None
    password_env: Variable | None = Field(None, description="Variable with the password")
    ca_file: Path | None = Field(None, description="Certificates to trust; default: the system's")
    certificate_file: Path | None = Field(None, description="This client's certificate")
    key_file: Path | None = Field(None, description="Its key")
    timeout_s: float = Field(10.0, gt=0, le=60, description="Longest wait for the connection and for PUBACK")

    @field_validator("url")
    @classmethod
    def _is_mqtt(cls, url: str) -> str:
        checked = _checked_url(url, ("mqtt", "mqtts"))
        if urlsplit(checked).path not in ("", "/"):
            raise ValueError("expected a URL without a path")
        return checked

    @field_validator("topic", "status_topic")
    @classmethod
    def _is_topic(cls, topic: str | None) -> str | None:
        if topic is None:
            return None
        names = dict.fromkeys(("line_id", "station_id", "event_type", "subject"), "x")
        try:
            filled = topic.format(**names)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(f"expected {{{'}, {'.join(names)}}} and no other name in the topic") from error
        if not filled or any(c in "+#" or ord(c) < 32 for c in filled):
            raise ValueError("expected a topic without +, # and control characters")
        return topic

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("expected certificate_file and key_file together, found one of them")
        if self.password_env is not None and self.username is None:
            raise ValueError("expected username beside password_env, found none")
        return self


class FilesSink(_Sink):
    """Tables of inspections and detections as files, one for each UTC day."""

    kind: Literal["files"]
    folder: Path = Field(description="Folder of the files")
    table_format: Literal["csv", "parquet"] = Field("csv", description="Form of the files")
    every_s: float = Field(60.0, ge=0, description="At least so many seconds from one writing to the next")

    @property
    def events(self) -> tuple[EventType, ...]:
        """An alert is in neither table."""
        return ("inspection.completed",)


class MessageFilesSink(_MessageSink):
    """One JSON file for each event, named by its event_id."""

    kind: Literal["message_files"]
    folder: Path = Field(description="Folder of the files")


SinkSettings = Annotated[WebhookSink | MqttSink | FilesSink | MessageFilesSink, Field(discriminator="kind")]


def require_distinct(sinks: Iterable[SinkSettings]) -> None:
    """Raises ValueError if two sinks have one name: what is still to be delivered is kept by it."""
    names: set[str] = set()
    for sink in sinks:
        if sink.name in names:
            raise ValueError(f"expected sinks of different names, found {sink.name!r} twice")
        names.add(sink.name)


def sinks_taking(sinks: Iterable[SinkSettings], event_type: EventType) -> tuple[str, ...]:
    """Names of the sinks that are told of such events."""
    return tuple(sink.name for sink in sinks if event_type in sink.events)


def _checked_url(url: str, schemes: tuple[str, ...]) -> str:
    """The error never repeats the URL, which may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError("expected a URL with a host and a valid port") from error
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"expected {' or '.join(f'{scheme}://HOST' for scheme in schemes)}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected a URL without user and password: name their variables of the environment instead")
    return url
