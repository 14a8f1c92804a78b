"""A Snowpark session: the one that is there inside Snowflake, else one made from the environment.

From the laptop, in this order: the variables `SNOWFLAKE_ACCOUNT`, `SNOWFLAKE_USER` and one of `SNOWFLAKE_PASSWORD`,
`SNOWFLAKE_TOKEN`, `SNOWFLAKE_PRIVATE_KEY_FILE` or `SNOWFLAKE_AUTHENTICATOR`; else the connection of Snowflake's own
`connections.toml` that `SNOWFLAKE_DEFAULT_CONNECTION_NAME` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from copperline.errors import SettingsError
from copperline.snowflake.failures import snowflake_errors
from copperline.snowflake_settings import SnowflakeSettings, quoted

if TYPE_CHECKING:
    from snowflake.snowpark import Session

_VARIABLES = (
    "account", "user", "password", "token", "private_key_file", "private_key_file_pwd", "authenticator",
    "host", "port", "protocol",
)  # fmt: skip
_LOGIN_S = 60  # to sign in
_ANSWER_S = 600  # for one request to be answered, all tries together


def open_session(names: SnowflakeSettings) -> Session:
    """A session that uses the role, warehouse, database and schema of `names`: the active one, else a new one.

    Raises:
        SettingsError: the extra is not installed, or there are no credentials.
        SnowflakeError: the account cannot be reached or refuses.
    """
    found = active_session()
    if found is not None:
        return found
    used = {
        "role": quoted(names.role),
        "warehouse": quoted(names.warehouse),
        "database": quoted(names.database),
        "schema": quoted(names.schema_name),
    }
    return new_session(**used)


def new_session(**parameters: Any) -> Session:
    """A session of its own with `parameters` of the connector, for whoever needs another role or no database."""
    _require_installed()
    from snowflake.snowpark import Session

    with snowflake_errors("Snowflake"):
        session: Session = Session.builder.configs({**connection_parameters(os.environ), **parameters}).create()
        return session


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


def _require_installed() -> None:
    try:
        import snowflake.snowpark  # noqa: F401
    except ModuleNotFoundError as error:
        raise SettingsError("Snowpark is not installed", fix="pip install 'copperline[snowflake]'") from error
