"""The one door to MLflow, which keeps the training runs and the model versions.

MLflow takes more than a second to import and would create `./mlruns`, print INFO lines and send usage events. Here
it is imported only when a store is opened, its artifacts stay in the workspace, and it is silent and offline.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from copperline.errors import ModelError, SettingsError
from copperline.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
BUSY_SECONDS = 60.0


def client(settings: Settings) -> MlflowClient:
    """A client of the store at `settings.registry`; the first use creates an SQLite store (about 2 seconds).

    Raises:
        SettingsError: `settings.registry` is not the URL of a database that MLflow can use.
        ModelError: the store is damaged, out of date or cannot be written.
    """
    uri = settings.registry
    _require_database(uri)
    import_quietly()
    from mlflow.tracking import MlflowClient

    with store_errors(settings):
        file = _sqlite_file(uri)
        if file is not None:
            _prepare(file, uri)
        store = MlflowClient(tracking_uri=uri, registry_uri=uri)
        # MLflow connects at the first question: ask one here, so that a store that cannot be used is reported here.
        store.search_registered_models(max_results=1)
    return store


def store_exists(settings: Settings) -> bool:
    """False if the store is an SQLite file that nothing has been written to yet; opening it would create it."""
    _require_database(settings.registry)
    file = _sqlite_file(settings.registry)
    return file is None or file.exists()


def artifact_root(settings: Settings) -> Path:
    """Absolute path of the folder under which all run artifacts and model versions are kept."""
    return settings.workspace.absolute() / "artifacts"


def experiment_id(store: MlflowClient, settings: Settings, name: str) -> str:
    """The id of the experiment `name`, created if need be; its artifacts are in `<workspace>/artifacts/<name>`."""
    from mlflow.exceptions import MlflowException

    with store_errors(settings):
        experiment = store.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(store.create_experiment(name, artifact_location=(artifact_root(settings) / name).as_uri()))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            experiment = store.get_experiment_by_name(name)  # another process was faster
            assert experiment is not None
        if experiment.lifecycle_stage == "deleted":
            store.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)


@contextmanager
def store_errors(settings: Settings) -> Iterator[None]:
    """Turns what MLflow, its database or the disk raise inside the block into a ModelError of one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        reason = re.sub(r"^\([\w.]+\) ", "", first_line)  # SQLAlchemy begins with the driver's exception class
        raise ModelError(
            f"the model registry cannot be used ({reason})",
            where=display_uri(settings),
            fix="check the setting registry_uri and that the store is complete and writable, or restore it",
        ) from error


def display_uri(settings: Settings) -> str:
    """`settings.registry` without its password, for messages."""
    from sqlalchemy.engine import make_url

    return make_url(settings.registry).render_as_string(hide_password=True)


def _require_database(uri: str) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        kind = make_url(uri).get_backend_name()
    except ArgumentError:
        kind = uri.partition(":")[0]
    if kind not in DATABASES:
        raise SettingsError(
            f"setting 'registry_uri': expected the URL of a database ({', '.join(DATABASES)}), found {kind!r}",
            fix="write it as sqlite:////path/registry.db or postgresql://user@host/name",
        )


def _sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite URL, or None for another database or one in memory."""
    from sqlalchemy.engine import make_url

    url = make_url(uri)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def import_quietly() -> None:
    """MLflow's first import: no usage events to its makers, and no lines on the console.

    Whatever MLflow logs as an error it also raises, and `store_errors` gives that to the user in one line.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as tqdm's, which misses its widgets in a notebook
        import mlflow
        from mlflow.telemetry import get_telemetry_client, set_telemetry_client
        from mlflow.tracking import MlflowClient  # noqa: F401  what `client` imports next

    if get_telemetry_client() is not None:  # MLflow was imported by someone else, with its defaults
        set_telemetry_client()  # type: ignore[no-untyped-call]
    for name in (mlflow.__name__, "alembic"):
        logging.getLogger(name).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())


def _prepare(file: Path, uri: str) -> None:
    """Makes sure that `file` is a readable SQLite database with MLflow's tables.

    MLflow retries for minutes on a damaged file, and two processes that create the tables at once break each other,
    as does a process that is stopped half-way. So a file that is there is read first, and a new one is built beside
    its place, under a lock, and then moved there whole.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=BUSY_SECONDS):
            if not file.exists():
                _build(file, uri)
    # `rw` and not `ro`: after a crash the first reader has to roll back. SQLite reads read-only files with it too.
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as database:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _build(file: Path, uri: str) -> None:
    from mlflow.tracking import MlflowClient
    from sqlalchemy.engine import make_url

    building = file.with_name(f"{file.name}.new")
    building.unlink(missing_ok=True)
    building_uri = make_url(uri).set(database=str(building)).render_as_string(hide_password=False)
    MlflowClient(tracking_uri=building_uri, registry_uri=building_uri).search_experiments(max_results=1)
    building.replace(file)
