"""`copperline snowflake` on the command line, as far as it goes without an account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

COPPERLINE = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    pytest.importorskip("snowflake.sqlalchemy", reason="the extra snowflake is not installed")


@pytest.mark.parametrize(
    ("command", "first", "last"),
    [
        ("setup", 'USE ROLE "ACCOUNTADMIN";', "CREATE IMAGE REPOSITORY IF NOT EXISTS"),
        ("teardown", 'USE ROLE "ACCOUNTADMIN";', "DROP ROLE IF EXISTS"),
        ("status", "SHOW ROLES LIKE", "SHOW MODELS LIKE"),
    ],
)
def test_sql_is_printed_without_an_account(copperline: COPPERLINE, command: str, first: str, last: str) -> None:
    ran = copperline("snowflake", command, "--dry-run")
    assert (ran.status, ran.err) == (0, "")
    statements = [line for line in ran.out.splitlines() if line and not line.startswith("--")]
    assert statements[0].startswith(first)
    assert any(line.startswith(last) for line in statements[-3:])


def test_names_of_the_settings_are_used(copperline: COPPERLINE, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_SNOWFLAKE__DATABASE", "Werk 7")
    monkeypatch.setenv("COPPERLINE_SNOWFLAKE__ALLOWED_HOSTS", "[]")
    out = copperline("snowflake", "setup", "--dry-run").out
    assert 'CREATE DATABASE IF NOT EXISTS "Werk 7"' in out
    assert "NETWORK RULE" not in out


@pytest.mark.parametrize("command", ["setup", "status", "teardown"])
def test_without_credentials_the_variables_are_named(copperline: COPPERLINE, command: str) -> None:
    ran = copperline("snowflake", command)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: expected credentials for Snowflake, found none; set SNOWFLAKE_ACCOUNT")
    assert ran.err.count("\n") == 1


def test_costs_are_told_with_their_sources(copperline: COPPERLINE) -> None:
    ran = copperline("snowflake", "costs", "--warehouse-hours", 10, "--node-hours", 2, "--credit-price", 2.5)
    assert ran.status == 0
    assert "10 h x 1 = 10 credits x 2.5" in ran.out
    assert "not confirmed" in ran.out
    prices = ("--credit-price", 2, "--node-rate", 1, "--dashboard-rate", 0.5, "--storage-price", 0)
    told = copperline("snowflake", "costs", *prices, "--json").json
    assert told["usd"] == 40 * 1 * 2 + 10 * 1 * 2 + 730 * 0.5 * 2
    wrong = copperline("snowflake", "costs", "--node-hours", "-1")
    assert (wrong.status, wrong.err.count("\n")) == (1, 1)
