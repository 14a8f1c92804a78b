"""What an error of the product is to a client; nothing of where files and databases lie."""

from __future__ import annotations

import errno
import json
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from copperline.errors import CopperlineError, DataError, ModelError, NotFoundError, SettingsError, WarehouseError
from copperline.service.problems import invalid_request, problem_of


def _caused(error: CopperlineError, *causes: Exception) -> CopperlineError:
    last: BaseException = error
    for cause in causes:
        last.__cause__ = cause
        last = cause
    return error


def _sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("words of SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (DataError("expected a board, found none", where="/srv/secret"), 422, "unusable-image"),
        (ModelError("damaged", where="/srv/secret"), 503, "model-unusable"),
        (NotFoundError("found none", where="/srv/secret"), 404, "not-found"),
        (WarehouseError("contradicts", where="/srv/secret"), 409, "contradiction"),
        (_caused(WarehouseError("gone"), OperationalError("", {}, Exception())), 503, "warehouse-unavailable"),
        (_caused(WarehouseError("locked"), _sqlite(sqlite3.SQLITE_BUSY)), 503, "warehouse-busy"),
        (_caused(WarehouseError("full"), _sqlite(sqlite3.SQLITE_FULL)), 507, "storage-full"),
        (_caused(DataError("cannot be written"), OSError(errno.ENOSPC, "No space left")), 507, "storage-full"),
        (OSError(errno.ENOSPC, "No space left", "/srv/secret"), 507, "storage-full"),
        (OSError(errno.EIO, "Input/output error", "/srv/secret"), 500, "internal"),
        (SettingsError("setting 'x'", where="/srv/secret"), 500, "internal"),
    ],
)
def test_each_error_is_a_problem(error: CopperlineError | OSError, status: int, kind: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.kind) == (status, kind)
    response = problem.response()
    assert response.media_type == "application/problem+json"
    assert "secret" not in bytes(response.body).decode()
    assert json.loads(bytes(response.body))["type"] == f"urn:copperline:problem:{kind}"


def test_half_a_surrogate_pair_does_not_break_the_answer() -> None:
    body = bytes(invalid_request("found '\ud800'", "body.\udfff").response().body)
    assert json.loads(body)["errors"][0]["field"] == "body.\udfff"
