"""`copperline snowflake train`."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import (
    BatchSizeOption,
    CropSizeOption,
    CropsPerPairOption,
    EpochsOption,
    InitOption,
    JsonOption,
    LearningRateOption,
    MicroBatchOption,
    NetworkOption,
    TargetRecallOption,
    WorkspaceOption,
    per_cent,
    print_json,
    say,
    settings_for,
)
from copperline.cli.train import run_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from copperline.settings import Settings
    from copperline.workflows.snowflake_job import JobOrder, JobResult


def train(
    init: InitOption = None,
    epochs: EpochsOption = None,
    crops_per_pair: CropsPerPairOption = None,
    crop_size: CropSizeOption = 96,
    network: NetworkOption = None,
    batch_size: BatchSizeOption = 44,
    micro_batch: MicroBatchOption = 22,
    learning_rate: LearningRateOption = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    drawn: Annotated[
        float, typer.Option(min=0, max=1, help="Share of crops with drawn defects instead of labelled ones.")
    ] = 0.0,
    target_recall: TargetRecallOption = 0.995,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of the compute pool.")] = 1,
    workers: Annotated[
        int, typer.Option(min=1, help="Workers on each node; --batch-size needs a micro-batch for each in all.")
    ] = 1,
    gpus_per_worker: Annotated[
        int, typer.Option(min=0, max=1, help="0: the CPU alone, also where the pool's nodes have no GPU.")
    ] = 1,
    max_failures: Annotated[
        int, typer.Option(min=0, help="How often the workers are started again after one was lost.")
    ] = 3,
    retries: Annotated[
        int, typer.Option(min=0, help="How often the job is started again from the last checkpoint after it was lost.")
    ] = 1,
    time_limit: Annotated[
        float, typer.Option(min=0.01, help="Hours after which the job is cancelled; its checkpoint is kept.")
    ] = 6.0,
    external_access: Annotated[
        list[str] | None,
        typer.Option(help="Integration that lets the job install packages; repeatable; default: that of the settings."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Name of an earlier run: go on from its last checkpoint; give the same options."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Print the job's log too.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be submitted; no account is needed.")
    ] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Train on the compute pool as an ML Job, on the boards of `pcb_labeled_data`, and register there.

    Ctrl-C cancels the job.
    """
    from copperline.training.batches import shares
    from copperline.workflows.training import initial_model

    settings = settings_for(workspace)
    initial = None if init is None else initial_model(settings, init, settings.taxonomy)
    config = run_config(
        initial,
        epochs=epochs,
        crops_per_pair=crops_per_pair,
        crop_size=crop_size,
        network=network,
        batch_size=batch_size,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        seed=seed,
        drawn=drawn,
    )
    shares(config, nodes * workers)  # too many workers are told of before anything is sent
    order = _order(
        settings,
        resume,
        config=config,
        target_recall=target_recall,
        nodes=nodes,
        workers_per_node=workers,
        gpus_per_worker=gpus_per_worker,
        max_failures=max_failures,
    )
    access = external_access if external_access is not None else [settings.snowflake.external_access]
    if dry_run:
        _show(order, access, json_)
        return
    result = _run(
        order,
        access,
        limit_s=3600 * time_limit,
        retries=retries,
        follow=follow,
        settings=settings,
        init=None if initial is None else initial.path,
    )
    if json_:
        print_json(result.model_dump(mode="json"))
        return
    aliases = f" ({', '.join(result.aliases)})" if result.aliases else ""
    say(
        f"Registered {result.model} version {result.model_version}{aliases} in the account.",
        f"Validation: mAP50 {per_cent(result.validation.get('map50'))}, mAP50:95 "
        f"{per_cent(result.validation.get('map50_95'))}.",
        f"Checkpoint and model: @{settings.snowflake.stage}/training/{result.run}.",
        f"Next: COPPERLINE_REGISTRY_URI=snowflake copperline models show {result.model_version}",
    )


def _run(
    order: JobOrder,
    access: Sequence[str],
    *,
    limit_s: float,
    retries: int,
    follow: bool,
    settings: Settings,
    init: Path | None,
) -> JobResult:
    from copperline.snowflake.session import open_session
    from copperline.training import training_progress
    from copperline.training.engines.stopping import ended_by_sigterm
    from copperline.workflows.snowflake_training import Waiting, train_on_snowflake

    session = open_session(settings.snowflake)
    try:
        with ended_by_sigterm(), training_progress() as bar:
            waiting = Waiting(limit_s, retries, [bar], bar.tell if follow else None)
            return train_on_snowflake(session, order, access, waiting, bar.tell, init=init)
    except (KeyboardInterrupt, SystemExit):
        line = f"Stopped, and the job is cancelled. To go on from its checkpoint, if it has one: --resume {order.run}"
        typer.echo(line, err=True)
        raise


def _order(settings: Settings, resume: str | None, **others: object) -> JobOrder:
    from copperline.errors import SettingsError
    from copperline.model_info import ModelInfo
    from copperline.workflows.snowflake_job import JobOrder

    if resume is not None and not (resume.isascii() and resume.replace("-", "").isalnum()):
        raise SettingsError(
            f"expected the name of a run, found {resume!r}", fix="give it as the command printed it, without a path"
        )
    fresh = uuid.uuid4().hex[:8]
    return JobOrder.model_validate(
        {
            "run": resume or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{fresh}",
            "job": f"job-{fresh}",
            "names": settings.snowflake,
            "model_name": settings.model_name,
            "classes": ModelInfo.class_infos(settings.taxonomy),
            "stall_s": settings.training_stall_s,
            **others,
        }
    )


def _show(order: JobOrder, access: Sequence[str], json_: bool) -> None:
    from copperline.workflows.snowflake_training import job_arguments

    arguments = job_arguments(order, access)
    if json_:
        print_json({"submit_directory": arguments, "order": order.model_dump(mode="json")})
        return
    say("Would submit an ML Job with:", *(f"  {name} = {value!r}" for name, value in arguments.items()))
    say("Its order:", *(f"  {name} = {value}" for name, value in order.model_dump(mode="json").items()))
    say("Nothing was sent. Leave --dry-run out to train.")
