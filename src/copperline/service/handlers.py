"""Every error becomes a problem document."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from copperline.errors import CopperlineError
from copperline.service.metrics import Metrics
from copperline.service.problems import Problem, problem_of

_log = logging.getLogger(__name__)
# Of nginx: the client closed the connection; nobody reads it, but the log and the metrics do.
CLIENT_GONE = 499
# A request can be wrong in a thousand places; the first few are enough to mend it.
_MOST_ERRORS = 20


def install(app: FastAPI, metrics: Metrics) -> None:
    """Makes `app` answer errors of every kind."""

    def answer(problem: Problem) -> Response:
        metrics.rejected(problem.kind)
        return problem.response()

    async def of_problem(request: Request, error: Problem) -> Response:
        return answer(error)

    async def of_product(request: Request, error: CopperlineError | OSError) -> Response:
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request %s: %s", request.state.request_id, error, exc_info=problem.status == 500)
        return answer(problem)

    async def of_validation(request: Request, error: RequestValidationError) -> Response:
        return answer(_of_fields(error))

    async def of_http(request: Request, error: HTTPException) -> Response:
        cause = error.__cause__
        if isinstance(cause, ClientDisconnect):
            return Response(status_code=CLIENT_GONE)
        if isinstance(cause, OSError):  # a form that found no room on its way to a file
            return await of_product(request, cause)
        return answer(_of_http(request, error))

    # Starlette's types have each handler take any exception.
    handlers: dict[type[Exception], Any] = {
        Problem: of_problem,
        CopperlineError: of_product,
        OSError: of_product,
        RequestValidationError: of_validation,
        HTTPException: of_http,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _of_http(request: Request, error: HTTPException) -> Problem:
    status = error.status_code
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    detail = str(error.detail)
    if status == HTTPStatus.NOT_FOUND:
        detail = "expected a path of /openapi.json, found another"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"expected a method that this path has, found {request.method[:20]}"
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")
    return Problem(status, phrase.lower().replace(" ", "-"), phrase, detail, headers=headers)


def _allowed(request: Request) -> str:
    """All methods of a path: FastAPI knows only those of the first route that it has for it."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    found = [
        method.upper()
        for template, operations in paths.items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path)
        for method in operations
    ]
    return ", ".join(sorted(found))


def _of_fields(error: RequestValidationError) -> Problem:
    found = error.errors()
    errors = [
        {"field": ".".join(_clean(str(part)) for part in one["loc"]), "problem": _clean(_words(one["msg"]))}
        for one in found[:_MOST_ERRORS]
    ]
    first = f"{errors[0]['field']}: {errors[0]['problem']}" if errors else "see `errors`"
    return Problem(
        422,
        "invalid-request",
        "The request cannot be understood",
        f"expected what /openapi.json describes, found another; {first}",
        errors=errors,
    )


def _words(message: str) -> str:
    """FastAPI's own message names its class."""
    return "expected a file, found a text; send it as a file of the form" if "UploadFile" in message else message


def _clean(text: str) -> str:
    """Names of fields come from the client: short, and without halves of surrogate pairs."""
    return text[:255].encode("utf-8", "replace").decode()
