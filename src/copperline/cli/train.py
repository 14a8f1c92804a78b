"""`copperline train`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from copperline.cli.training_engine import (
    AddressOption,
    EngineOption,
    GpusOption,
    MaxFailuresOption,
    MinWorkersOption,
    WorkersOption,
    chosen_engine,
    interrupted_run,
    note_torchrun,
    told_how_to_resume,
)
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from copperline.data import BoardDataset, Split
    from copperline.settings import Settings
    from copperline.training import InitialModel, TrainConfig, TrainedModel
    from copperline.workspace import Workspace

LAST = "last"


def train(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Data set: DeepPCB, YOLO or COCO layout, or the name of one in the workspace; repeatable."),
    ] = None,
    mix: Annotated[
        list[float] | None,
        typer.Option(help="Share of the training crops, one for each --data, in order; default: equal shares."),
    ] = None,
    golden_only: Annotated[
        Path | None,
        typer.Option(
            help="Instead of --data: a folder of golden images, or DeepPCB's layout, of which the references alone are "
            "read. Defects are drawn into them."
        ),
    ] = None,
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
        float | None,
        typer.Option(min=0, max=1, help="Share of crops with drawn defects instead of labelled ones; default: 0."),
    ] = None,
    box_margin: Annotated[
        float, typer.Option(min=0, max=64, help="Between a drawn defect and its box, px; people leave about 10.")
    ] = 9.0,
    target_recall: TargetRecallOption = 0.995,
    resume: Annotated[
        Path | None, typer.Option(help="Run folder, or `last`: go on from its checkpoint, with its settings.")
    ] = None,
    refit: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a finished run, or `last`: train anew on its training and validation boards together, "
            "with its settings and its operating point."
        ),
    ] = None,
    engine: EngineOption = None,
    workers: WorkersOption = None,
    gpus_per_worker: GpusOption = None,
    min_workers: MinWorkersOption = None,
    max_failures: MaxFailuresOption = None,
    address: AddressOption = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Train a detector on a labelled data set, or on golden images alone, and register it."""
    from copperline.data import SPLITS
    from copperline.registry import CHAMPION
    from copperline.training import Checkpoint, World, fit, training_progress
    from copperline.training import refit as fit_anew
    from copperline.workflows.training import initial_model, register_model
    from copperline.workspace import Workspace

    settings = settings_for(workspace)
    space = Workspace(settings)
    sources = [space.dataset(source) for source in _sources(data, golden_only, drawn, mix)]
    # Of several processes the main one holds the workspace and writes; the others only compute.
    is_main = World.from_environment().is_main
    training = chosen_engine(
        settings,
        engine=engine,
        workers=workers,
        gpus_per_worker=gpus_per_worker,
        min_workers=min_workers,
        max_failures=max_failures,
        address=address,
    )
    with ExitStack() as held:
        if is_main:
            held.enter_context(space.locked())
        # The run to refit may have been opened with all splits, as the demo does; its data are known by their hash.
        splits = ("train", "val") if refit is None else SPLITS
        dataset, data_hashes = _open(sources, golden_only, splits, settings, tell=is_main)
        chosen = None if refit is None else _run_folder(refit, space)
        initial = None if init is None else initial_model(settings, init, dataset.taxonomy)
        resume = resume or interrupted_run(space)
        if resume is None:
            folder, checkpoint = _new_folder(space, held, is_main), None
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
                drawn=(1.0 if golden_only else 0.0) if drawn is None else drawn,
                box_margin=box_margin,
                mix=tuple(mix or (1.0,) * len(sources)) if len(sources) > 1 else (),
            )
        else:
            folder = _run_folder(resume, space)
            checkpoint = Checkpoint.load(folder)
            config = checkpoint.config
        if initial is not None and chosen is None and config.init_sha256 != initial.sha256:
            raise SettingsError(
                f"expected the run to resume to have begun from {initial.name}, found {config.init or 'fresh weights'}",
                fix="leave --init out: the run goes on with its own weights",
            )
        start = None if initial is None else initial.path
        with told_how_to_resume(folder), training_progress() as bar:
            how: dict[str, Any] = {
                "resume": checkpoint,
                "init": start,
                "listeners": [bar],
                "engine": training,
                "tell": bar.tell,
            }
            if chosen is None:
                trained = fit(dataset, config, folder, settings, target_recall=target_recall, **how)
            else:
                trained = fit_anew(dataset, chosen, folder, settings, **how)
        if trained is None:
            return
        version = register_model(trained, dataset, settings, data_hashes=data_hashes)
    figures = trained.validation
    if json_:
        print_json(
            {
                "model": version.name,
                "model_version": version.version,
                "aliases": version.aliases,
                "run": str(folder),
                "init": trained.config.init,
                "train_seconds": trained.seconds,
                "validated_on": _validated_on(trained, golden_only),
                "validation": figures.model_dump(mode="json", include={"map50", "map50_95", "ap33", "f_score"}),
            }
        )
        return
    say(
        f"Registered {version.name} version {version.version} ({', '.join(version.aliases)}), run folder {folder}.",
        f"Validation on {_validated_on(trained, golden_only)}: mAP50 {per_cent(figures.map50)}, mAP50:95 "
        f"{per_cent(figures.map50_95)}.",
        f"Operating point: {trained.info.operating_point.criterion}.",
        *(["On real defects: not measured."] if golden_only else []),
        *([f"It started from {trained.config.init}."] if trained.config.init else []),
        f"Next: copperline models compare champion {version.version} --data DATASET --split val"
        if trained.config.init and CHAMPION not in version.aliases
        else f"Next: copperline evaluate --data {'LABELLED' if golden_only else sources[0]} --model {version.version}",
    )


def run_config(initial: InitialModel | None, *, crop_size: int, **given: Any) -> TrainConfig:
    """The run's settings: what was given goes before what a run that starts from a model does by default.

    Args:
        given: by name; None: not given.

    Raises:
        SettingsError: the network, which halves an image five times, cannot halve a crop so often.
    """
    from copperline.training import FINE_TUNING, TrainConfig

    if crop_size % 32:
        raise SettingsError(
            f"expected a crop size that is a multiple of 32, found {crop_size}",
            fix=f"give for example --crop-size {crop_size // 32 * 32}",
        )
    begun: dict[str, Any] = {}
    if initial is not None:
        begun = {
            **FINE_TUNING,
            "network": initial.network,
            "init": initial.name,
            "init_sha256": initial.sha256,
        }
    named = {name: value for name, value in given.items() if value is not None}
    return TrainConfig(**{**begun, **named, "crop_size": crop_size})


def _sources(
    data: Sequence[Path] | None, golden_only: Path | None, drawn: float | None, mix: Sequence[float] | None
) -> list[Path]:
    """The folders that were named, of labelled data or one of golden images; raises SettingsError if there is none."""
    if data and golden_only is not None:
        raise SettingsError("expected --data or --golden-only, found both", fix="give one of them")
    sources = list(data or ()) if golden_only is None else [golden_only]
    if not sources:
        raise SettingsError(
            "expected --data or --golden-only, found neither", fix="name a labelled data set, or golden images"
        )
    if mix and (len(mix) != len(sources) or len(sources) < 2 or min(mix) <= 0):
        raise SettingsError(
            f"expected a share above 0 for each of several --data, found {len(mix)} shares of {len(sources)}",
            fix="give as many --mix as --data, in the same order",
        )
    if golden_only is not None and drawn is not None and drawn < 1:
        raise SettingsError(
            f"expected drawn defects in every crop of golden images, found --drawn {drawn:g}", fix="leave --drawn out"
        )
    return sources


def _open(
    sources: Sequence[Path], golden_only: Path | None, splits: Sequence[Split], settings: Settings, *, tell: bool
) -> tuple[BoardDataset, tuple[str, ...]]:
    """Reads the boards, and tells which were left out and why; of several data sets, gives the hash of each."""
    from copperline.data import combined, data_hash, open_dataset, read_golden

    if golden_only is None:
        opened = [open_dataset(source, splits=splits, taxonomy=settings.taxonomy)[0] for source in sources]
        dataset, notes = combined(opened)
        if tell:
            for line in notes:
                typer.echo(f"warning: {line}", err=True)
        return dataset, tuple(map(data_hash, opened)) if len(opened) > 1 else ()
    dataset, report = read_golden(golden_only, settings.taxonomy)
    if tell:
        for board in report.skipped:
            typer.echo(f"warning: golden image {board.board} is left out: it {board.reason}", err=True)
        for line in (*report.duplicates, *report.notes):
            typer.echo(f"warning: {line}", err=True)
    return dataset, ()


def _new_folder(space: Workspace, held: ExitStack, is_main: bool) -> Path:
    """Of a new run; what the other processes of torchrun write there is needed by nobody."""
    if not is_main:
        return Path(held.enter_context(tempfile.TemporaryDirectory()))
    folder = space.new_run()
    note_torchrun(folder)
    return folder


def _run_folder(named: Path, space: Workspace) -> Path:
    return space.last_run() if str(named) == LAST else named


def _validated_on(trained: TrainedModel, golden_only: Path | None) -> str:
    boards = "labelled boards" if golden_only is None else "drawn defects"
    return boards if trained.refit_of is None else f"{boards}, of run {trained.refit_of}'s model"
