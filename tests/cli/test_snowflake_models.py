"""`copperline models` with the registry of a Snowflake account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.data.synthetic import write_synthetic_dataset

Run = Callable[..., Any]


@pytest.fixture
def at(copperline: Run, snowflake_account: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command; the account has all packages."""
    monkeypatch.setattr("copperline.inspection.snowflake_push.require_packages", lambda session, database: None)
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: copperline(*arguments, "--workspace", tmp_path / "workspace")


def test_a_model_is_pushed_once_and_then_used_from_every_machine(
    at: Run, snowflake_account: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = at("models", "push", "builtin:deeppcb", "--json").json
    assert (pushed["name"], pushed["version"], pushed["aliases"]) == ("YOLO_PCB_DETECTOR", 1, ["champion"])
    assert at("models", "push", "builtin:deeppcb", "--json").json["version"] == 1
    at("models", "promote", "builtin:golden-only")  # of the local registry
    said = at("models", "push", "champion").out
    assert "YOLO_PCB_DETECTOR has it as version 2, challenger." in said
    first, second = snowflake_account.logged
    assert (first["version_name"], second["version_name"]) == ("V1", "V2")
    assert type(first["model"]).__name__ == "BoardDetector"
    assert first["target_platforms"] is not None
    assert first["metrics"]["sha256"] == pushed["sha256"]
    assert first["metrics"]["test, with reference"]["map50"] == pytest.approx(0.987, abs=0.002)

    monkeypatch.setenv("COPPERLINE_REGISTRY_URI", "snowflake")
    snowflake_account.add("BY_HAND")
    listed = at("models", "list", "--json").json
    assert [(v["version"], v["aliases"]) for v in listed["versions"]] == [(2, ["challenger"]), (1, ["champion"])]
    assert listed["others"] == ["BY_HAND"]
    assert "Not registered by Copperline, or not to the end, and never used: BY_HAND." in at("models", "list").out
    assert at("models", "show", "challenger", "--json").json["sha256"] == second["metrics"]["sha256"]
    assert at("models", "promote", "challenger", "--reason", "trial", "--json").json["aliases"] == [
        "challenger",
        "champion",
    ]
    history = at("models", "history", "--json").json
    assert [(p["alias"], p["to_version"]) for p in history["promotions"]] == [
        ("champion", 1),
        ("challenger", 2),
        ("champion", 2),
    ]
    write_synthetic_dataset(tmp_path / "boards", train=1, test=1, size=320, processes=1)
    image = next((tmp_path / "boards").rglob("*_test.*"))
    inspected = at("inspect", image, "--reference", str(image).replace("_test", "_temp"), "--json").json
    assert (inspected["model"], inspected["model_version"]) == ("YOLO_PCB_DETECTOR", "2")


def test_what_cannot_be_pushed_is_one_line(at: Run, snowflake_account: Any, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    for arguments, words in (
        (("builtin:none",), "no model 'none' is shipped"),
        (("7",), "no version of 'pcb-detector' has been registered"),
        (("m.onnx",), "expected a version, an alias or `builtin:NAME`"),
        (("builtin:deeppcb", "--alias", "first"), "'first' cannot be an alias in Snowflake"),
    ):
        ran = at("models", "push", *arguments)
        assert ran.status == 1
        assert ran.err.count("\n") == 1
        assert words in ran.err
    assert snowflake_account.logged == []


def test_without_credentials_it_says_which_are_missing(
    copperline: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("copperline.snowflake.session.active_session", lambda: None)
    ran = copperline("models", "push", "builtin:deeppcb", "--workspace", tmp_path)
    assert ran.status == 1
    assert ran.err.startswith("error: expected credentials for Snowflake, found none; set SNOWFLAKE_ACCOUNT")
