"""How much a request may bring, and how slowly: bodies and forms.

What concerns the connection (headers that do not end, too many connections) is in `slow_clients.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from copperline.service.problems import Problem, problem_of
from copperline.settings import Settings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Attributes:
    max_bytes: of a body.
    max_text_bytes: of JSON and of forms in a URL's form, which are held in memory whole.
    grace_s: seconds that every body may take.
    slowest: bytes a second that a body must bring on average after that. Time in which the service itself does not
        read is not counted.
    pause_s: seconds in which something must come, however fast the body was before.
    linger_s: seconds for which a body that was refused by its size is still taken and thrown away: a client that is
        cut off while it sends does not read the answer.
    """

    max_bytes: int = 64 * MIB
    max_text_bytes: int = MIB
    grace_s: float = 10.0
    slowest: int = 16 * 1024
    pause_s: float = 30.0
    linger_s: float = 3.0

    @classmethod
    def of(cls, settings: Settings) -> BodyLimits:
        return cls(max_bytes=settings.service_max_mib * MIB)


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Attributes:
    files: parts with a file name.
    fields: other parts.
    field_bytes: of one other part. The size of files is limited by that of the body.
    """

    files: int = 2
    fields: int = 32
    field_bytes: int = 64 * 1024


class RequestLimits:
    """ASGI middleware that refuses bodies that are too large (413) or too slow (408); the connection is then closed.

    A body whose Content-Length is too large is refused before any of it is read; others are counted as they come.
    """

    def __init__(self, app: ASGIApp, limits: BodyLimits | None = None) -> None:
        self._app = app
        self._limits = limits or BodyLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, send, self._limits)
        if body.announced > body.max_bytes:
            await body.answer(body.too_large(), drain=True)
            return
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            # Whatever became of the refusal on its way through the app, the client gets the refusal.
            if body.refused is None or body.started:
                raise
        if body.refused is not None and not body.started:
            await body.answer(body.refused, drain=body.refused.status == 413)


def limited_forms(limits: FormLimits | None = None) -> type[APIRoute]:
    """For `APIRouter(route_class=...)`: its routes take forms within `limits`.

    What FastAPI reads for parameters of Form and File has Starlette's limits, which are 1000 files and 1000 fields of
    1 MiB, and a disk without room for the temporary files looks like a mistake of the client (400). Here more parts, or
    larger ones, are that mistake, and a full disk is told as Problem 507.
    """
    chosen = limits or FormLimits()

    class FormRequest(Request):
        def form(self, **_: Any) -> Any:
            return super().form(max_files=chosen.files, max_fields=chosen.fields, max_part_size=chosen.field_bytes)

    class LimitedForms(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def limited(request: Request) -> Response:
                try:
                    return await handler(FormRequest(request.scope, request.receive))
                except HTTPException as error:
                    if isinstance(error.__cause__, OSError):
                        raise problem_of(error.__cause__) from error
                    raise

            return limited

    return LimitedForms


class BodyRefused(HTTPException):
    """Ends the reading of a body. An HTTPException, because FastAPI lets such pass and turns all others into 400."""


class _Body:
    """One request's body on its way to the app."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: BodyLimits) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        self._text = kind == b"application/x-www-form-urlencoded" or kind.endswith((b"/json", b"+json"))
        self.max_bytes = min(limits.max_bytes, limits.max_text_bytes) if self._text else limits.max_bytes
        length = headers.get(b"content-length", b"")
        self.announced = int(length[:18]) if length.isdigit() else 0
        self.refused: Problem | None = None
        self.started = False
        self._waits_for_continue = b"expect" in headers
        self._complete = False
        self._bytes = 0
        self._waited_s = 0.0

    async def receive(self) -> Message:
        if self._complete or self.started:
            return await self._receive()
        message = await self._received_in_time()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._bytes > self.max_bytes:
                raise self._refuse(self.too_large())
        return message

    async def send(self, message: Message) -> None:
        if self.refused is not None and not self.started:
            return  # what the app says of a body that it did not get
        self.started = True
        await self._send(message)

    async def answer(self, problem: Problem, *, drain: bool) -> None:
        """The problem and the end of the connection; with `drain` after the client had time to read it."""
        self.started = True
        response = problem.response()
        headers = [*response.raw_headers, (b"connection", b"close")]
        await self._send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
        # Who waits for `100 Continue` has sent nothing yet, and will not.
        if drain and not self._complete and not self._waits_for_continue:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.linger_s):
                    while (await self._receive()).get("more_body", False):
                        pass
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _received_in_time(self) -> Message:
        clock = asyncio.get_running_loop().time
        allowed = self._limits.grace_s + self._bytes / self._limits.slowest - self._waited_s
        began = clock()
        try:
            async with asyncio.timeout(max(0.0, min(allowed, self._limits.pause_s))):
                message = await self._receive()
        except TimeoutError as error:
            raise self._refuse(self._too_slow()) from error
        self._waited_s += clock() - began
        return message

    def _refuse(self, problem: Problem) -> BodyRefused:
        self.refused = problem
        return BodyRefused(problem.status, problem.detail)

    def too_large(self) -> Problem:
        fix = "send less" if self._text else "send smaller images, or raise service_max_mib"
        detail = f"expected at most {self.max_bytes:,} bytes, found more; {fix}"
        return Problem(413, "body-too-large", "The body is too large", detail)

    def _too_slow(self) -> Problem:
        limits = self._limits
        return Problem(
            408,
            "body-too-slow",
            "The body came too slowly",
            f"expected {limits.slowest:,} bytes a second after {limits.grace_s:g} s, and no pause of "
            f"{limits.pause_s:g} s; found {self._bytes:,} bytes in all",
        )
