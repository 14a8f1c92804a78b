"""`copperline train`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from copperline.cli.options import DataOption, JsonOption, WorkspaceOption, per_cent, print_json, say, settings_for


def train(
    data: DataOption,
    epochs: Annotated[int, typer.Option(min=1, help="Each shows every board once.")] = 12,
    network: Annotated[str, typer.Option(help="yolo12-pico (for a CPU) or yolo12n.")] = "yolo12-pico",
    batch_size: Annotated[int, typer.Option(min=1, help="Crops in a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="At the peak.")] = 3e-3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    target_recall: Annotated[
        float, typer.Option(help="Recall on validation that the operating point aims at.")
    ] = 0.995,
    resume: Annotated[
        Path | None, typer.Option(help="Run folder, or `last`: go on from its checkpoint, with its settings.")
    ] = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Train a detector on a labelled data set and register it."""
    from copperline.data import open_dataset
    from copperline.training import Checkpoint, TrainConfig, World, fit, training_progress
    from copperline.workflows.training import register_model
    from copperline.workspace import Workspace

    settings = settings_for(workspace)
    space = Workspace(settings)
    # Of several processes the main one holds the workspace and writes; the others only compute.
    is_main = World.from_environment().is_main
    with space.locked() if is_main else nullcontext():
        dataset, _ = open_dataset(data, splits=("train", "val"), taxonomy=settings.taxonomy)
        if resume is None:
            folder, checkpoint = space.new_run() if is_main else space.runs, None
            config = TrainConfig(
                epochs=epochs, network=network, batch_size=batch_size, learning_rate=learning_rate, seed=seed
            )
        else:
            folder = space.last_run() if str(resume) == "last" else resume
            checkpoint = Checkpoint.load(folder)
            config = checkpoint.config
        with training_progress() as listener:
            trained = fit(
                dataset, config, folder, settings, target_recall=target_recall, resume=checkpoint, listeners=[listener]
            )
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
                "validation": figures.model_dump(mode="json", include={"map50", "map50_95", "ap33", "f_score"}),
            }
        )
        return
    say(
        f"Registered {version.name} version {version.version} ({', '.join(version.aliases)}), run folder {folder}.",
        f"Validation: mAP50 {per_cent(figures.map50)}, mAP50:95 {per_cent(figures.map50_95)}.",
        f"Operating point: {trained.info.operating_point.criterion}.",
        f"Next: copperline evaluate --data {data} --model {version.version}",
    )
