"""Connections and Snowpark sessions: the session that is there inside Snowflake, else one made from the environment.

From the laptop, in this order: the variables `SNOWFLAKE_ACCOUNT`, `SNOWFLAKE_USER` and one of `SNOWFLAKE_PASSWORD`,
`SNOWFLAKE_TOKEN`, `SNOWFLAKE_PRIVATE_KEY_FILE` or `SNOWFLAKE_AUTHENTICATOR`; else the connection of Snowflake's own
`connections.toml` that `SNOWFLAKE_DEFAULT_CONNECTION_NAME` names.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from copperline.errors import SettingsError
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake_settings import SnowflakeSettings, is_plain, quoted

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.snowpark import Session

_VARIABLES = (
    "account", "user", "password", "token", "private_key_file", "private_key_file_pwd", "authenticator",
    "host", "port", "protocol",
)  # fmt: skip
_LOGIN_S = 60  # to sign in
_ANSWER_S = 600  # for one request to be answered, all tries together


@contextmanager
def session_for(names: SnowflakeSettings) -> Iterator[Session]:
    """The active session, which stays open; else one of its own that is closed at the end, whatever happens.

    Raises:
        SettingsError: the extra is not installed, or there are no credentials.
        SnowflakeError: the account cannot be reached or refuses.
    """
    found = active_session()
    if found is not None:
        yield found
        return
    session = open_session(names)
    try:
        yield session
    finally:
        close_session(session)


def open_session(names: SnowflakeSettings) -> Session:
    """A session that uses the role, warehouse, database and schema of `names`: the active one, else a new one.

    Raises:
        SettingsError: the extra is not installed, or there are no credentials.
        SnowflakeError: the account cannot be reached or refuses.
    """
    found = active_session()
    return new_session(**used(names)) if found is None else found


def used(names: SnowflakeSettings) -> dict[str, str]:
    """Parameters of the connector that choose role, warehouse, database and schema."""
    return {
        "role": _in_connection(names.role),
        "warehouse": _in_connection(names.warehouse),
        "database": _in_connection(names.database),
        "schema": _in_connection(names.schema_name),
    }


def new_session(**parameters: Any) -> Session:
    """A session of its own with `parameters` of the connector, for whoever needs another role or no database."""
    _require_installed("snowflake.snowpark")
    from snowflake.snowpark import Session

    with snowflake_errors("Snowflake"):
        session: Session = Session.builder.configs({**connection_parameters(os.environ), **parameters}).create()
        return session


def close_session(session: Session) -> None:
    """Ends a session and its connection. Work that the server does in the background goes on.

    `Session.close`, which Snowpark also calls when the process ends, first cancels all that runs in the session. Where
    a server does not know how, it tries again for minutes.
    """
    from snowflake.snowpark.session import _remove_session

    atexit.unregister(session._close_at_exit)
    try:
        with snowflake_errors("Snowflake"):
            session.connection.close()
    finally:
        _remove_session(session)


@contextmanager
def connection_to_account(**parameters: Any) -> Iterator[SnowflakeConnection]:
    """A connection of the connector alone, which is ready sooner than a Snowpark session; it is closed at the end.

    Raises:
        SettingsError: the extra is not installed, or there are no credentials.
        SnowflakeError: the account cannot be reached or refuses.
    """
    _require_installed("snowflake.connector")
    from snowflake.connector import connect

    with snowflake_errors("Snowflake"):
        connection = connect(**{**connection_parameters(os.environ), **parameters})
    try:
        yield connection
    finally:
        with snowflake_errors("Snowflake"):
            connection.close()


@contextmanager
def session_over(connection: SnowflakeConnection) -> Iterator[Session]:
    """A Snowpark session over a connection that stays open after it; raises SnowflakeError."""
    from snowflake.snowpark import Session
    from snowflake.snowpark.session import _remove_session

    with snowflake_errors("Snowflake"):
        session: Session = Session.builder.config("connection", connection).create()
    atexit.unregister(session._close_at_exit)
    try:
        yield session
    finally:
        _remove_session(session)


def active_session() -> Session | None:
    """The session of the notebook, app or job that runs this inside Snowflake; None: this is no such place."""
    try:
        from snowflake.snowpark.context import get_active_session
        from snowflake.snowpark.exceptions import SnowparkSessionException
    except ModuleNotFoundError:
        return None
    try:
        session: Session = get_active_session()
    except SnowparkSessionException:
        return None
    return session


def connection_parameters(variables: Mapping[str, str]) -> dict[str, Any]:
    """What the connector is given; raises SettingsError naming the variables if there are no credentials."""
    found: dict[str, Any] = {
        name: variables[variable] for name in _VARIABLES if variables.get(variable := f"SNOWFLAKE_{name.upper()}")
    }
    limits = {"login_timeout": _LOGIN_S, "network_timeout": _ANSWER_S}
    if "account" in found:
        if "token" in found and "authenticator" not in found:
            found["authenticator"] = "PROGRAMMATIC_ACCESS_TOKEN"
        return {**found, **limits}
    connection = variables.get("SNOWFLAKE_DEFAULT_CONNECTION_NAME")
    if connection:
        return {"connection_name": connection, **limits}
    raise SettingsError(
        "expected credentials for Snowflake, found none",
        fix="set SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and one of SNOWFLAKE_TOKEN, SNOWFLAKE_PRIVATE_KEY_FILE and "
        "SNOWFLAKE_PASSWORD, or name a connection of connections.toml in SNOWFLAKE_DEFAULT_CONNECTION_NAME",
    )


def _in_connection(name: str) -> str:
    """A name as the connector sends it: the server reads it as it reads names in SQL."""
    return name if is_plain(name) else quoted(name)


def _require_installed(module: str) -> None:
    from importlib.util import find_spec

    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise SettingsError(f"this needs {module}, which is not installed", fix="pip install 'copperline[snowflake]'")
