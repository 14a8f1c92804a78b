import os
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
