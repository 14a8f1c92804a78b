"""Errors of Snowflake's libraries, the connector's own against a server that answers as Snowflake's login does."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from copperline.errors import SettingsError, SnowflakeError
from copperline.snowflake.failures import (
    explained,
    is_missing,
    is_of_snowflake,
    lacks_privilege,
    number_of,
    snowflake_errors,
)
from copperline.snowflake.session import connection_to_account

errors = pytest.importorskip("snowflake.connector.errors", reason="the extra snowflake is not installed")
snowpark = pytest.importorskip("snowflake.snowpark.exceptions", reason="the extra snowflake is not installed")

PASSWORD = "correct horse battery"
Answer = dict[str, Any] | int | None


class _Login(BaseHTTPRequestHandler):
    """Answers each request with `answer`: JSON, an HTTP status, or (None) by closing the connection."""

    answer: Answer = None

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.answer is None:
            self.close_connection = True
            return
        status, body = (self.answer, b"") if isinstance(self.answer, int) else (200, json.dumps(self.answer).encode())
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], SnowflakeError]]:
    """Signs in to a server that gives this answer, and returns what that comes to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Login)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    variables = {"ACCOUNT": "plant", "USER": "ANN", "PASSWORD": PASSWORD, "HOST": "127.0.0.1", "PROTOCOL": "http"}
    for name, value in {**variables, "PORT": str(server.server_address[1])}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name}", value)

    def sign_in(answer: Answer) -> SnowflakeError:
        monkeypatch.setattr(_Login, "answer", answer)
        with pytest.raises(SnowflakeError) as refusal, connection_to_account(login_timeout=1):
            pass
        return refusal.value

    yield sign_in
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"success": False, "code": code, "message": message, "data": {"nextAction": None, "authnMethod": "USER"}}


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("390100", "Incorrect username or password was specified.", "refuses this user and password; check SNOWFLAKE_"),
        ("390102", "Your user account has been temporarily locked.", "locked or disabled"),
        ("390114", "Authentication token has expired. The user must authenticate again.", "expired.*make a new token"),
        ("390318", "OAuth access token expired. [1172527951366]", "expired.*make a new token"),
        ("394400", "Programmatic access token is invalid.", "make a new token"),
        ("390144", "JWT token is invalid. [92d86e8d]", "refuses the key pair.*RSA_PUBLIC_KEY"),
        ("390189", "Role 'X' specified in the connect string does not exist or not authorized.", "GRANT ROLE"),
        ("390422", "Incoming request with IP/Token 192.0.2.7 is not allowed to access Snowflake.", "network policy"),
        ("390129", "Multi-factor authentication is required for this account.", "second factor.*SNOWFLAKE_TOKEN"),
    ],
)
def test_a_refused_login_says_what_to_do(
    login: Callable[[Answer], SnowflakeError], code: str, message: str, expected: str
) -> None:
    said = str(login(_refusal(code, message)))
    assert re.search(expected, said), said
    assert said.startswith("Snowflake: ")
    assert "\n" not in said
    assert PASSWORD not in said


def test_an_account_that_is_not_there_is_told(login: Callable[[Answer], SnowflakeError]) -> None:
    assert re.search("no such account .*ORGANISATION-ACCOUNT", str(login(404)))


@pytest.mark.parametrize("answer", [None, 403, 503])
def test_a_login_that_gets_no_answer_ends_in_time(login: Callable[[Answer], SnowflakeError], answer: Answer) -> None:
    started = time.monotonic()
    said = str(login(answer))
    assert re.search("cannot be reached|connection was cut|no answer came", said), said
    assert time.monotonic() - started < 15


def test_no_server_at_all_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCOUNT": "a", "USER": "u", "PASSWORD": "p", "HOST": "127.0.0.1", "PORT": "1"}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name}", value)
    monkeypatch.setenv("SNOWFLAKE_PROTOCOL", "http")
    with pytest.raises(SnowflakeError, match="cannot be reached"), connection_to_account(login_timeout=1):
        pass


def _sql_error(message: str, errno: int, sqlstate: str) -> Exception:
    return errors.ProgrammingError(
        msg=message, errno=errno, sqlstate=sqlstate, sfqid="01b2c3d4-0000-0001-0000-000000000001"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_sql_error("SQL access control error:\nInsufficient privileges to operate on schema 'PUBLIC'.", 3001, "42501"),
         r"^@s: the role may not do this \(Insufficient privileges to operate on schema 'PUBLIC'\); run .*setup"),
        (_sql_error("SQL compilation error:\nObject 'BOARDS' does not exist or not authorized.", 2003, "02000"),
         r"not there, or hidden from the role \(Object 'BOARDS' does not exist or not authorized\)"),
        (_sql_error("SQL compilation error:\nObject does not exist, or operation cannot be performed.", 2043, "02000"),
         r"not there, or hidden"),
        (_sql_error("SQL compilation error:\nObject 'X' already exists.", 2002, "42710"), "there already"),
        (_sql_error("No active warehouse selected in the current session.", 606, "57P03"), "no warehouse runs"),
        (_sql_error("Warehouse 'W' cannot be resumed because resource monitor 'M' has exceeded its quota.",
                    90073, "57014"), "used its credits.*credit_quota"),
        (_sql_error("Statement reached its statement or warehouse timeout of 60 second(s) and was canceled.",
                    630, "57014"), "time limit"),
        (_sql_error("Statement '01b2' has locked table 'T' in transaction 1 and this lock has not yet been released.",
                    625, "57014"), "another statement holds"),
        (_sql_error("SQL compilation error:\nsyntax error line 1 at position 0 unexpected 'x'.", 1003, "42000"),
         "cannot read the statement"),
        (_sql_error("SQL compilation error: The maximum size of SQL text is 1 MB.", 1999, "54000"), "too long"),
        (_sql_error("External access is not supported for trial accounts.", 509002, "0A000"), "trial accounts.*hosts"),
        (_sql_error("Invalid instance family 'GPU_NV_M'.", 390000 + 9999, "22023"), "INSTANCE FAMILIES"),
        (_sql_error("Something new.", 987654, "XX000"), r"^@s: Snowflake refuses: Something new; see docs"),
        (errors.OperationalError("253003: failed to upload", errno=253003), "could not be moved"),
        (errors.OperationalError("Hit non-retryable SSL error, certificate verify failed"), "TLS connection"),
        (errors.InterfaceError("Account must be specified", errno=251001), "set SNOWFLAKE_ACCOUNT"),
        (errors.RequestTimeoutError(), "no answer came in time"),
        (errors.ServiceUnavailableError(), r"cannot be reached \(HTTP 503: Service Unavailable\)"),
        (errors.TokenExpiredError(), "make a new token"),
        (errors.MissingDependencyError("pandas"), "pip install"),
        (requests.ConnectionError("('Connection aborted.', RemoteDisconnected('Remote end closed connection'))"),
         "connection was cut.*goes on where it was"),
        (requests.Timeout("HTTPSConnectionPool: Read timed out."), "no answer came in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "connection was cut"),
        (TimeoutError("the read operation timed out"), "no answer came in time"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, Exception) else "",
)  # fmt: skip
def test_every_error_is_one_line_with_a_remedy(error: Exception, expected: str) -> None:
    assert is_of_snowflake(error)
    with pytest.raises(SnowflakeError) as told, snowflake_errors("@s"):
        raise error
    said = str(told.value)
    assert re.search(expected, said), said
    assert "\n" not in said
    assert "01b2c3d4" not in said
    assert told.value.fix


def test_snowpark_wraps_the_connectors_error() -> None:
    inner = _sql_error("SQL access control error:\nInsufficient privileges to operate on table 'T'.", 3001, "42501")
    error = snowpark.SnowparkSQLException("(1304): SQL access control error", error_code="1304", conn_error=inner)
    assert number_of(error) == 3001
    assert lacks_privilege(error)
    assert "may not do this" in str(explained(error))


def test_an_error_that_was_raised_from_the_connectors_keeps_its_number() -> None:
    outer = errors.DatabaseError("load failed")
    outer.__cause__ = _sql_error("Object 'T' does not exist or not authorized.", 2003, "02000")
    assert number_of(outer) == 2003
    assert is_missing(outer)


def test_other_errors_and_our_own_pass_through() -> None:
    with pytest.raises(KeyError), snowflake_errors():
        raise KeyError("a bug")
    with pytest.raises(SettingsError, match="ours"), snowflake_errors():
        raise SettingsError("ours")


def test_no_secret_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", PASSWORD)
    web_token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJBTk4ifQ.c2lnbmF0dXJl"
    text = f"sent {PASSWORD} and {web_token}; token='abc123', password: hunter2"
    said = str(explained(errors.DatabaseError(text, errno=987654)))
    for secret in (PASSWORD, web_token, "abc123", "hunter2"):
        assert secret not in said
    assert "***" in said


def test_long_words_are_cut() -> None:
    assert len(str(explained(errors.DatabaseError("x " * 5000, errno=987654)))) < 500
