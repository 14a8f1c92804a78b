"""The OpenAPI document: what FastAPI cannot know of the service."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from copperline.service.problems import MEDIA_TYPE
from copperline.service.schemas import ProblemDocument

_SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}
_WHEN = {
    400: "The request is no HTTP or no form",
    401: "A key is needed, or it is not known",
    403: "The key is not good for this",
    404: "There is no such thing",
    408: "The request takes too long to come",
    409: "It contradicts what is known",
    413: "The body is too large",
    422: "A field or an image cannot be used",
    429: "Too many requests or boards; see Retry-After",
    431: "The headers are too large",
    500: "The service failed",
    503: "The service cannot do it now",
    504: "It takes too long, and may yet be done",
    507: "The service has no room",
}
# What may happen to every request of a route that does work: access, limits, warehouse.
_ALWAYS = (400, 401, 403, 408, 413, 422, 429, 431, 500, 503, 507)

TAGS = [
    {"name": "inspections", "description": "Boards in, calls out; each is kept, once"},
    {"name": "boards", "description": "All that is known of a board"},
    {"name": "dispositions", "description": "What people decide of calls"},
    {"name": "quality", "description": "Figures with formula, denominator and interval"},
    {"name": "models", "description": "Versions, aliases and the one that inspects now"},
    {"name": "stations", "description": "Where boards are inspected"},
    {"name": "references", "description": "The golden library"},
    {"name": "service", "description": "For whoever runs it; needs no key"},
]
_DESCRIPTION = """Finds manufacturing defects on printed circuit boards.

Errors are problem documents (RFC 9457). Times are RFC 3339 with their zone. Ids are texts without control characters;
in a path they are percent-encoded."""


def problems(*more: int) -> dict[int | str, dict[str, Any]]:
    """Responses of a route that works: `more` beside those that every one has."""
    return {status: _response(status) for status in sorted({*_ALWAYS, *more})}


def only_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _response(status) for status in statuses}


def describe(app: FastAPI) -> None:
    """Lets `app` give the document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                openapi_version="3.1.0",
                description=_DESCRIPTION,
                routes=app.routes,
                tags=TAGS,
                license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            )
            schemas = made["components"]["schemas"]
            problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs", {}))
            schemas["ProblemDocument"] = problem
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _response(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {"description": _WHEN[status], "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        found["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    return found
