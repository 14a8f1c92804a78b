"""`copperline data`: import, from-reviews, generate, inspect, export."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from copperline.cli.options import JsonOption, WorkspaceOption, print_json, say, settings_for

app = typer.Typer(help="Board images and labels.", no_args_is_help=True)

PathArgument = Annotated[Path, typer.Argument(help="Folder in DeepPCB, YOLO or COCO layout, or an imported data set.")]


class Layout(StrEnum):
    YOLO = "yolo"
    COCO = "coco"


@app.command("import")
def import_(
    path: Annotated[
        Path | None, typer.Argument(help="Folder in DeepPCB, YOLO or COCO layout; without it, DeepPCB is downloaded.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the data set in the workspace; default: the folder's.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a data set of the same name.")] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Copy a data set into the workspace and its boards into the table pcb_labeled_data."""
    from copperline.data import open_dataset
    from copperline.workflows.importing import download, import_dataset
    from copperline.workspace import Workspace

    settings = settings_for(workspace)
    Workspace(settings).prepare()
    source = path or download(settings)
    dataset, report = open_dataset(source, taxonomy=settings.taxonomy)
    saved, folder = import_dataset(
        dataset, report, settings, name or ("deeppcb" if path is None else path.resolve().name), overwrite=overwrite
    )
    if json_:
        print_json({"dataset": str(folder), "boards": len(saved), **report.to_dict()})
        return
    say(*report.lines(), f"Imported to {folder}.", f"Next: copperline train --data {folder}")


@app.command("from-reviews")
def from_reviews(
    name: Annotated[str, typer.Argument(help="Of the data set in the workspace.")],
    since: Annotated[datetime | None, typer.Option(help="Boards decided since then, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Decisions before then, UTC.")] = None,
    line: Annotated[list[str] | None, typer.Option(help="Boards of this line; repeatable.")] = None,
    product: Annotated[list[str] | None, typer.Option(help="Boards of this product; repeatable.")] = None,
    val: Annotated[float, typer.Option(help="Share of the boards for validation.")] = 0.2,
    split_by: Annotated[
        Literal["board", "product"],
        typer.Option(help="What is whole in one split; `product` measures on products that were not learned."),
    ] = "board",
    learn_test: Annotated[
        bool,
        typer.Option("--learn-test", help="Take boards of a data set's split `test` too; measure on others then."),
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace a data set of the same name.")] = False,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a data set to train on from what people decided of inspected boards."""
    from copperline.workflows.relearning import dataset_from_reviews

    made = dataset_from_reviews(
        settings_for(workspace),
        name,
        since=_utc(since),
        until=_utc(until),
        lines=line or (),
        products=product or (),
        val_fraction=val,
        split_by=split_by,
        learn_test=learn_test,
        overwrite=overwrite,
    )
    if json_:
        print_json(
            {
                "dataset": str(made.folder),
                "data_hash": made.data_hash,
                "whole_images": made.whole,
                "crops": made.crops,
                "false_calls": made.false_calls,
                "left_out": made.left_out,
                **made.report.to_dict(),
            }
        )
        return
    say(
        *made.report.lines(),
        f"{made.whole} images as a whole, {made.crops} crops of others; {made.false_calls} false calls to learn from.",
        f"Made {made.folder}.",
        f"Next: copperline train --init champion --data {name}, with --data of what the champion was trained on",
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


@app.command()
def generate(
    folder: Annotated[Path, typer.Argument(help="New folder, in DeepPCB's layout.")],
    train: Annotated[int, typer.Option(min=1, help="Boards for training and validation.")] = 300,
    test: Annotated[int, typer.Option(min=1, help="Boards for the test.")] = 60,
    size: Annotated[int, typer.Option(min=64, help="Pixels per side.")] = 640,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same boards.")] = 0,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Draw synthetic boards with the six defects, exactly labelled."""
    from copperline.workflows.importing import draw

    draw(settings_for(workspace), folder, train=train, test=test, seed=seed, size=size)
    if json_:
        print_json({"dataset": str(folder), "train": train, "test": test, "seed": seed})
        return
    say(f"Drew {train} + {test} board pairs in {folder}.", f"Next: copperline train --data {folder}")


@app.command("inspect")
def inspect_(path: PathArgument, workspace: WorkspaceOption = None, json_: JsonOption = False) -> None:
    """Read a data set and report what is in it and what is wrong with it; nothing is written."""
    from copperline.data import open_dataset
    from copperline.workspace import Workspace

    settings = settings_for(workspace)
    _, report = open_dataset(Workspace(settings).dataset(path), taxonomy=settings.taxonomy)
    if json_:
        print_json(report.to_dict())
        return
    say(*report.lines(), f"Next: copperline data import {path}")


@app.command()
def export(
    path: PathArgument,
    folder: Annotated[Path, typer.Argument(help="New folder.")],
    layout: Annotated[Layout, typer.Option("--format", help="Layout to write.")] = Layout.YOLO,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Write a data set in YOLO or COCO layout. References never get labels."""
    from copperline.data import open_dataset, write_coco, write_yolo

    dataset, report = open_dataset(path, taxonomy=settings_for(workspace).taxonomy)
    (write_yolo if layout is Layout.YOLO else write_coco)(dataset, folder)
    if json_:
        print_json({"dataset": str(folder), "format": layout, **report.to_dict()})
        return
    say(
        *report.lines(),
        f"Wrote {len(dataset)} boards to {folder} in {layout.upper()} layout.",
        f"Next: copperline data inspect {folder}",
    )
