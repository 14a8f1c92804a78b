"""`copperline evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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

if TYPE_CHECKING:
    from copperline.evaluation import ErrorAnalysis, Evaluation

SplitName = Literal["train", "val", "test"]


def evaluate(
    data: DataOption,
    split: Annotated[SplitName, typer.Option(help="Which boards.")] = "test",
    model: ModelOption = "champion",
    single: Annotated[bool, typer.Option("--single", help="Show the model the test image alone.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for the report with plots; default: in the workspace.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Also sort the errors into kinds: tables, pictures and errors.json.")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BOARD_ID", help="Also give the figures without this board (wrong labels, say); repeatable."
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure a model on labelled boards: AP, F-score, false calls on clean boards, with intervals and pictures."""
    from copperline.data import open_dataset
    from copperline.inspection import Detector
    from copperline.workflows.evaluating import measure, require_boards
    from copperline.workspace import Workspace

    settings = settings_for(workspace)
    detector = Detector.load(model, settings=settings)
    # Not with the model's classes: where labels are only numbers, any model would then seem to fit.
    data = Workspace(settings).dataset(data)
    dataset, _ = open_dataset(data, splits=(split,), taxonomy=settings.taxonomy)
    detector.require_classes(dataset.taxonomy, str(data))
    pairs, excluded = dataset.split(split), list(dict.fromkeys(exclude or ()))
    require_boards(pairs, excluded)
    measured = measure(detector, pairs, single=single)
    name = f"{detector.name}-{detector.version}-{dataset.name}-{split}{'-single' if single else ''}"
    page = measured.write_report(report or Workspace(settings).reports / name)
    figures = measured.evaluation
    without = measured.without(excluded) if excluded else None
    heading = f"{detector.name} version {detector.version} on {figures.images} boards of {dataset.name} ({split})"
    analysis = measured.errors() if errors else None
    if analysis is not None:
        # Inside the report, so that the two are replaced together and never disagree.
        error_page = measured.write_error_report(page.parent / "errors", analysis, title=f"Errors of {heading}")
    if json_:
        content = {**figures.model_dump(mode="json"), "split": split, "single": single, "report": str(page)}
        if without is not None:
            content["without"] = {"boards": excluded, **without.model_dump(mode="json", include=_MAIN_FIGURES)}
        if analysis is not None:
            content["errors"] = {**analysis.counts(), "report": str(error_page)}
        print_json(content)
        return
    columns = [_main_figures(each) for each in (figures, without) if each is not None]
    print_table(
        heading,
        ("figure", "value", *([f"without {len(excluded)} of the boards"] if excluded else [])),
        [(name, *(column[name] for column in columns)) for name in columns[0]],
    )
    print_table(
        "By class",
        ("class", "labels", "AP50", "AP50:95", "recall", "precision"),
        [
            (name, c.labels, per_cent(c.ap50), per_cent(c.ap50_95), per_cent(c.recall), per_cent(c.precision))
            for name, c in figures.per_class.items()
        ],
    )
    if analysis is not None:
        _print_errors(analysis)
    say(f"Operating point: {figures.operating_point.criterion}.", f"Report with plots and pictures: {page}")
    if analysis is not None:
        say(
            f"Error report with pictures: {error_page}",
            "Next: look at the error report; where a label is wrong, --exclude BOARD_ID gives the figures without it",
        )
    else:
        say(f"Next: look at the report, then copperline models promote {detector.version}")


_MAIN_FIGURES = {
    "images", "labels", "ap33", "ap33_pooled", "map50", "map50_95", "f_score", "precision", "recall",
    "clean_boards", "false_call_boards",
}  # fmt: skip


def _main_figures(figures: Evaluation) -> dict[str, str]:
    return {
        "AP33 (mean of classes)": per_cent(figures.ap33),
        "AP33 (pooled, DeepPCB's script)": per_cent(figures.ap33_pooled),
        "mAP50": per_cent(figures.map50),
        "mAP50:95": per_cent(figures.map50_95),
        "F-score at the operating point": per_cent(figures.f_score),
        "recall / precision": f"{per_cent(figures.recall)} / {per_cent(figures.precision)}",
        "recall, by whatever class it was called": per_cent(figures.recall_any_class),
        "clean boards with a false call": f"{figures.false_call_boards} of {figures.clean_boards}",
    }


def _print_errors(analysis: ErrorAnalysis) -> None:
    counts, gains = analysis.counts(), analysis.map50_gain
    rows: list[tuple[Any, ...]] = [
        (name, *(number or "" for number in row.values())) for name, row in analysis.by_class().items()
    ]
    rows.append(("all", *counts.values()))
    points = ("" if gain is None else f"{100 * gain:+.2f}" for gain in gains.values())
    rows.append(("mAP50 without", *points))
    print_table("Errors at the operating point", ("class", *(kind.words.replace(" ", "\n") for kind in counts)), rows)
