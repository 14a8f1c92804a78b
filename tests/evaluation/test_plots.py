from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest

from copperline.detections import Detections
from copperline.evaluation import evaluate, plots, sweep_thresholds
from copperline.evaluation.matching import match
from copperline.evaluation.results import Confusion
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB

THRESHOLDS = dict.fromkeys(DEEPPCB.names, 0.5)


def test_the_curve_is_the_ranking_and_the_dot_the_operating_point() -> None:
    labels = [Detections.of([[0, 0, 9, 9], [20, 0, 29, 9]], [0, 0])]
    found = Detections.of([[0, 0, 9, 9], [50, 0, 59, 9], [20, 0, 29, 9]], [0, 0, 0], [0.9, 0.6, 0.3])
    axes = plots.precision_recall_curves(match([found], labels), DEEPPCB, THRESHOLDS).axes[0]
    curve, dot = axes.lines
    assert list(curve.get_xdata()) == [0.5, 0.5, 1.0]
    assert list(curve.get_ydata()) == pytest.approx([1, 1 / 2, 2 / 3])
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.5, 0.5)


def test_histograms_count_true_and_false_detections(make_boards, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    matches = match(*make_boards(1, 20, classes=6))
    figure = plots.confidence_histogram(matches, DEEPPCB, THRESHOLDS)
    assert [a.get_title(loc="left") for a in figure.axes] == [f"{n}, from 0.50" for n in DEEPPCB.names]
    plots.save(figure, tmp_path / "h.png")
    assert cv2.imread(str(tmp_path / "h.png")).shape[1] > 800


def test_the_matrix_writes_the_counts() -> None:
    confusion = Confusion(names=("a", "b", "background"), counts=((5, 0, 1), (0, 7, 0), (2, 0, 0)))
    axes = plots.confusion_matrix(confusion).axes[0]
    assert {(t.get_position(), t.get_text()) for t in axes.texts} == {
        ((0, 0), "5"), ((2, 0), "1"), ((1, 1), "7"), ((0, 2), "2"),
    }  # fmt: skip


def test_learning_curves_take_what_the_history_has() -> None:
    history = [
        {"epoch": 1, "loss": 3.0, "lr": 0.1, "note": "warm-up"},
        {"epoch": 2, "loss": float("nan"), "map50": 0.4},
        {"epoch": 3, "loss": 1.0, "map50": None, "val/map50_95": 0.2},
    ]
    figure = plots.learning_curves(history)
    assert figure is not None
    loss, metrics = figure.axes
    assert [(line.get_label(), list(line.get_xdata()), list(line.get_ydata())) for line in loss.lines] == [
        ("loss", [1, 3], [3, 1])
    ]
    assert [line.get_label() for line in metrics.lines] == ["map50", "val/map50_95"]


@pytest.mark.parametrize("history", [[], [{}], [{"epoch": 1, "lr": 0.1}]])
def test_a_history_without_curves_gives_none(history: list[dict[str, float]]) -> None:
    assert plots.learning_curves(history) is None


def test_nothing_at_all_can_be_drawn(tmp_path: Path) -> None:
    nothing = match([], [])
    plots.save(plots.precision_recall_curves(nothing, DEEPPCB, THRESHOLDS), tmp_path / "a.png")
    plots.save(plots.confidence_histogram(nothing, DEEPPCB, THRESHOLDS), tmp_path / "b.png")
    assert (tmp_path / "b.png").stat().st_size > 0


def test_pyplot_is_not_used() -> None:
    assert "matplotlib.pyplot" not in Path(plots.__file__).read_text(encoding="utf-8")
    assert "pyplot" not in vars(sys.modules[plots.__name__])


def test_training_s_own_names_are_told_in_words() -> None:
    figure = plots.learning_curves([{"epoch": 1, "loss": 1.0, "loss_boxes": 0.5, "val_map50_95": 0.2}])
    assert figure is not None
    assert [[line.get_label() for line in axes.lines] for axes in figure.axes] == [["loss", "boxes"], ["mAP50:95"]]


def test_each_class_has_a_bar_for_each_average_precision_that_was_measured() -> None:
    label = Detections.of([[0, 0, 9, 9]], [1])
    measured = evaluate([label], [label], [], DEEPPCB, OperatingPoint.uniform(DEEPPCB, 0.5), resamples=0)
    axes = plots.class_average_precisions(measured, DEEPPCB).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1.0, 1.0, 1.0]
    assert all(abs(bar.get_x() + bar.get_width() / 2 - 1) < 0.3 for bar in axes.patches)
    assert [text.get_text() for text in axes.texts] == ["100"] * 3
    assert axes.get_xticklabels()[1].get_text() == "short\n1 labels"


@pytest.mark.parametrize("clean", [[], [Detections.of([[0, 0, 9, 9]], [0], [0.6])]])
def test_the_sweep_is_drawn_with_the_thresholds_that_were_chosen(clean: list[Detections]) -> None:
    label = Detections.of([[0, 0, 9, 9]], [1])
    sweep = sweep_thresholds([Detections.of([[0, 0, 9, 9]], [1], [0.7])], [label], clean)
    rates, errors = plots.threshold_curves(sweep, THRESHOLDS, DEEPPCB).axes
    curves = {line.get_label(): line for line in [*rates.lines, *errors.lines]}
    assert list(curves["Recall"].get_ydata()) == sweep.recall.tolist()
    assert list(curves["Missed defects"].get_ydata()) == sweep.missed.tolist()
    assert ("Defect-free boards with a false call" in curves) == bool(clean)
    ticks = [line for line in rates.lines if len(line.get_xdata()) == 2]
    assert [line.get_xdata()[0] for line in ticks] == [THRESHOLDS[name] for name in DEEPPCB.names]
