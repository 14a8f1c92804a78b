"""The options of `copperline train` that say where the workers run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.errors import SettingsError

if TYPE_CHECKING:
    from copperline.settings import Settings
    from copperline.training import Engine
    from copperline.workspace import Workspace

TORCHRUN_FILE = "torchrun.txt"
"""In the folder of a run: the id of the torchrun that started it."""


class EngineName(StrEnum):
    """Where workers run."""

    LOCAL = "local"
    RAY = "ray"
    SNOWFLAKE = "snowflake"


EngineOption = Annotated[
    EngineName | None,
    typer.Option(
        help="Where the workers run: processes of this machine, a Ray cluster, or, inside Snowflake's Container "
        "Runtime, where its distributor starts them; default: local."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Train on so many workers, which share each step's crops; default: 1, in this process."),
]
GpusOption = Annotated[
    int | None,
    typer.Option(
        "--gpus-per-worker",
        min=0,
        max=1,
        help="0: the CPU alone; default: a GPU for each worker, if there are as many.",
    ),
]
MinWorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Go on with so many when the Ray cluster has no place for more; default: all --workers."),
]
MaxFailuresOption = Annotated[
    int | None,
    typer.Option(min=0, help="How often the workers are started again after one was lost; default: 3."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Ray cluster that this machine is a node of, or `auto`; default: a Ray of this machine alone.",
    ),
]


def chosen_engine(
    settings: Settings,
    *,
    engine: EngineName | None,
    workers: int | None,
    gpus_per_worker: int | None,
    min_workers: int | None,
    max_failures: int | None,
    address: str | None,
) -> Engine:
    """What the options stand for; None: not given.

    Raises:
        SettingsError: they contradict each other.
        SnowflakeError: Snowflake's workers are asked for anywhere else than in its Container Runtime.
        TrainingError: this machine has fewer GPUs than are asked for.
    """
    from copperline.snowflake.container import require_container_runtime
    from copperline.training import LocalWorkers, RayWorkers, SnowflakeWorkers, ThisProcess
    from copperline.training.engines import device_name_for, gpus_of_each

    given = {
        "--engine": engine,
        "--workers": workers,
        "--min-workers": min_workers,
        "--max-failures": max_failures,
        "--address": address,
    }
    if started_by_torchrun():
        if named := [name for name, value in given.items() if value is not None]:
            raise SettingsError(
                f"expected no {named[0]} under torchrun, which starts the workers itself",
                fix="leave it out, or start copperline without torchrun",
            )
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return ThisProcess(settings.cores, device_name_for(gpus_per_worker, here))
    count = workers or 1
    if min_workers is not None and min_workers > count:
        raise SettingsError(
            f"expected --min-workers of at most --workers, {count}, found {min_workers}", fix="correct one of them"
        )
    failures = 3 if max_failures is None else max_failures
    if engine is EngineName.RAY:
        return RayWorkers(
            count,
            address,
            cores=settings.cores if address in (None, "local") or settings.threads else None,
            gpus_per_worker=gpus_per_worker,
            min_workers=min_workers,
            max_failures=failures,
            wait_s=settings.training_wait_s,
            stall_s=settings.training_stall_s,
        )
    for name in ("--min-workers", "--address"):
        if given[name] is not None:
            raise SettingsError(
                f"expected {name} with --engine ray alone",
                fix="leave it out: on one machine a worker that was lost is started again"
                if name == "--min-workers"
                else "add --engine ray",
            )
    device = device_name_for(gpus_per_worker, count)
    if engine is EngineName.SNOWFLAKE:
        require_container_runtime()
        return SnowflakeWorkers(
            settings.snowflake,
            workers_per_node=count,
            gpus_per_worker=gpus_of_each(gpus_per_worker, count),
            max_failures=failures,
            stall_s=settings.training_stall_s,
        )
    if count == 1 and max_failures is None:
        return ThisProcess(settings.cores, device)
    return LocalWorkers(count, settings.cores, device, failures, settings.training_stall_s)


def started_by_torchrun() -> bool:
    """Or by whatever else sets its variables."""
    return "WORLD_SIZE" in os.environ


@contextmanager
def told_how_to_resume(folder: Path) -> Iterator[None]:
    """When Ctrl-C or SIGTERM ends the block, a line says how to go on, if there is a checkpoint."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if (folder / "checkpoint.pt").is_file():
            typer.echo(f"Stopped. The checkpoint is kept: add --resume {folder} to go on.", err=True)
        raise


def note_torchrun(folder: Path) -> None:
    """Writes down which torchrun a new run is of, for when it starts its workers again."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        (folder / TORCHRUN_FILE).write_text(os.environ["TORCHELASTIC_RUN_ID"], encoding="utf-8")


def interrupted_run(space: Workspace) -> Path | None:
    """The run that torchrun has just started again, if it kept a checkpoint; None: this is the first start."""
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0 or not any(space.runs.glob("*/checkpoint.pt")):
        return None
    last = space.last_run()
    note = last / TORCHRUN_FILE
    same = note.is_file() and note.read_text(encoding="utf-8") == os.environ.get("TORCHELASTIC_RUN_ID")
    return last if same else None
