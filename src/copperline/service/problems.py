"""What goes wrong, as problem documents (RFC 9457)."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response

from copperline.errors import CopperlineError, DataError, ModelError, NotFoundError, WarehouseError

MEDIA_TYPE = "application/problem+json"
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Problem(Exception):
    """A request that is not fulfilled.

    Args:
        status: of HTTP.
        kind: a word for programs; the document's type is `urn:copperline:problem:KIND`.
        title: the same for each problem of this kind.
        detail: what was expected, what was found and what to do, this time.
        headers: such as Retry-After.
        more: further members of the document.
    """

    def __init__(
        self, status: int, kind: str, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def document(self) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": f"urn:copperline:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }

    def response(self) -> Response:
        # ASCII, so that half a surrogate pair which a client sent cannot make the answer fail.
        content = json.dumps(self.document(), default=str)
        return Response(content, self.status, self.headers, media_type=MEDIA_TYPE)


def invalid_request(problem: str, field: str | None = None) -> Problem:
    """A request that the OpenAPI document does not allow.

    Args:
        problem: what was expected and what was found.
        field: where, such as `body.box`.
    """
    title = "The request cannot be understood"
    if field is None:
        return Problem(422, "invalid-request", title, problem)
    errors = [{"field": field, "problem": problem}]
    return Problem(422, "invalid-request", title, f"{field}: {problem}", errors=errors)


def problem_of(error: CopperlineError | OSError) -> Problem:
    """The problem that an error of the product is to a client."""
    causes = list(_causes(error))
    if any(_is_full(cause) for cause in causes):
        return Problem(507, "storage-full", "The service has no room to keep this", _text(error))
    if any(getattr(cause, "sqlite_errorcode", 0) & 0xFF in _BUSY for cause in causes):
        headers = {"Retry-After": "1"}
        return Problem(503, "warehouse-busy", "The warehouse is busy", _text(error), headers=headers)
    match error:
        case NotFoundError():
            return Problem(404, "not-found", "There is no such thing", _text(error))
        case DataError():
            return Problem(422, "unusable-image", "The board cannot be inspected", _text(error))
        case ModelError():
            return Problem(503, "model-unusable", "The model cannot be used", _text(error))
        case WarehouseError() if len(causes) > 1:  # the database's own words
            return Problem(503, "warehouse-unavailable", "The warehouse cannot be used", _text(error))
        case WarehouseError():
            return Problem(409, "contradiction", "What is asked contradicts what is known", _text(error))
        case _:
            return Problem(500, "internal", "The service failed", "see its log")


def _text(error: CopperlineError | OSError) -> str:
    if isinstance(error, CopperlineError):
        return error.without_place
    return error.strerror or "the system failed"


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__
    return found


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
