"""Options and small helpers that several commands share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from copperline.settings import Settings

WorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder for data sets, runs, reports and stores.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
DataOption = Annotated[
    Path,
    typer.Option("--data", help="Data set: DeepPCB, YOLO or COCO layout, or the name of one in the workspace."),
]
ModelOption = Annotated[
    str, typer.Option("--model", help="champion, challenger, a version, builtin:NAME, or the path of an .onnx file.")
]

InitOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Start from a trained model: champion, challenger, a version, builtin:NAME, or an .onnx file.",
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Each shows every board as often as --crops-per-pair says; default: 12, with --init 4.",
    ),
]
CropsPerPairOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Crops of each board in an epoch; 44 cover a board of 640 px once; default: 44, with --init 12.",
    ),
]
NetworkOption = Annotated[
    str | None,
    typer.Option(
        help="yolo12-pico or yolo12-pico-wide (for a CPU), or yolo12n; default: yolo12-pico, with --init that of "
        "the model."
    ),
]
LearningRateOption = Annotated[
    float | None, typer.Option(help="At the peak; default: 0.006, with --init 0.001 and a shorter warm-up.")
]
CropSizeOption = Annotated[int, typer.Option(min=64, help="Side of a crop, px, a multiple of 32.")]
BatchSizeOption = Annotated[
    int, typer.Option(min=1, help="Crops in a step, of all workers together, however many they are.")
]
MicroBatchOption = Annotated[
    int, typer.Option(min=1, help="Most crops that pass the network together; a worker takes one or more of these.")
]
TargetRecallOption = Annotated[float, typer.Option(help="Recall on validation that the operating point aims at.")]


def settings_for(workspace: Path | None) -> Settings:
    return Settings.load(workspace)


def print_json(content: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(content, default=str))


def say(*lines: str) -> None:
    """What a command made and what to do next, for people."""
    for line in lines:
        typer.echo(line)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(value) for value in row))
    Console().print(table)


def per_cent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent; `not measured` where there is none.

    >>> per_cent(0.9834), per_cent(None)
    ('98.3 %', 'not measured')
    """
    return "not measured" if value is None else f"{100 * value:.{digits}f} %"
