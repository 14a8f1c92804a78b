"""Connections that bring nothing, or too much before a request has begun: uvicorn's HTTP protocol with limits.

uvicorn waits for ever for the end of the headers, keeps headers of any size, and has no limit to the connections of one
address. After an answer that came before the end of the body it takes the rest without end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from copperline.service.buckets import network_of
from copperline.service.problems import MEDIA_TYPE, Problem
from copperline.settings import Settings

_logger = logging.getLogger("copperline.service")
_SECONDS_BETWEEN_LOGS = 60.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Attributes:
    connections, per_address: open at once. IPv6 addresses count by their first 64 bits.
    head_s: seconds from the first byte, or from the connection, to the end of the headers.
    head_bytes: of all headers; url_bytes: of the URL; headers: their number.
    pipelined: requests that may wait for the one before them on a connection.
    linger_s: seconds for the rest of a body after its answer.
    stalled_s: seconds in which a client reads nothing of an answer.
    """

    connections: int = 512
    per_address: int = 128
    head_s: float = 10.0
    head_bytes: int = 32 * 1024
    url_bytes: int = 8 * 1024
    headers: int = 100
    pipelined: int = 16
    linger_s: float = 5.0
    stalled_s: float = 30.0

    @classmethod
    def of(cls, settings: Settings) -> ConnectionLimits:
        return cls(settings.service_max_connections, settings.service_max_connections_per_address)


def limited_protocol(limits: ConnectionLimits | None = None) -> type[asyncio.Protocol]:
    """The class for `uvicorn.Config(http=...)`; all its connections count together, so make one for each server."""
    limits = limits or ConnectionLimits()
    return type("Limited", (LimitedProtocol,), {"limits": limits, "open": OpenConnections(limits)})


class OpenConnections:
    """How many there are, in all and of each address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._of: Counter[str] = Counter()
        self._total = 0
        self._logged_at = -_SECONDS_BETWEEN_LOGS

    def enter(self, address: str) -> bool:
        """Counts one more; False, and it is not counted, if there are too many."""
        if self._total >= self._limits.connections or self._of[address] >= self._limits.per_address:
            if time.monotonic() - self._logged_at >= _SECONDS_BETWEEN_LOGS:
                self._logged_at = time.monotonic()
                _logger.warning(
                    "connections are turned away: %d are open, %d of them from %s",
                    self._total, self._of[address], address,
                )  # fmt: skip
            if not self._of[address]:
                del self._of[address]
            return False
        self._total += 1
        self._of[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._total -= 1
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Where it is: between requests (`idle`), in the `head` of one, or in its `body`."""

    limits: ClassVar[ConnectionLimits]
    open: ClassVar[OpenConnections]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._at: Literal["idle", "head", "body"] = "idle"
        self._ended = False  # a request, in the data that is being parsed
        self._address: str | None = None
        self._refusal: Problem | None = None
        self._turned_away = False
        self._url_bytes = self._header_bytes = self._header_count = self._unfinished_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._stalled_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = network_of(self.client[0]) if self.client else "unknown"
        if self.open.enter(address):
            self._address = address
            self._head_timer = self.loop.call_later(self.limits.head_s, self._head_too_slow)
        else:
            self._turn_away(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._linger_timer, self._stalled_timer):
            if timer is not None:
                timer.cancel()
        if self._address is not None:
            self.open.leave(self._address)
            self._address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._turned_away:
            return
        before, self._ended = self._at, False
        super().data_received(data)
        if self._turned_away or self.transport.is_closing():
            return
        if self._at == "head" and before != "body" and not self._ended:
            # All of `data` belongs to this head; the parser tells of a header only at its end.
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > self.limits.head_bytes:
                self._turn_away(_too_much("headers", self.limits.head_bytes, 431))
                return
        answered = self.cycle is None or self.cycle.response_complete
        if self._head_timer is None and (self._at == "head" or (self._at == "idle" and answered)):
            # Also for empty lines between requests, which end uvicorn's time-out of idle connections.
            self._head_timer = self.loop.call_later(self.limits.head_s, self._head_too_slow)

    def on_message_begin(self) -> None:
        self._at = "head"
        self._url_bytes = self._header_bytes = self._header_count = self._unfinished_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._url_bytes += len(url)
        if self._url_bytes > self.limits.url_bytes:
            self._stop(_too_much("a URL", self.limits.url_bytes, 414))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        self._header_count += 1
        if self._header_count > self.limits.headers:
            self._stop(_too_much("headers", self.limits.headers, 431, "of them"))
        if self._header_bytes > self.limits.head_bytes:
            self._stop(_too_much("headers", self.limits.head_bytes, 431))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._at = "body"
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if len(self.pipeline) >= self.limits.pipelined:
            self._stop(_too_much("requests on one connection", self.limits.pipelined, 429, "that wait"))
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._at, self._ended = "idle", True
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._at == "body" and self.cycle.response_complete and self._linger_timer is None:
            self._linger_timer = self.loop.call_later(self.limits.linger_s, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled_timer is None:
            self._stalled_timer = self.loop.call_later(self.limits.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled_timer is not None:
            self._stalled_timer.cancel()
            self._stalled_timer = None

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser or one of the methods above has failed."""
        self._turn_away(self._refusal or Problem(400, "no-http", "The request is no HTTP", msg))

    def _stop(self, problem: Problem) -> None:
        """Ends the parsing; only from its callbacks."""
        self._refusal = problem
        raise ValueError(problem.detail)

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self._at == "idle":  # nothing was asked, so nothing is answered
            self.transport.close()
        else:
            detail = f"expected the end of the headers within {self.limits.head_s:g} s"
            self._turn_away(Problem(408, "head-too-slow", "The headers came too slowly", detail))

    def _turn_away(self, problem: Problem) -> None:
        """Ends the connection, with the problem where it cannot be taken for the answer to another request."""
        self._turned_away = True
        if self.transport.is_closing():
            return
        if not self._may_answer():
            self.transport.close()
            return
        response = problem.response()
        lines = [
            STATUS_LINE[problem.status],
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(response.body)}\r\nconnection: close\r\n".encode(),
            *(f"{name}: {value}\r\n".encode() for name, value in problem.headers.items()),
            b"\r\n",
            bytes(response.body),
        ]
        self.transport.write(b"".join(lines))
        self.transport.close()

    def _may_answer(self) -> bool:
        cycle = self.cycle  # of the request whose headers came last
        if cycle is None or cycle.response_complete:
            return True
        return self._at == "body" and not self.pipeline and not cycle.response_started


_TOO_MANY = Problem(
    503,
    "too-many-connections",
    "Too many connections",
    "expected fewer open connections; use one again instead of opening more, or raise service_max_connections or "
    "service_max_connections_per_address",
    headers={"Retry-After": "1"},
)


def _too_much(what: str, most: int, status: int, unit: str = "bytes") -> Problem:
    return Problem(status, "head-too-large", "The request is too large", f"expected {what} of at most {most:,} {unit}")
