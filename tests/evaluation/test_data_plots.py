from __future__ import annotations

from pathlib import Path

import pytest

from copperline.data import BoardDataset, BoardPair, ImportReport
from copperline.detections import Detections
from copperline.evaluation import plots
from copperline.evaluation.data_plots import class_distribution, defect_sizes
from copperline.taxonomy import DEEPPCB


def dataset(*labels: Detections) -> BoardDataset:
    pairs = [
        BoardPair(f"b{i}", "g", "train" if i else "test", Path(f"b{i}.png"), None, label, 640, 480)
        for i, label in enumerate(labels)
    ]
    return BoardDataset("d", "here", tuple(pairs))


def test_each_split_has_a_bar_for_each_class_with_its_count() -> None:
    boards = dataset(Detections.of([[0, 0, 9, 9]], [2]), Detections.of([[0, 0, 9, 9], [20, 0, 29, 9]], [2, 5]))
    axes = class_distribution(ImportReport.of(boards).class_counts, DEEPPCB).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert [text.get_text() for text in axes.texts][2] == "1\ntrain"
    assert [label.get_text() for label in axes.get_xticklabels()] == list(DEEPPCB.names)


def test_sizes_are_widths_and_heights_of_the_labelled_boxes(tmp_path: Path) -> None:
    figure = defect_sizes(dataset(Detections.of([[0, 0, 20, 40], [5, 5, 15, 35]], [1, 1])))
    points = figure.axes[1].collections[0].get_offsets().tolist()  # type: ignore[union-attr]
    assert points == [[20, 40], [10, 30]]
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["open, none", "short, 35 px"]
    plots.save(figure, tmp_path / "sizes.png")


@pytest.mark.parametrize("labels", [(), (Detections.empty(),)])
def test_without_a_defect_the_panels_are_empty(labels: tuple[Detections, ...], tmp_path: Path) -> None:
    plots.save(defect_sizes(dataset(*labels)), tmp_path / "sizes.png")
    plots.save(class_distribution(ImportReport.of(dataset(*labels)).class_counts, DEEPPCB), tmp_path / "classes.png")
