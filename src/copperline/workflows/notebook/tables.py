"""The notebook's tables, from the product's values."""

from __future__ import annotations

from collections.abc import Sequence

from copperline.data import BoardDataset, BoardPair, ImportReport
from copperline.data.split_check import SharedBetween
from copperline.data.yolo import yolo_text
from copperline.evaluation import Evaluation
from copperline.evaluation.class_rates import class_rates
from copperline.evaluation.threshold_sweep import ThresholdSweep
from copperline.registry import ModelVersion
from copperline.taxonomy import Taxonomy
from copperline.warehouse import Result, format_value
from copperline.workflows.notebook.output import Table, per_cent

_FIGURES = {
    "ap33": "AP33, mean of the classes",
    "map50": "mAP50",
    "map50_95": "mAP50:95",
    "precision": "precision",
    "recall": "recall",
    "f_score": "F-score",
}


def splits_table(dataset: BoardDataset, report: ImportReport) -> Table:
    """Boards, groups and defects of each split."""
    rows = []
    for split, boards in report.boards.items():
        pairs = [pair for pair in dataset if pair.split == split]
        good = sum(len(pair.labels) == 0 for pair in pairs)
        defects = sum(report.class_counts[split].values())
        groups = report.groups[split]
        rows.append((split, str(boards), str(len(groups)), str(defects), str(good), _few(groups)))
    return Table(("split", "boards", "groups", "defects", "boards without defects", "group names"), rows)


def sizes_table(dataset: BoardDataset) -> Table:
    """How large the images and the labelled boxes are."""
    sizes = sorted({(pair.width, pair.height) for pair in dataset})
    boxes = [box for pair in dataset for box in pair.labels.boxes.tolist()]
    sides = sorted(max(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes)
    rows = [("images, px", _few([f"{width} x {height}" for width, height in sizes]))]
    if sides:
        rows.append(("longer side of a box, px: least", f"{sides[0]:.0f}"))
        rows.append(("median", f"{sides[len(sides) // 2]:.0f}"))
        rows.append(("largest", f"{sides[-1]:.0f}"))
    return Table(("size", ""), rows)


def shared_table(shared: Sequence[SharedBetween]) -> Table:
    """What each two splits have in common."""
    return Table(
        ("splits", "same boards", "same images", "same groups", "leak"),
        [
            (
                f"{s.first} and {s.second}",
                str(len(s.boards)),
                str(len(s.images)),
                str(len(s.groups)),
                "LEAK" if s.leaks else "none",
            )
            for s in shared
        ],
    )


def conversion_table(pair: BoardPair) -> Table:
    """The labels of one board, in DeepPCB's words and in YOLO's."""
    rows = []
    for line, box, class_id in zip(
        yolo_text(pair).splitlines(), pair.labels.boxes.tolist(), pair.labels.class_ids.tolist(), strict=True
    ):
        numbers = line.split()
        short = " ".join([numbers[0], *(f"{float(number):.4f}" for number in numbers[1:])])
        rows.append((" ".join(f"{side:.0f}" for side in box) + f" {class_id + 1}", short))
    return Table(("DeepPCB: x1 y1 x2 y2 class (px, from 1)", "YOLO: class x y width height (fractions, from 0)"), rows)


def figures_table(evaluation: Evaluation) -> Table:
    """The figures of all classes together, each with its interval."""
    rows = [
        (words, per_cent(getattr(evaluation, name), evaluation.intervals.get(name))) for name, words in _FIGURES.items()
    ]
    called = f"{evaluation.false_call_boards} of {evaluation.clean_boards}: " if evaluation.clean_boards else ""
    rate = per_cent(evaluation.false_call_rate, evaluation.false_call_interval)
    return Table(("figure", "value (95 % interval)"), [*rows, ("clean boards with a false call", called + rate)])


def classes_table(evaluation: Evaluation) -> Table:
    """The figures by class; precision and recall with their intervals."""
    rows = []
    for rates in class_rates(evaluation):
        figures = evaluation.per_class[rates.name]
        rows.append(
            (
                rates.name,
                str(rates.labels),
                per_cent(figures.ap33),
                per_cent(figures.ap50),
                per_cent(figures.ap50_95),
                per_cent(rates.precision, rates.precision_interval),
                per_cent(rates.recall, rates.recall_interval),
            )
        )
    return Table(("class", "labels", "AP33", "AP50", "AP50:95", "precision", "recall"), rows)


def prices_table(sweep: ThresholdSweep, prices: Sequence[float]) -> Table:
    """The cheapest common threshold for each price of a missed defect, in reviews of a false call."""
    rows = []
    for price in prices:
        at = sweep.cheapest(price)
        clean = str(sweep.false_call_boards[at]) if sweep.clean_boards else "not measured"
        rows.append(
            (
                f"{price:g}",
                f"{sweep.thresholds[at]:.2f}",
                str(sweep.missed[at]),
                str(sweep.false_detections[at]),
                clean,
            )
        )
    return Table(
        (
            "price of a miss",
            "cheapest threshold",
            f"missed of {sweep.labels}",
            "false detections",
            f"clean boards called, of {sweep.clean_boards}",
        ),
        rows,
    )


def thresholds_table(evaluation: Evaluation, taxonomy: Taxonomy) -> Table:
    """The operating point, class by class."""
    thresholds = evaluation.operating_point.thresholds
    return Table(
        ("class", "severity", "threshold"),
        [(c.name, c.severity.value, f"{thresholds[c.name]:.2f}") for c in taxonomy],
    )


def versions_table(versions: Sequence[ModelVersion]) -> Table:
    """The versions in the registry, the newest first."""
    return Table(
        ("version", "aliases", "registered (UTC)", "SHA-256"),
        [(str(v.version), ", ".join(v.aliases), f"{v.created_at:%Y-%m-%d %H:%M}", v.sha256[:12]) for v in versions],
    )


def result_table(result: Result) -> Table:
    """What a statement gave."""
    return Table(result.columns, [tuple(format_value(value) for value in row) for row in result.rows])


def _few(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
