"""`copperline snowflake setup`, `status` and `teardown` over an account that keeps objects, roles and owners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

pytest.importorskip("snowflake.sqlalchemy", reason="the extra snowflake is not installed")

Copperline = Callable[..., Any]
RELEASES = "copperline.workflows.snowflake_deployment.deployed_releases"


@pytest.fixture(autouse=True)
def connected(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account stands where a connection would."""

    @contextmanager
    def connection() -> Iterator[Any]:
        yield account

    monkeypatch.setattr("copperline.snowflake.session.connection_to_account", connection)
    monkeypatch.setattr("copperline.snowflake.account.runner", lambda connection: connection)
    monkeypatch.setattr("copperline.snowflake.session.session_over", lambda connection: nullcontext())
    monkeypatch.setattr(f"{RELEASES}.deployed_releases", lambda session, names: [])


def test_from_nothing_and_away_again(copperline: Copperline, account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = copperline("snowflake", "setup", "--json")
    assert made.status == 0
    assert {"kind": "database", "name": "PCB_CV"} in made.json["made"]
    assert made.json["kept"] == []
    again = copperline("snowflake", "setup")
    assert again.out.startswith("Made 0 objects; ")
    assert "Next: copperline snowflake deploy" in again.out
    seen = copperline("snowflake", "status", "--json").json
    assert seen["role"] == "ACCOUNTADMIN"
    assert seen["counts"]["of someone else"] == seen["counts"]["not visible"] == 0
    assert {one["name"] for one in seen["objects"] if one["state"] == "missing"} == {
        "PCB_DEFECT_DETECTION", "PCB_DEFECT_DETECTION_APP", "YOLO_PCB_DETECTOR"
    }  # fmt: skip
    assert "git repository" not in {one["kind"] for one in seen["objects"]}, "not asked for, so not shown"
    said = copperline("snowflake", "status")
    assert "Next: copperline snowflake deploy" in said.out
    gone = copperline("snowflake", "teardown", "--yes", "--json")
    assert {"kind": "role", "name": "PCB_CV_ROLE"} in gone.json["removed"]
    assert account.objects == {}
    assert "Next: copperline snowflake setup" in copperline("snowflake", "status").out
    assert "Removed 0 objects." in copperline("snowflake", "teardown").out, "nothing to ask for"


@pytest.mark.parametrize("answer", ["n\n", "", "no\n"])
def test_teardown_asks_and_takes_no_for_an_answer(
    copperline: Copperline, account: Any, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    import io

    copperline("snowflake", "setup")
    kept = set(account.objects)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    ran = copperline("snowflake", "teardown")
    assert ran.status == 1
    assert "database PCB_CV" in ran.out
    assert set(account.objects) == kept


def test_teardown_goes_on_after_a_yes(copperline: Copperline, account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    copperline("snowflake", "setup")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert copperline("snowflake", "teardown").status == 0
    assert account.objects == {}


def test_what_is_of_someone_else_is_told_and_left(copperline: Copperline, account: Any) -> None:
    account.add("DATABASE", "PCB_CV", "FINANCE")
    ran = copperline("snowflake", "setup")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(
        "error: expected none but Copperline's own objects under its names, found database PCB_CV"
    )
    assert ran.err.count("\n") == 1
    seen = copperline("snowflake", "status")
    assert "of someone else" in seen.out
    assert "Next: name others in [snowflake]" in seen.out
    told = copperline("snowflake", "teardown", "--yes")
    assert "Left what is of others: database PCB_CV." in told.out
    assert ("DATABASE", "PCB_CV") in account.objects


def test_what_settings_do_not_ask_for_any_more_is_named(
    copperline: Copperline, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copperline("snowflake", "setup")
    monkeypatch.setenv("COPPERLINE_SNOWFLAKE__ALLOWED_HOSTS", "[]")
    drop = 'DROP INTEGRATION IF EXISTS "PCB_CV_EXTERNAL_ACCESS";'
    assert drop in copperline("snowflake", "setup").out
    assert drop in copperline("snowflake", "status").out
    extra = copperline("snowflake", "setup", "--json").json["not_asked_for"]
    assert {one["kind"] for one in extra} == {"network rule", "external access integration"}
    account(drop.removesuffix(";"))
    assert "not ask for external" not in copperline("snowflake", "status").out


def test_status_names_a_deployment_that_was_cut(copperline: Copperline, monkeypatch: pytest.MonkeyPatch) -> None:
    from copperline.workflows.snowflake_deployment.deployed_releases import DeployedRelease

    releases = [
        DeployedRelease("app", name, complete, 3, 99, complete) for name, complete in (("a", True), ("b", False))
    ]
    monkeypatch.setattr(f"{RELEASES}.deployed_releases", lambda session, names: releases)
    assert copperline("snowflake", "status", "--json").json["half_sent"] == [], "there is no stage yet"
    copperline("snowflake", "setup")
    assert copperline("snowflake", "status", "--json").json["half_sent"] == ["app/b"]
    assert (
        "Half sent: app/b on the stage. copperline snowflake deploy goes on." in copperline("snowflake", "status").out
    )
