"""Where credentials come from, and how names are sent."""

from __future__ import annotations

import pytest

from copperline.errors import SettingsError
from copperline.snowflake.session import connection_parameters, connection_to_account, used
from copperline.snowflake_settings import SnowflakeSettings

pytest.importorskip("snowflake.connector", reason="the extra snowflake is not installed")
LIMITS = {"login_timeout": 60, "network_timeout": 600}


def test_credentials_come_from_variables() -> None:
    given = {"SNOWFLAKE_ACCOUNT": "acme-plant", "SNOWFLAKE_USER": "ann", "SNOWFLAKE_PASSWORD": "p", "HOME": "/"}
    assert connection_parameters(given) == {"account": "acme-plant", "user": "ann", "password": "p", **LIMITS}


def test_a_token_alone_is_a_programmatic_access_token() -> None:
    given = {"SNOWFLAKE_ACCOUNT": "a", "SNOWFLAKE_TOKEN": "t"}
    assert connection_parameters(given)["authenticator"] == "PROGRAMMATIC_ACCESS_TOKEN"
    oauth = {**given, "SNOWFLAKE_AUTHENTICATOR": "oauth"}
    assert connection_parameters(oauth)["authenticator"] == "oauth"


def test_a_connection_can_be_named() -> None:
    given = {"SNOWFLAKE_DEFAULT_CONNECTION_NAME": "plant"}
    assert connection_parameters(given) == {"connection_name": "plant", **LIMITS}


@pytest.mark.parametrize("given", [{}, {"SNOWFLAKE_USER": "ann"}, {"SNOWFLAKE_ACCOUNT": ""}])
def test_without_credentials_the_variables_are_named(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER"):
        connection_parameters(given)
    for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="SNOWFLAKE_TOKEN"), connection_to_account():
        pass


def test_a_connection_that_is_not_configured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNOWFLAKE_ACCOUNT", raising=False)
    monkeypatch.setenv("SNOWFLAKE_DEFAULT_CONNECTION_NAME", "no such connection")
    with pytest.raises(Exception, match="no such connection"), connection_to_account():
        pass


def test_plain_names_are_sent_as_they_are_and_others_in_quotes() -> None:
    names = SnowflakeSettings(database="pcb_cv", warehouse="night shift")
    assert used(names) == {
        "role": "PCB_CV_ROLE",
        "warehouse": '"night shift"',
        "database": "PCB_CV",
        "schema": "PUBLIC",
    }
