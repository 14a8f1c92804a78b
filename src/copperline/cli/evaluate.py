"""`copperline evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from copperline.cli.options import (
    DataOption,
    JsonOption,
    ModelOption,
    WorkspaceOption,
    per_cent,
    print_json,
    print_table,
    say,
    settings_for,
)

SplitName = Literal["train", "val", "test"]


def evaluate(
    data: DataOption,
    split: Annotated[SplitName, typer.Option(help="Which boards.")] = "test",
    model: ModelOption = "champion",
    single: Annotated[bool, typer.Option("--single", help="Show the model the test image alone.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for the report with plots; default: in the workspace.")
    ] = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure a model on labelled boards: AP, F-score, false calls on clean boards, with intervals and pictures."""
    from copperline.data import open_dataset
    from copperline.inspection import Detector
    from copperline.workflows.evaluating import measure
    from copperline.workspace import Workspace

    settings = settings_for(workspace)
    detector = Detector.load(model, settings=settings)
    dataset, _ = open_dataset(data, splits=(split,), taxonomy=detector.taxonomy)
    measured = measure(detector, dataset.split(split), single=single)
    name = f"{detector.name}-{detector.version}-{dataset.name}-{split}{'-single' if single else ''}"
    page = measured.write_report(report or Workspace(settings).reports / name)
    figures = measured.evaluation
    if json_:
        print_json({**figures.model_dump(mode="json"), "split": split, "single": single, "report": str(page)})
        return
    print_table(
        f"{detector.name} version {detector.version} on {figures.images} boards of {dataset.name} ({split})",
        ("figure", "value"),
        [
            ("AP33 (mean of classes)", per_cent(figures.ap33)),
            ("AP33 (pooled, DeepPCB's script)", per_cent(figures.ap33_pooled)),
            ("mAP50", per_cent(figures.map50)),
            ("mAP50:95", per_cent(figures.map50_95)),
            ("F-score at the operating point", per_cent(figures.f_score)),
            ("recall / precision", f"{per_cent(figures.recall)} / {per_cent(figures.precision)}"),
            ("recall, by whatever class it was called", per_cent(figures.recall_any_class)),
            ("clean boards with a false call", f"{figures.false_call_boards} of {figures.clean_boards}"),
        ],
    )
    print_table(
        "By class",
        ("class", "labels", "AP50", "AP50:95", "recall", "precision"),
        [
            (name, c.labels, per_cent(c.ap50), per_cent(c.ap50_95), per_cent(c.recall), per_cent(c.precision))
            for name, c in figures.per_class.items()
        ],
    )
    say(
        f"Operating point: {figures.operating_point.criterion}.",
        f"Report with plots and pictures: {page}",
        f"Next: look at the report, then copperline models promote {detector.version}",
    )
