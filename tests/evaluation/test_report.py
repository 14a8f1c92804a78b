from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.evaluation import plots
from copperline.evaluation.evaluate import evaluate
from copperline.evaluation.report import BoardErrors, choose_samples, write_report
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB

POINT = OperatingPoint.uniform(DEEPPCB, 0.5, "set by hand, for recall > 90 % & few <false> calls")


def white(pair: BoardPair) -> tuple[np.ndarray, np.ndarray | None]:
    return np.full((640, 640), 255, np.uint8), np.zeros((640, 640), np.uint8)


def write(folder: Path, boards: tuple[list[Detections], list[Detections]], clean: list[Detections], **options) -> Path:  # type: ignore[no-untyped-def]
    detections, labels = boards
    pairs = [
        BoardPair(f"board-{i}", "g", "test", Path("t.png"), None, label, 640, 640) for i, label in enumerate(labels)
    ]
    evaluation = evaluate(detections, labels, clean, DEEPPCB, POINT, resamples=10)
    return write_report(folder, evaluation, detections, labels, pairs, DEEPPCB, white, samples=3, **options)


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes a second; only one test needs to see the figures."""
    monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"a figure"))


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            assert values.get("alt")
            self.images.append(values["src"] or "")
        self.links += [v for k, v in attrs if k in ("href", "src") and v]


def test_the_page_its_pictures_and_its_figures(make_boards, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    boards = make_boards(2, 12, classes=6)
    history = [{"epoch": e, "loss": 1 / e, "map50": 1 - 1 / e} for e in range(1, 5)]
    path = write(tmp_path / "report", boards, [Detections.empty()] * 4, history=history, title="Trial 7")
    page = path.read_text(encoding="utf-8")
    links = Links(page)
    assert sorted(links.images) == sorted(p.name for p in path.parent.glob("*.png"))
    assert {"precision_recall.png", "confusion.png", "confidence.png", "learning.png"} < set(links.images)
    assert len(links.images) == 4 + 3
    assert not any(link.startswith(("http", "//", "/")) for link in links.links)
    for name in links.images:
        assert cv2.imread(str(path.parent / name)) is not None
    assert "Trial 7" in page
    assert "recall &gt; 90 % &amp; few &lt;false&gt; calls" in page
    assert "0 of 4" in page
    metrics = json.loads((path.parent / "metrics.json").read_text())
    assert f"{100 * metrics['map50']:.1f} %" in page
    assert metrics["images"] == 12


@pytest.mark.usefixtures("quick_figures")
def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    label = Detections.of([[10, 10, 40, 40]], [0])
    path = write(tmp_path / "report", ([Detections.empty()], [label]), [])
    text = re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", path.read_text(encoding="utf-8"), flags=re.S))
    assert "False-call boards not measured no defect-free boards" in text
    assert "pin-hole: no labels in this data set" in text
    assert "Precision not measured" in text
    assert "0 of 1 defects found" in text
    assert not (path.parent / "learning.png").exists()


@pytest.mark.usefixtures("quick_figures")
def test_a_report_is_replaced_whole_and_other_folders_are_left_alone(make_boards, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    boards = make_boards(2, 3, classes=6)
    folder = tmp_path / "report"
    write(folder, boards, [])
    (folder / "old.png").write_text("from an older report")
    write(folder, boards, [])
    assert not (folder / "old.png").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["report"]

    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="something else"):
        write(other, boards, [])
    assert (other / "thesis.txt").read_text() == "years of work"


@pytest.mark.usefixtures("quick_figures")
def test_a_failure_leaves_the_old_report(make_boards, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    boards = make_boards(2, 3, classes=6)
    path = write(tmp_path / "report", boards, [])
    before = path.read_bytes()
    detections, labels = boards
    pairs = [BoardPair("b", "g", "test", tmp_path / "gone.png", None, label, 640, 640) for label in labels]
    evaluation = evaluate(detections, labels, [], DEEPPCB, POINT, resamples=0)
    with pytest.raises(DataError, match=r"gone\.png"):
        write_report(tmp_path / "report", evaluation, detections, labels, pairs, DEEPPCB)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_samples_are_the_worst_boards_and_some_ordinary_ones() -> None:
    boards = [BoardErrors(i, str(i), 5, 5, missed=i % 4, false=0) for i in range(40)]
    shown = choose_samples(boards, 9)
    assert [b.missed for b in shown] == [3] * 6 + [0] * 3
    assert len({b.index for b in shown}) == 9
    assert len(choose_samples(boards[:2], 9)) == 2
    assert choose_samples([], 9) == []
    perfect = [BoardErrors(i, str(i), 5, 5, 0, 0) for i in range(40)]
    assert [b.index for b in choose_samples(perfect, 4)] == [0, 10, 20, 30]


def test_different_boards_are_refused(tmp_path: Path) -> None:
    evaluation = evaluate([], [], [], DEEPPCB, POINT)
    with pytest.raises(ValueError, match="the same boards"):
        write_report(tmp_path / "r", evaluation, [Detections.empty()], [], [], DEEPPCB)
