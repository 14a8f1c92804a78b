"""`copperline keys` and `copperline audit`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copperline.access import find
from copperline.cli.periods import parse_since, parse_span
from copperline.errors import SettingsError
from copperline.warehouse import open_warehouse


@pytest.fixture
def run(copperline: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    return lambda *words: copperline(*words, "--workspace", tmp_path / "w")


def test_a_key_is_shown_once_and_works(run: Callable[..., Any], tmp_path: Path) -> None:
    made = run("keys", "create", "station AOI-1", "--scope", "inspect", "--scope", "review", "--expires", "90d")
    assert made.status == 0
    text = made.out.splitlines()[0]
    engine = open_warehouse(f"sqlite:///{tmp_path / 'w' / 'warehouse.db'}")
    key = find(engine, text)
    engine.dispose()
    assert key is not None
    assert (key.name, sorted(key.scopes)) == ("station AOI-1", ["inspect", "review"])
    assert key.expires_at == key.created_at + timedelta(days=90)
    assert "not shown again" in made.out
    listed = run("keys", "list")
    assert key.key_id in listed.out
    assert text not in listed.out
    assert text not in run("audit").out


def test_a_key_is_listed_and_revoked(run: Callable[..., Any]) -> None:
    made = run("keys", "create", "AOI-1", "--scope", "inspect", "--json").json
    assert made["state"] == "valid"
    assert made["expires_at"] is None
    assert run("keys", "revoke", made["key_id"], "--json").json["state"] == "revoked"
    assert run("keys", "revoke", made["key_id"]).status == 0
    listed = run("keys", "list", "--json").json["keys"]
    assert [(key["name"], key["state"]) for key in listed] == [("AOI-1", "revoked")]
    assert "key" not in listed[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["keys", "create", "x", "--scope", "fly"], "expected inspect, review, admin, found 'fly'"),
        (["keys", "create", "x", "--scope", "inspect", "--expires", "soon"], "expected a span such as"),
        (["keys", "create", "x", "--scope", "inspect", "--expires", "0d"], "expected a span such as"),
        (["keys", "create", "", "--scope", "inspect"], "printable"),
        (["keys", "list"], "found no file"),
        (["audit"], "found no file"),
    ],
)
def test_what_cannot_be_done_is_one_line(run: Callable[..., Any], words: list[str], message: str) -> None:
    ran = run(*words)
    assert (ran.status, ran.out) == (1, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_a_key_that_is_not_there(run: Callable[..., Any]) -> None:
    run("keys", "create", "AOI-1", "--scope", "inspect")
    ran = run("keys", "revoke", "0123456789ab")
    assert (ran.status, "found no '0123456789ab'" in ran.err) == (1, True)


def test_the_audit_shows_who_did_what(run: Callable[..., Any]) -> None:
    made = run("keys", "create", "AOI-1", "--scope", "inspect", "--json").json
    run("keys", "revoke", made["key_id"])
    shown = run("audit", "--json").json
    assert [(e["action"], e["subject"]) for e in shown["entries"]] == [
        ("key.created", made["key_id"]),
        ("key.revoked", made["key_id"]),
    ]
    assert shown["more"] is False
    assert run("audit", "--limit", "1", "--json").json["more"] is True
    assert [e["action"] for e in run("audit", "--action", "key.revoked", "--json").json["entries"]] == ["key.revoked"]
    assert run("audit", "--since", "2999-01-01", "--json").json["entries"] == []
    assert run("audit", "--actor", "nobody", "--json").json["entries"] == []
    assert "key.created" in run("audit", "--since", "1h").out
    assert "Nothing that fits" in run("audit", "--actor", "nobody").out
    assert run("audit", "--since", "yesterday").status == 1


def test_spans_and_moments() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert parse_span("30m", "x") == timedelta(minutes=30)
    assert parse_since("2w", "x", now) == now - timedelta(weeks=2)
    assert parse_since("2026-03-01T13:00+02:00", "x") == now - timedelta(hours=1)
    for wrong in ("", "-1d", "1.5d", "9999999w", "d"):
        with pytest.raises(SettingsError, match="expected a span"):
            parse_span(wrong, "x")
    with pytest.raises(SettingsError, match="expected a span"):
        parse_since("0001-01-01T00:00+23:00", "x")


def test_the_commands_are_loaded_without_the_database() -> None:
    code = "import sys, copperline.cli.app; print('sqlalchemy' in sys.modules, 'fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
