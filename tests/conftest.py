"""What tests of several packages share: the command line in this process, a workspace that the demo made, PostgreSQL.

Also which of them run in one process when `--dist loadgroup` shares them out.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest.mock import PropertyMock, create_autospec

import hypothesis
import pytest
from hypothesis.internal.conjecture import providers
from sqlalchemy import Engine, create_engine

from copperline import mlflow_store
from copperline.data.synthetic import write_synthetic_dataset
from copperline.snowflake.own_wheel import Wheel, own_wheel
from copperline.warehouse import open_warehouse

# The same examples in every run: a failure is a failure for everybody. Hypothesis would also draw from the constants of
# all modules of ours that are imported by then, and so from what the tests before it happened to need.
hypothesis.settings.register_profile("copperline", derandomize=True)
hypothesis.settings.load_profile("copperline")
providers._get_local_constants = lambda: providers._local_constants

# Also for tests that load ONNX Runtime by itself: it would look for its maker in threads of its own.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Also for tests that load Ray by itself: it would start again for whatever asks it after a session.
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
# Variables that Python alone reads, and programs that it starts. pytest sets the first one three times for each test.
READ_BY_PYTHON = (b"PYTEST_CURRENT_TEST", b"COPPERLINE_", b"SNOWFLAKE_")


def keep_from_c(change: Callable[..., None]) -> Callable[..., None]:
    """`os.putenv` or `os.unsetenv`, but not for those variables.

    Before glibc 2.41 a process crashes if a thread reads a variable in C, as libjpeg, ONNX Runtime and Ray do all the
    time, while another thread adds one.
    """

    def changed(name: bytes, *value: bytes) -> None:
        if not name.startswith(READ_BY_PYTHON):
            change(name, *value)

    return changed


os.putenv, os.unsetenv = keep_from_c(os.putenv), keep_from_c(os.unsetenv)
start_program = subprocess.Popen.__init__


def start_with_all_variables(self: subprocess.Popen[Any], *arguments: Any, **options: Any) -> None:
    """Without this a program would get C's variables, where those are missing."""
    if options.get("env") is None:
        options["env"] = dict(os.environ)
    start_program(self, *arguments, **options)


subprocess.Popen.__init__ = start_with_all_variables  # type: ignore[method-assign]

# Files that share what takes many seconds to make; every other file is shared out by itself. The longest come first,
# so that no process has a long one left when the others are done.
TOGETHER = {
    "ray cluster": ("tests/training/engines/test_on_ray.py",),  # first, for it takes longest
    "browser": (
        "tests/dashboard/in_browser/",
        "tests/dashboard/test_sign_in_browser.py",
        "tests/dashboard/test_vision_lab_in_browser.py",
    ),
    "demo": (
        "tests/workflows/test_demo.py",
        "tests/cli/test_commands.py",
        "tests/cli/test_errors.py",
        "tests/cli/test_evaluate.py",
        "tests/cli/test_readme.py",
        "tests/cli/test_shipped_models.py",
        "tests/cli/test_training_engine.py",
        "tests/cli/test_two_processes.py",
    ),
}


def group_of(nodeid: str) -> str:
    """The tests that run in one process with this one: a group, or those of its file."""
    file = nodeid.partition("::")[0]
    return next((group for group, files in TOGETHER.items() if file.startswith(files)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups first, doctests last: they take no time, and fill what is left of it evenly.

    Of the tests on any database, those on Snowflake run that are marked `on_snowflake`: a statement takes a hundred
    times as long there, because fakesnow translates it. With COPPERLINE_ALL_ON_SNOWFLAKE=1 all run, for half an hour.
    """
    if not os.environ.get("COPPERLINE_ALL_ON_SNOWFLAKE"):
        items[:] = [item for item in items if not _is_slow(item)]
    order = {group: place for place, group in enumerate(TOGETHER)}

    def place(item: pytest.Item) -> int:
        return order.get(group_of(item.nodeid), len(order) + item.nodeid.startswith("src/"))

    items.sort(key=place)


def _is_slow(item: pytest.Item) -> bool:
    on = getattr(item, "callspec", None)
    return on is not None and on.params.get("any_url") == "snowflake" and not item.get_closest_marker("on_snowflake")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares out by `group_of`: pytest-xdist 3.8 cannot tell pytest 9.2 of its own mark `xdist_group`."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # in the order of the collection, not the files with most tests first
    return ByGroup(config, log)


def pytest_sessionstart() -> None:
    """Under `unshare -n` even loopback is down, which tests with a server of their own need: switches it on."""
    if sys.platform != "linux":
        return
    import fcntl

    get_flags, set_flags, up = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP of <linux/if.h>
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, contextlib.suppress(PermissionError):
        request = struct.pack("16sH14x", b"lo", 0)
        name, flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, get_flags, request))
        if not flags & up:
            fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", name, flags | up))


@pytest.fixture(scope="session", autouse=True)
def stores_are_copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow's tables take a second to make: they are made once in this process, and copied for each new workspace."""
    build, empty = mlflow_store._build, tmp_path_factory.mktemp("store") / "registry.db"

    def copied(file: Path, uri: str) -> None:
        if not empty.exists():
            build(empty, f"sqlite:///{empty}")
        shutil.copyfile(empty, file)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mlflow_store, "_build", copied)
        yield


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def copperline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the command line in this process, as its entry point does."""
    from copperline.cli import main

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["copperline", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


@dataclass(frozen=True)
class DemoRun:
    """A finished demo: its workspace, the boards it was given, its JSON and what it printed for people."""

    workspace: Path
    data: Path
    result: dict[str, Any]
    messages: str


def offline(command: list[str]) -> list[str]:
    """The command without any network, where the system lets a test take it away."""
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    try:
        possible = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        possible = False
    return [*unshare, *command] if possible else command


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The whole loop in a process of its own, on a few small boards, for one epoch, without a network."""
    folder = tmp_path_factory.mktemp("demo")
    data, workspace = folder / "boards", folder / "workspace"
    write_synthetic_dataset(data, train=12, test=4, size=320, processes=1)
    command = [sys.executable, "-m", "copperline", "demo", "--no-dashboard", "--json", "--epochs", "1"]
    command += ["--data", str(data), "--workspace", str(workspace)]
    one_core = {**os.environ, "COPPERLINE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(offline(command), capture_output=True, text=True, check=False, timeout=300, env=one_core)
    assert run.returncode == 0, run.stderr
    return DemoRun(workspace, data, json.loads(run.stdout.splitlines()[-1]), run.stderr)


POSTGRES = Path("/usr/lib/postgresql")


@pytest.fixture(scope="session")
def new_postgresql() -> Iterator[Callable[[], str]]:
    """Gives URLs of empty databases on a PostgreSQL server of its own; skips where there is none to start."""
    pytest.importorskip("pg8000", reason="the driver pg8000 is not installed")
    found = shutil.which("initdb") or max(map(str, POSTGRES.glob("*/bin/initdb")), default=None)
    if found is None:
        pytest.skip(f"no PostgreSQL server on the PATH or in {POSTGRES}")
    programs = Path(found).parent
    # Not in pytest's folder, which other users cannot enter, and short: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="copperline-pg-", dir="/tmp"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    how: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, **user}
    log = folder / "log"
    try:
        with log.open("wb") as messages:
            made = [programs / "initdb", "-D", "data", "-U", "copperline", "-E", "UTF8", "--auth=trust", "--no-sync"]
            subprocess.run(made, check=True, stdout=messages, stderr=messages, **how)
            quick = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses="]
            server = [programs / "postgres", "-D", "data", "-k", folder, *(w for s in quick for w in ("-c", s))]
            # The shell stops the server when its input ends: also when these tests are killed.
            until = '"$@" & read -r _; kill -INT $!; wait'
            process = subprocess.Popen(
                ["sh", "-c", until, "sh", *server], stdin=subprocess.PIPE, stdout=messages, stderr=messages, **how
            )
        try:
            yield _databases(folder / ".s.PGSQL.5432", log)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder)


def _databases(socket: Path, log: Path) -> Callable[[], str]:
    deadline = time.monotonic() + 60
    # The socket is there before the server takes anybody.
    while "ready to accept connections" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    made = 0

    def new() -> str:
        nonlocal made
        made += 1
        admin = create_engine(url.format("postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE w{made}")
        admin.dispose()
        return url.format(f"w{made}")

    url = f"postgresql+pg8000://copperline@/{{}}?unix_sock={socket}"
    return new


@pytest.fixture(params=["sqlite", "postgresql", "snowflake"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind; on Snowflake the tables are there already, without keys."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'any.db'}"
    return str(request.getfixturevalue(f"new_{request.param}")())


@pytest.fixture
def any_engine(any_url: str) -> Iterator[Engine]:
    engine = open_warehouse(any_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def snowflake_server() -> Iterator[dict[str, Any]]:
    """How the connector reaches a server that speaks Snowflake's protocol, in this process, on loopback."""
    fakesnow = pytest.importorskip("fakesnow", reason="fakesnow is not installed")
    from sqlglot.generators.duckdb import DuckDBGenerator

    # DuckDB, which fakesnow runs everything on, reserves a word that Snowflake does not.
    DuckDBGenerator.RESERVED_KEYWORDS.add("at")
    with fakesnow.server() as parameters, _writers_are_turned_away(), _no_time_stays_null():
        for name in ("sqlglot", "fakesnow.server", "uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # a line for each request and each comment of a column
        yield parameters


@contextlib.contextmanager
def _writers_are_turned_away() -> Iterator[None]:
    """Where Snowflake lets a writer wait for another, DuckDB fails: told here as Snowflake tells that too many wait."""
    import duckdb
    from fakesnow.cursor import FakeSnowflakeCursor
    from snowflake.connector.errors import ProgrammingError

    execute = FakeSnowflakeCursor._execute

    def told(self: Any, *arguments: Any) -> None:
        try:
            execute(self, *arguments)
        except duckdb.TransactionException as error:
            raise ProgrammingError(msg=str(error), errno=625, sqlstate="57014") from error

    FakeSnowflakeCursor._execute = told
    try:
        yield
    finally:
        FakeSnowflakeCursor._execute = execute


@contextlib.contextmanager
def _no_time_stays_null() -> Iterator[None]:
    """fakesnow 0.12 sends a time that is null as 1970."""
    import pyarrow
    from fakesnow import arrow

    sent = arrow.timestamp_to_sf_struct

    def with_nulls(times: Any) -> Any:
        whole = times.combine_chunks() if isinstance(times, pyarrow.ChunkedArray) else times
        parts = sent(whole)
        filled = [part.fill_null(0) for part in parts.flatten()]
        return pyarrow.StructArray.from_arrays(filled, fields=list(parts.type), mask=whole.is_null())

    arrow.timestamp_to_sf_struct = with_nulls
    try:
        yield
    finally:
        arrow.timestamp_to_sf_struct = sent


@pytest.fixture
def new_snowflake(
    snowflake_server: dict[str, Any], snowflake_tables: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], str]:
    """Gives URLs of schemas with empty tables without keys, as Snowflake does not enforce them.

    The environment has the credentials.
    """
    import snowflake.connector

    for name in ("user", "password", "account", "host", "port", "protocol"):
        monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", str(snowflake_server[name]))
    monkeypatch.setattr("copperline.snowflake.session._ANSWER_S", 5)

    def new() -> str:
        database = f"W{next(_NUMBERS)}"
        snowflake.connector.connect(**snowflake_server, database=database, schema="TABLES").close()
        with sys.modules["fakesnow.server"].shared_fs.duck_conn.cursor() as inside:
            inside.execute(f"USE {database}.TABLES; {snowflake_tables}")
        return f"snowflake://{database}/TABLES"

    return new


_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def snowflake_tables(snowflake_server: dict[str, Any]) -> str:
    """What makes the tables in DuckDB in an instant; once they were made through the server, which takes a second."""
    import snowflake.connector

    from copperline.warehouse.snowflake_ddl import table_statements

    with snowflake.connector.connect(**snowflake_server, database="TEMPLATE", schema="TABLES") as connection:
        cursor = connection.cursor()
        for _, statement in table_statements():
            cursor.execute(re.sub(r",\n  (PRIMARY|FOREIGN) KEY [^\n]*?(?=,?\n)", "", statement))
    with sys.modules["fakesnow.server"].shared_fs.duck_conn.cursor() as inside:
        made = inside.execute("SELECT sql FROM duckdb_tables() WHERE schema_name = 'TABLES'").fetchall()
    rows = [
        f"INSERT INTO {table} SELECT * FROM TEMPLATE.TABLES.{table};"
        for table in ("copperline_schema_version", "copperline_write_lock")
    ]
    return "".join([*(statement for (statement,) in made), *rows])


@pytest.fixture(scope="session")
def wheel() -> Wheel:
    """Of the Copperline that runs here; made once, for it takes half a second."""
    return own_wheel({"dashboard", "snowflake"})


@pytest.fixture
def container_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lets this process be a notebook in Snowflake's Container Runtime: see `tests/snowflake_runtime`."""
    pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    monkeypatch.syspath_prepend(Path(__file__).parent / "snowflake_runtime")
    import container_runtime as stand_in

    (stages := tmp_path / "stages").mkdir()
    monkeypatch.setenv(stand_in.STAGES, str(stages))
    with stand_in.installed(stages) as runtime:
        yield runtime


@pytest.fixture
def snowpark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The active Snowpark session, in local testing: its stages hold real files. LIST, which it lacks, walks them."""
    snowpark = pytest.importorskip("snowflake.snowpark", reason="Snowpark is not installed")
    from snowflake.snowpark.mock._stage_registry import extract_stage_name_and_prefix

    from copperline.stage import snowflake_files

    session = snowpark.Session.builder.config("local_testing", True).create()

    def listed(of: Any, place: Any) -> list[dict[str, Any]]:
        stage, _ = extract_stage_name_and_prefix(place.in_sql)
        root = Path(of._conn.stage_registry[stage]._working_directory)
        files = [path for path in root.rglob("*") if path.is_file()]
        return [
            {
                "name": f"{place.stage.lower()}/{path.relative_to(root).as_posix()}",
                "size": path.stat().st_size,
                "md5": hashlib.md5(path.read_bytes()).hexdigest(),
                "last_modified": formatdate(path.stat().st_mtime, usegmt=True),
            }
            for path in files
        ]

    monkeypatch.setattr(snowflake_files, "_list", listed)
    monkeypatch.setattr(snowflake_files, "_PAUSE_S", 0.01)
    try:
        yield session
    finally:
        session.close()


class SnowflakeAccount:
    """What an account keeps of one model. No account is at hand: its registry, model and versions are Snowflake ML's
    own classes by specification, so that each call is held to their arguments; what they keep is kept here, exported
    files are real ones.

    Attributes:
        rows: of SHOW VERSIONS, by name.
        registry: what opening the account's registry gives.
        default: name of the default version.
        logged: arguments of each `log_model`.
        moves_taken_aliases: whether an alias that is taken may be set elsewhere at once.
        failing: what to raise in which call.
        meanwhile: called in the middle of `log_model`, as somebody who is faster.
    """

    def __init__(self, folder: Path) -> None:
        from snowflake.ml.registry import Registry

        self.folder = folder
        self.registry = create_autospec(Registry, instance=True)
        self.registry.get_model.side_effect = self._get_model
        self.registry.log_model.side_effect = self._log_model
        self.rows: dict[str, dict[str, Any]] = {}
        self.default: str | None = None
        self.logged: list[dict[str, Any]] = []
        self.moves_taken_aliases = True
        self.failing: dict[str, Exception] = {}
        self.meanwhile: Callable[[], None] = lambda: None

    def add(self, name: str, metrics: dict[str, Any] | None = None) -> None:
        import pandas as pd

        metadata = None if metrics is None else {"snowpark_ml_schema_version": "2024-01-01", "metrics": metrics}
        self.rows[name] = {
            "created_on": pd.Timestamp("2026-03-03 21:06", tz="America/Los_Angeles"),
            "name": name,
            "aliases": json.dumps(["DEFAULT", "FIRST"] if not self.rows else ["LAST"]),
            "metadata": None if metadata is None else json.dumps(metadata),
        }
        self.default = self.default or name

    def aliases(self, name: str) -> list[str]:
        found: list[str] = json.loads(self.rows[name]["aliases"])
        return found

    def _fail(self, what: str) -> None:
        if what in self.failing:
            raise self.failing[what]

    def _get_model(self, model_name: str) -> Any:
        import pandas as pd
        from snowflake.ml.model import Model

        self._fail("get_model")
        assert model_name == '"YOLO_PCB_DETECTOR"'
        if not self.rows:
            raise ValueError(f"Unable to find model {model_name}")
        model = create_autospec(Model, instance=True)
        model.version.side_effect = self._version
        model.show_versions.side_effect = lambda: pd.DataFrame(list(self.rows.values()))
        type(model).default = PropertyMock(side_effect=self._set_default)
        return model

    def _set_default(self, name: str) -> None:
        self._fail("default")
        self.default = name

    def _log_model(self, model: Any, **arguments: Any) -> None:
        self.meanwhile()
        self._fail("log_model")
        name = arguments["version_name"]
        if name in self.rows:
            raise ValueError(f"Model YOLO_PCB_DETECTOR version {name} already existed.")
        self.logged.append({"model": model, **arguments})
        files = self.folder / name / "model" / "models" / "detector" / "artifacts"
        files.mkdir(parents=True)
        for file in model.context.artifacts.values():
            shutil.copy(file, files)
        self.add(name, arguments["metrics"])

    def _version(self, version_or_alias: str) -> Any:
        from snowflake.ml.model import ModelVersion

        if version_or_alias not in self.rows:
            raise ValueError(f"Unable to find version or alias with name {version_or_alias}")
        version = create_autospec(ModelVersion, instance=True)
        version.set_alias.side_effect = lambda alias_name: self._set_alias(version_or_alias, alias_name)
        version.unset_alias.side_effect = self._unset_alias
        version.export.side_effect = lambda target_path: self._export(version_or_alias, target_path)
        version.run.side_effect = self._run
        return version

    def _set_alias(self, name: str, alias: str) -> None:
        self._fail(f"set_alias {name}")
        holder = next((row for row in self.rows if alias.upper() in self.aliases(row)), None)
        if holder is not None and not self.moves_taken_aliases:
            raise ValueError(f"Alias {alias.upper()} is used by version {holder}.")
        self._unset_alias(alias)
        self.rows[name]["aliases"] = json.dumps([*self.aliases(name), alias.upper()])

    def _unset_alias(self, version_or_alias: str) -> None:
        for name in self.rows:
            self.rows[name]["aliases"] = json.dumps([a for a in self.aliases(name) if a != version_or_alias.upper()])

    def _export(self, name: str, target: str) -> None:
        self._fail("export")
        assert list(Path(target).iterdir()) == []  # or the real one refuses
        shutil.copytree(self.folder / name, target, dirs_exist_ok=True)

    def _run(self, frame: Any, function_name: str) -> Any:
        import pandas as pd

        assert function_name == "PREDICT"
        rows = [
            {"call": "FAIL", "registration_score": 0.9, "detections": '[{"class": "open"}]', "error": None},
            {"call": None, "registration_score": None, "detections": None, "error": "image: damaged"},
        ]
        return pd.DataFrame([{**given, **rows[n]} for n, given in enumerate(frame.to_dict("records"))])


@pytest.fixture
def snowflake_account(tmp_path: Path, snowpark: Any, monkeypatch: pytest.MonkeyPatch) -> SnowflakeAccount:
    """The registry of an account with nothing in it, which the active session is of."""
    registry = pytest.importorskip("snowflake.ml.registry", reason="Snowflake ML is not installed")
    account = SnowflakeAccount(tmp_path / "account")

    def opened(session: Any, *, database_name: str, schema_name: str, options: dict[str, Any]) -> Any:
        assert session is snowpark
        assert (database_name, schema_name) == ('"PCB_CV"', '"PUBLIC"')
        account._fail("open")
        return account.registry

    monkeypatch.setattr(registry, "Registry", create_autospec(registry.Registry, side_effect=opened))
    return account


S3_KEYS = {
    "AWS_ACCESS_KEY_ID": "copperline",
    "AWS_SECRET_ACCESS_KEY": "of the tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3, in this process, on loopback."""
    server_of = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = server_of.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture
def s3_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables (None: takes them away) and has drivers of object stores made anew, which remember them."""

    def anew(**variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        _forget_s3()

    yield anew
    _forget_s3()


def _forget_s3() -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def s3(s3_server: str, s3_anew: Callable[..., None], tmp_path: Path) -> Iterator[Any]:
    """A client of an S3 server with an empty bucket `boards`; the environment has its keys and its address."""
    import boto3
    import requests

    nowhere = str(tmp_path / "no-profiles")
    own = {"AWS_ENDPOINT_URL": s3_server, "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere}
    s3_anew(**S3_KEYS, **own, AWS_PROFILE=None, AWS_SESSION_TOKEN=None, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="boards")
    yield client
    client.close()
    requests.post(f"{s3_server}/moto-api/reset", timeout=10).raise_for_status()


@pytest.fixture
def s3_checks_keys(s3_server: str) -> Iterator[Callable[[], None]]:
    """Makes the server refuse all keys that it has not given out."""
    import requests

    def check(requests_before: str = "0") -> None:
        requests.post(f"{s3_server}/moto-api/reset-auth", data=requests_before, timeout=10).raise_for_status()

    yield check
    check("inf")
