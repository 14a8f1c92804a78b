"""Stands for what only Snowflake's Container Runtime has: its distributor and its sharded connector.

Calls are checked as its reference describes them, by name and type. Workers are real processes, which read shards,
meet through gloo and write to one stage: that of Snowpark's local testing, in a folder that they all share.
"""

from __future__ import annotations

import importlib.machinery
import inspect
import multiprocessing
import os
import pickle
import socket
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from copperline.data import BoardPair
from copperline.data.yolo import yolo_text
from copperline.labeled_board import COLUMNS, TABLE, LabeledBoard
from copperline.snowflake_settings import SnowflakeSettings

STAGES = "COPPERLINE_TEST_STAGES"
END_S = 60.0
# What takes seconds to import is imported once, in the process that workers are forked from.
PRELOADED = [
    "container_runtime",
    "copperline.training.engines.snowflake_worker",
    "snowflake.snowpark.mock._stage_registry",
    "snowflake.snowpark.mock._connection",
    "pandas",
]


@dataclass(frozen=True)
class WorkerResourceConfig:
    num_cpus: float
    num_gpus: float


@dataclass(frozen=True)
class PyTorchScalingConfig:
    num_nodes: int
    num_workers_per_node: int
    resource_requirements_per_worker: WorkerResourceConfig

    def __post_init__(self) -> None:
        assert type(self.num_nodes) is int and self.num_nodes >= 1
        assert type(self.num_workers_per_node) is int and self.num_workers_per_node >= 1
        assert isinstance(self.resource_requirements_per_worker, WorkerResourceConfig)


class ShardedDataConnector:
    """Every n-th row for each worker, so that the order is not that of the table."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    @classmethod
    def from_dataframe(cls, df: Any, ingestor_class: Any = None, *, equal: bool = True) -> ShardedDataConnector:
        from snowflake.snowpark import DataFrame

        assert isinstance(df, DataFrame)
        assert not equal, "rows may be dropped"
        return cls(df.to_pandas())

    def get_shard(self) -> ShardedDataConnector:
        context = get_context()
        return ShardedDataConnector(self._frame.iloc[context.get_rank() :: context.get_world_size()])

    def to_pandas(self, limit: int | None = None) -> Any:
        return self._frame


@dataclass(frozen=True)
class Context:
    rank: int
    local_rank: int
    world_size: int
    hyper_params: dict[str, str]
    model_dir: str
    dataset_map: dict[str, ShardedDataConnector]
    port: int
    workers_per_node: int

    def get_rank(self) -> int:
        return self.rank

    def get_local_rank(self) -> int:
        return self.local_rank

    def get_world_size(self) -> int:
        return self.world_size

    def get_hyper_params(self) -> dict[str, str]:
        return self.hyper_params

    def get_model_dir(self) -> str:
        return self.model_dir

    def get_dataset_map(self) -> dict[str, ShardedDataConnector]:
        return self.dataset_map

    def get_master_addr(self) -> str:
        return "127.0.0.1"

    def get_master_port(self) -> int:
        return self.port


_context: Context | None = None


def get_context() -> Context:
    assert _context is not None, "outside of a worker there is no context"
    return _context


class PyTorchDistributor:
    """Attributes:
    running: the processes of the last run, by rank.
    calls: what `run` was given.
    """

    running: tuple[Any, ...] = ()
    calls: list[dict[str, Any]] = []  # noqa: RUF012  of the class, for tests to look at

    def __init__(self, train_func: Callable[..., Any], scaling_config: PyTorchScalingConfig | None = None) -> None:
        assert not inspect.signature(train_func).parameters
        assert isinstance(scaling_config, PyTorchScalingConfig)
        self._train_func, self._scaling = pickle.dumps(train_func), scaling_config

    def run(
        self,
        *,
        dataset_map: dict[str, Any] | None = None,
        hyper_params: dict[str, str] | None = None,
        artifact_stage_location: str | None = None,
    ) -> None:
        assert all(isinstance(each, ShardedDataConnector) for each in (dataset_map or {}).values())
        assert all(type(key) is str and type(value) is str for key, value in (hyper_params or {}).items())
        assert artifact_stage_location is None or not artifact_stage_location.startswith("@")
        type(self).calls.append({"scaling": self._scaling, "hyper_params": hyper_params, "data": dataset_map})
        size = self._scaling.num_nodes * self._scaling.num_workers_per_node
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = multiprocessing.get_context("forkserver")
        started.set_forkserver_preload(PRELOADED)
        queue = started.SimpleQueue()
        processes = []
        for rank in range(size):
            model_dir = Path(os.environ[STAGES]) / "model-dir"
            model_dir.mkdir(exist_ok=True)
            each = self._scaling.num_workers_per_node
            context = Context(
                rank, rank % each, size, hyper_params or {}, str(model_dir), dataset_map or {}, port, each
            )
            arguments = (self._train_func, context, os.environ[STAGES], queue)
            processes.append(started.Process(target=_worker, args=arguments, daemon=True))
        for process in processes:
            process.start()
        type(self).running = tuple(processes)
        self._wait(processes, queue)

    @staticmethod
    def _wait(processes: Sequence[Any], queue: Any) -> None:
        while any(process.is_alive() for process in processes) and not any(p.exitcode for p in processes):
            time.sleep(0.02)
        deadline = time.monotonic() + END_S
        for process in processes:
            process.join(max(deadline - time.monotonic(), 0))
            if process.is_alive():
                process.kill()
        if any(process.exitcode for process in processes):
            raise RuntimeError("a worker failed: " + ("it died" if queue.empty() else queue.get()))


def _worker(train_func: bytes, context: Context, stages: str, errors: Any) -> None:
    global _context
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    for variable in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(variable, None)
    _context = context
    node = context.rank // max(context.workers_per_node, 1)
    if hasattr(os, "sched_setaffinity"):  # a worker has the cores of its node, not those of all
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[node % len(cores)]})
    tempfile.tempdir = str(Path(stages) / f"disk-{node}")
    Path(tempfile.tempdir).mkdir(exist_ok=True)
    install()
    local_session(Path(stages))
    try:
        pickle.loads(train_func)()
    except BaseException as error:
        errors.put(str(error))
        raise


def install() -> None:
    """The modules, under the names that they have in the Container Runtime."""
    distributors = module("snowflake.ml.modeling.distributors")
    distributors.__path__ = []
    pytorch = module("snowflake.ml.modeling.distributors.pytorch")
    for content in (PyTorchDistributor, PyTorchScalingConfig, WorkerResourceConfig, get_context):
        setattr(pytorch, content.__name__, content)
    sharded = module("snowflake.ml.data.sharded_data_connector")
    sharded.ShardedDataConnector = ShardedDataConnector  # type: ignore[attr-defined]
    sys.modules.update({each.__name__: each for each in (distributors, pytorch, sharded)})


@contextmanager
def installed(stages: Path) -> Iterator[ContainerRuntime]:
    """The modules and a session for this process, until the block ends."""
    from snowflake.snowpark.mock import _stage_registry

    before, stage_before = set(sys.modules), _stage_registry.StageEntity
    install()
    session = local_session(stages)
    PyTorchDistributor.calls.clear()
    try:
        yield ContainerRuntime(stages, session)
    finally:
        for name in {name for name in sys.modules if ".distributors" in name or ".sharded_data" in name} - before:
            del sys.modules[name]
        session.close()
        _stage_registry.StageEntity = stage_before


@dataclass(frozen=True)
class ContainerRuntime:
    """Attributes:
    stages: folder below which the stages lie.
    session: the active one.
    distributor: the class of the distributor.
    """

    stages: Path
    session: Any
    distributor: type[PyTorchDistributor] = PyTorchDistributor

    def stage(self, names: SnowflakeSettings) -> Path:
        """Where the files of the stage are on this machine."""
        return self.stages / quote(names.in_schema(names.stage)[1:-1], safe="")

    def write_table(self, names: SnowflakeSettings, rows: Sequence[LabeledBoard]) -> None:
        """Fills `pcb_labeled_data`."""
        from snowflake.snowpark.types import BinaryType, StringType, StructField, StructType

        kinds = (StringType(), BinaryType(), StringType(), StringType(), BinaryType(), StringType())
        fields = [StructField(name.upper(), kind) for name, kind in zip(COLUMNS, kinds, strict=True)]
        frame = self.session.create_dataframe([astuple(row) for row in rows], StructType(fields))
        frame.write.save_as_table(names.in_schema(TABLE.upper()), mode="overwrite")

    @staticmethod
    def rows_of(pairs: Iterable[BoardPair]) -> list[LabeledBoard]:
        """As the table's writer makes them."""
        return [
            LabeledBoard(
                pair.test_path.name,
                pair.test_path.read_bytes(),
                yolo_text(pair),
                pair.split,
                None if pair.reference_path is None else pair.reference_path.read_bytes(),
                pair.board_group,
            )
            for pair in pairs
        ]


def module(name: str) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None)
    return made


def local_session(stages: Path) -> Any:
    """A session of Snowpark's local testing, whose stages are folders below `stages` and outlive it."""
    from snowflake.snowpark import Session
    from snowflake.snowpark.mock import _stage_registry

    class SharedStage(_stage_registry.StageEntity):
        def __init__(self, root_dir_path: str, stage_name: str, conn: Any) -> None:
            self._stage_name, self._conn = stage_name, conn
            self._working_directory = str(stages / quote(stage_name, safe=""))
            Path(self._working_directory).mkdir(exist_ok=True)

        def upload_stream(self, input_stream: Any, stage_prefix: str, file_name: str, overwrite: bool = False) -> Any:
            """As a stage does it: nobody sees half a file."""
            half = f".{file_name}.{os.getpid()}.{threading.get_ident()}.tmp"
            sent = super().upload_stream(input_stream, stage_prefix, half, overwrite=True)
            place = Path(self._working_directory, stage_prefix, half)
            if overwrite or not place.with_name(file_name).exists():
                place.replace(place.with_name(file_name))
            else:
                place.unlink()
            return sent

    _stage_registry.StageEntity = SharedStage
    return Session.builder.config("local_testing", True).create()
