from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from copperline import mlflow_store
from copperline.errors import ModelError, SettingsError
from copperline.settings import Settings

# What a user's first command does, in a process of its own: it must print nothing, reach nothing and leave nothing
# in the current folder or the home folder.
FIRST_USE = """
import socket, sys
from pathlib import Path
def refuse(*args, **kwargs): raise AssertionError(f"network access: {args}")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
from copperline import mlflow_store
from copperline.settings import Settings
assert "mlflow" not in sys.modules and "sqlalchemy" not in sys.modules
settings = Settings(workspace=Path(sys.argv[1]))
assert not mlflow_store.store_exists(settings)
store = mlflow_store.client(settings)
assert mlflow_store.store_exists(settings)
run = store.create_run(mlflow_store.experiment_id(store, settings, "train"))
store.log_metric(run.info.run_id, "loss", 1.5, step=1)
store.log_artifact(run.info.run_id, __file__, "code")
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
"""


BUILD = mlflow_store._build


@pytest.fixture(autouse=True)
def stores_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not copied, as in other tests: how a store is made is what these are about."""
    monkeypatch.setattr(mlflow_store, "_build", BUILD)


def test_first_use_is_silent_offline_and_keeps_to_the_workspace(tmp_path: Path) -> None:
    script, here, home = tmp_path / "first_use.py", tmp_path / "here", tmp_path / "home"
    script.write_text(FIRST_USE)
    here.mkdir()
    home.mkdir()
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "COPPERLINE", "XDG", "CI", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, script, tmp_path / "a workspace"],
        cwd=here,
        env={**keep, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert list(here.iterdir()) == []
    assert list(home.iterdir()) == []
    artifacts = [p for p in (tmp_path / "a workspace" / "artifacts" / "train").rglob("*") if p.is_file()]
    assert [p.name for p in artifacts] == ["first_use.py"]


def test_experiment_is_created_once(settings: Settings) -> None:
    store = mlflow_store.client(settings)
    first = mlflow_store.experiment_id(store, settings, "train")
    assert mlflow_store.experiment_id(store, settings, "train") == first
    assert mlflow_store.experiment_id(store, settings, "evaluate") != first
    store.delete_experiment(first)
    assert mlflow_store.experiment_id(store, settings, "train") == first
    assert store.get_experiment(first).lifecycle_stage == "active"


def test_two_at_once_create_one_store(
    fresh_settings: Settings, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def build(file: Path, uri: str) -> None:
        built.append(file)
        waiting.wait(timeout=0.2)  # gives the other one time to come
        file.write_bytes(empty_store.read_bytes())

    waiting = threading.Event()
    monkeypatch.setattr(mlflow_store, "_build", build)
    threads = [threading.Thread(target=mlflow_store.client, args=(fresh_settings,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [fresh_settings.workspace / "registry.db"]


def test_stopped_creation_leaves_no_store(fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(tracking_uri: str, registry_uri: str) -> None:
        Path(tracking_uri.removeprefix("sqlite:///")).write_bytes(b"half of the tables")
        raise KeyboardInterrupt

    monkeypatch.setattr("mlflow.tracking.MlflowClient", stopped)
    with pytest.raises(KeyboardInterrupt):
        mlflow_store.client(fresh_settings)
    assert any(fresh_settings.workspace.glob("registry.db.new"))
    assert not mlflow_store.store_exists(fresh_settings)


def test_file_that_is_no_database(fresh_settings: Settings) -> None:
    fresh_settings.workspace.mkdir()
    (fresh_settings.workspace / "registry.db").write_bytes(b"not a database" * 100)
    with pytest.raises(ModelError, match=r"the model registry cannot be used \(file is not a database\); check"):
        mlflow_store.client(fresh_settings)


def test_cut_database(settings: Settings) -> None:
    file = settings.workspace / "registry.db"
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(ModelError, match=r"the model registry cannot be used \(.*malformed"):
        mlflow_store.client(settings)


def test_workspace_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"the model registry cannot be used \(.*[Nn]ot a directory"):
        mlflow_store.client(Settings(workspace=tmp_path / "file" / "workspace"))


@pytest.mark.parametrize("uri", ["./mlruns", "http://mlflow:5000", "duckdb:///x.db", "databricks"])
def test_uri_must_be_a_database(fresh_settings: Settings, uri: str) -> None:
    with pytest.raises(SettingsError, match=r"'registry_uri': expected the URL of a database \(sqlite, postgresql"):
        mlflow_store.store_exists(fresh_settings.model_copy(update={"registry_uri": uri}))


def test_password_is_not_shown(fresh_settings: Settings) -> None:
    uri = "postgresql://plant:secret@db/mlflow"
    shown = mlflow_store.display_uri(fresh_settings.model_copy(update={"registry_uri": uri}))
    assert shown == "postgresql://plant:***@db/mlflow"
