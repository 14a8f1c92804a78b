import os
from datetime import time
from pathlib import Path

import pytest

from copperline.errors import CopperlineError, SettingsError
from copperline.settings import Settings


def test_argument_over_variable_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.load().workspace == Path("copperline-workspace")
    Path("copperline.toml").write_text('workspace = "from-file"\nmodel_name = "m"\n')
    assert Settings.load().workspace == Path("from-file")
    monkeypatch.setenv("COPPERLINE_WORKSPACE", "from-variable")
    assert Settings.load().workspace == Path("from-variable")
    assert Settings.load(Path("given")).workspace == Path("given")
    assert Settings.load().model_name == "m"


def test_stores_are_in_the_workspace_unless_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(tmp_path)
    assert settings.warehouse == f"sqlite:///{tmp_path}/warehouse.db"
    assert settings.registry == f"sqlite:///{tmp_path}/registry.db"
    monkeypatch.setenv("COPPERLINE_WAREHOUSE_URL", "postgresql://h/d")
    assert Settings.load(tmp_path).warehouse == "postgresql://h/d"


def test_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().cores == len(os.sched_getaffinity(0))
    monkeypatch.setenv("COPPERLINE_THREADS", "3")
    assert Settings.load().cores == 3


def test_wrong_value_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_THREADS", "many")
    with pytest.raises(SettingsError, match="threads"):
        Settings.load()


def test_toml_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("copperline.toml").write_text("workspace = ")
    with pytest.raises(SettingsError, match=r"copperline\.toml"):
        Settings.load()


def test_messages_are_one_line_with_place_and_remedy() -> None:
    error = CopperlineError("expected\n a, found b", where=Path("x.txt"), line=7, fix="do c")
    assert str(error) == "x.txt:7: expected a, found b; do c"
    assert str(CopperlineError("plain")) == "plain"


def test_plant_and_dashboard_from_toml_and_from_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    default = Settings.load()
    assert (default.time_zone, default.shift_starts) == ("UTC", (time(6), time(14), time(22)))
    assert (default.dashboard_sign_in, default.dashboard_reviewers) == (False, ())
    Path("copperline.toml").write_text(
        'time_zone = "Asia/Kolkata"\nshift_starts = ["07:00", 19:00:00]\n'
        'dashboard_sign_in = true\ndashboard_reviewers = ["ann@plant.example"]\n'
    )
    read = Settings.load()
    assert (read.time_zone, read.shift_starts) == ("Asia/Kolkata", (time(7), time(19)))
    assert (read.dashboard_sign_in, read.dashboard_reviewers) == (True, ("ann@plant.example",))
    monkeypatch.setenv("COPPERLINE_DASHBOARD_SIGN_IN", "snowflake")
    monkeypatch.setenv("COPPERLINE_DASHBOARD_REVIEWER_ROLE", "qa_leads")
    assert Settings.load().dashboard_sign_in == "snowflake"
    assert Settings.load().dashboard_reviewer_role == "QA_LEADS"
    monkeypatch.setenv("COPPERLINE_SHIFT_STARTS", '["00:00"]')
    monkeypatch.setenv("COPPERLINE_DASHBOARD_REVIEWERS", '["bo@plant.example", "cy@plant.example"]')
    assert Settings.load().shift_starts == (time(0),)
    assert Settings.load().dashboard_reviewers == ("bo@plant.example", "cy@plant.example")


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../../etc/passwd", "CEST+2", "Europe"])
def test_an_unknown_time_zone_is_refused(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("COPPERLINE_TIME_ZONE", zone)
    with pytest.raises(SettingsError, match=r"'time_zone'.*Europe/Berlin.*COPPERLINE_TIME_ZONE"):
        Settings.load()


@pytest.mark.parametrize(
    "starts",
    [
        "[]",
        '["14:00", "06:00"]',
        '["06:00", "06:00"]',
        '["06:30"]',
        '["06:00:01"]',
        '["06:00:00.5"]',
        '["06:00+02:00"]',
        '["24:00"]',
        '["six"]',
        "06:00",
    ],
)
def test_shifts_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch, starts: str) -> None:
    monkeypatch.setenv("COPPERLINE_SHIFT_STARTS", starts)
    with pytest.raises(SettingsError, match="shift_starts"):
        Settings.load()


def test_reviewers_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_DASHBOARD_REVIEWERS", "ann@plant.example")
    with pytest.raises(SettingsError, match="dashboard_reviewers"):
        Settings.load()
