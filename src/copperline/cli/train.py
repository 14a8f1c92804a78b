"""`copperline train`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, per_cent, print_json, say, settings_for
from copperline.errors import SettingsError

if TYPE_CHECKING:
    from copperline.data import BoardDataset, Split
    from copperline.settings import Settings
    from copperline.training import TrainedModel
    from copperline.workspace import Workspace

LAST = "last"


def train(
    data: Annotated[
        Path | None, typer.Option(help="Data set: DeepPCB, YOLO or COCO layout, or one that `data import` made.")
    ] = None,
    golden_only: Annotated[
        Path | None,
        typer.Option(
            help="Instead of --data: a folder of golden images, or DeepPCB's layout, of which the references alone are "
            "read. Defects are drawn into them."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Each shows every board as often as --crops-per-pair says.")] = 12,
    crops_per_pair: Annotated[
        int, typer.Option(min=1, help="Crops of each board in an epoch; 44 cover a board of 640 px once.")
    ] = 44,
    network: Annotated[str, typer.Option(help="yolo12-pico (for a CPU) or yolo12n.")] = "yolo12-pico",
    batch_size: Annotated[int, typer.Option(min=1, help="Crops in a step.")] = 44,
    learning_rate: Annotated[float, typer.Option(help="At the peak.")] = 6e-3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    drawn: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of crops with drawn defects instead of labelled ones; default: 0."),
    ] = None,
    box_margin: Annotated[
        float, typer.Option(min=0, max=64, help="Between a drawn defect and its box, px; people leave about 10.")
    ] = 9.0,
    target_recall: Annotated[
        float, typer.Option(help="Recall on validation that the operating point aims at.")
    ] = 0.995,
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
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Train a detector on a labelled data set, or on golden images alone, and register it."""
    from copperline.data import SPLITS
    from copperline.training import Checkpoint, TrainConfig, World, fit, training_progress
    from copperline.training import refit as fit_anew
    from copperline.workflows.training import register_model
    from copperline.workspace import Workspace

    source = _source(data, golden_only, drawn)
    settings = settings_for(workspace)
    space = Workspace(settings)
    # Of several processes the main one holds the workspace and writes; the others only compute.
    is_main = World.from_environment().is_main
    with space.locked() if is_main else nullcontext():
        # The run to refit may have been opened with all splits, as the demo does; its data are known by their hash.
        splits = ("train", "val") if refit is None else SPLITS
        dataset = _open(data, golden_only, splits, settings, tell=is_main)
        chosen = None if refit is None else _run_folder(refit, space)
        if resume is None:
            folder, checkpoint = space.new_run() if is_main else space.runs, None
            config = TrainConfig(
                epochs=epochs,
                crops_per_pair=crops_per_pair,
                network=network,
                batch_size=batch_size,
                learning_rate=learning_rate,
                seed=seed,
                drawn=(1.0 if golden_only else 0.0) if drawn is None else drawn,
                box_margin=box_margin,
            )
        else:
            folder = _run_folder(resume, space)
            checkpoint = Checkpoint.load(folder)
            config = checkpoint.config
        with training_progress() as bar:
            if chosen is None:
                trained = fit(
                    dataset, config, folder, settings, target_recall=target_recall, resume=checkpoint, listeners=[bar]
                )
            else:
                trained = fit_anew(dataset, chosen, folder, settings, resume=checkpoint, listeners=[bar])
        if trained is None:
            return
        version = register_model(trained, dataset, settings)
    figures = trained.validation
    if json_:
        print_json(
            {
                "model": version.name,
                "model_version": version.version,
                "aliases": version.aliases,
                "run": str(folder),
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
        f"Next: copperline evaluate --data {'LABELLED' if golden_only else source} --model {version.version}",
    )


def _source(data: Path | None, golden_only: Path | None, drawn: float | None) -> Path:
    """The one folder that was named; raises SettingsError if it is none or two."""
    if data is not None and golden_only is not None:
        raise SettingsError("expected --data or --golden-only, found both", fix="give one of them")
    source = golden_only if data is None else data
    if source is None:
        raise SettingsError(
            "expected --data or --golden-only, found neither", fix="name a labelled data set, or golden images"
        )
    if golden_only is not None and drawn is not None and drawn < 1:
        raise SettingsError(
            f"expected drawn defects in every crop of golden images, found --drawn {drawn:g}", fix="leave --drawn out"
        )
    return source


def _open(
    data: Path | None, golden_only: Path | None, splits: Sequence[Split], settings: Settings, *, tell: bool
) -> BoardDataset:
    """Reads the boards; of golden images, tells which were left out and why."""
    from copperline.data import open_dataset, read_golden

    if golden_only is None:
        assert data is not None  # see `_source`
        return open_dataset(data, splits=splits, taxonomy=settings.taxonomy)[0]
    dataset, report = read_golden(golden_only, settings.taxonomy)
    if tell:
        for board in report.skipped:
            typer.echo(f"warning: golden image {board.board} is left out: it {board.reason}", err=True)
        for line in (*report.duplicates, *report.notes):
            typer.echo(f"warning: {line}", err=True)
    return dataset


def _run_folder(named: Path, space: Workspace) -> Path:
    return space.last_run() if str(named) == LAST else named


def _validated_on(trained: TrainedModel, golden_only: Path | None) -> str:
    boards = "labelled boards" if golden_only is None else "drawn defects"
    return boards if trained.refit_of is None else f"{boards}, of run {trained.refit_of}'s model"
