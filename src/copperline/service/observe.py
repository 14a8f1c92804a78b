"""Around every request: its id, its line in the log, its place in the metrics, and an answer if the code fails."""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from copperline.service.metrics import Metrics
from copperline.service.problems import Problem

_access = logging.getLogger("copperline.service.access")
_log = logging.getLogger(__name__)
# Of a path, in the log.
_LONGEST = 300


class Observe:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("request %s failed", request_id)
            if status is None:
                await _failed(request_id).response()(scope, receive, send_with_id)
            else:  # half an answer is out: only a closed connection tells that it is not whole
                raise
        finally:
            seconds = time.perf_counter() - started
            self._metrics.saw_request(scope["method"], _route_of(scope), status or 499, seconds)
            _tell(scope, request_id, status or 499, seconds)


def _failed(request_id: str) -> Problem:
    return Problem(
        500, "internal", "The service failed", f"the log of the service has more, under request {request_id}"
    )


def _route_of(scope: Scope) -> str:
    """The template, such as `/v1/boards/{board_id}`; never the path, of which there are any number."""
    route = scope.get("route")
    return str(getattr(route, "path_format", None) or getattr(route, "path", None) or "unmatched")


def _tell(scope: Scope, request_id: str, status: int, seconds: float) -> None:
    # As it came, in percent-encoding, without the query: no line break of a client's gets into the log.
    path = (scope.get("raw_path") or b"").partition(b"?")[0][:_LONGEST].decode("ascii", "backslashreplace")
    principal = scope["state"].get("principal")
    facts: dict[str, Any] = {
        "request_id": request_id,
        "client": (scope.get("client") or ("-",))[0],
        "principal": getattr(principal, "name", "-"),
        "method": scope["method"],
        "path": path,
        "status": status,
        "ms": round(seconds * 1e3, 1),
    }
    words = "%(client)s %(principal)s %(method)s %(path)s %(status)d %(ms).1f ms"
    _access.info(words, facts, extra={"facts": facts})
