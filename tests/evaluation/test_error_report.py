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
from copperline.evaluation.error_analysis import ErrorAnalysis, ErrorKind, analyse_errors
from copperline.evaluation.error_report import write_error_report
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB

POINT = OperatingPoint.uniform(DEEPPCB, 0.5)


def grey(pair: BoardPair) -> tuple[np.ndarray, np.ndarray | None]:
    return np.full((640, 640), 180, np.uint8), None


def write(folder: Path, measured: tuple[list[Detections], list[Detections]], **options) -> tuple[Path, ErrorAnalysis]:  # type: ignore[no-untyped-def]
    detections, labels = measured
    pairs = [
        BoardPair(f"<i>{i}", f"g{i % 2}", "val", Path("t.png"), None, label, 640, 640) for i, label in enumerate(labels)
    ]
    analysis = analyse_errors(detections, pairs, DEEPPCB, POINT)
    return write_error_report(folder, analysis, detections, pairs, DEEPPCB, POINT, grey, **options), analysis


class Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        stripped = re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.S)
        self.text = re.sub(r"\s+", " ", stripped)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            assert values.get("alt")
            self.images.append(values["src"] or "")
        self.links += [v for k, v in attrs if k in ("href", "src") and v]


def test_the_page_its_pictures_and_all_errors(make_boards, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path, analysis = write(tmp_path / "errors", make_boards(7, 30, classes=6), title="Trial 7", tiles=4, boards=3)
    page = Page(path.read_text(encoding="utf-8"))
    counts = analysis.counts()
    assert sorted(page.images) == sorted(f"{kind}.png" for kind, count in counts.items() if count)
    assert sorted(page.images) == sorted(p.name for p in path.parent.glob("*.png"))
    for name in page.images:
        assert cv2.imread(str(path.parent / name)) is not None
    assert not any(link.startswith(("http", "//", "/")) for link in page.links)
    assert "Trial 7" in page.text
    assert counts[ErrorKind.MISSED] > 4
    assert f"4 of {counts[ErrorKind.MISSED]}. Left the board" in page.text
    assert f"3 of {len(analysis.by_board())} boards with an error, of 30 in all" in page.text
    assert f"= {analysis.labels - analysis.found} labels not found" in page.text
    assert f"= {analysis.called - analysis.found} false detections" in page.text
    everything = json.loads((path.parent / "errors.json").read_text(encoding="utf-8"))
    assert len(everything["cases"]) == sum(counts.values())
    first = next(case for case in everything["cases"] if case["kind"] == "false_alarm")
    # Names come from data sets of others.
    assert "<i>" not in path.read_text(encoding="utf-8")
    shown = first["board_id"].replace("<", "&lt;").replace(">", "&gt;")
    assert f"1 {shown} {first['board_group']} {first['detection']['class']} " in page.text


def test_a_model_without_errors_has_a_page_too(tmp_path: Path) -> None:
    label = Detections.of([[10, 10, 40, 40]], [0])
    found = Detections.of([[10, 10, 40, 40]], [0], [0.9])
    path, _ = write(tmp_path / "errors", ([found], [label]))
    page = Page(path.read_text(encoding="utf-8"))
    assert page.images == []
    assert "No board has an error." in page.text
    assert page.text.count("None.") == len(ErrorKind)


def test_without_labels_the_cost_is_not_measured(tmp_path: Path) -> None:
    found = Detections.of([[10, 10, 40, 40]], [0], [0.9])
    path, _ = write(tmp_path / "errors", ([found], [Detections.empty()]))
    assert "mAP50 without them not measured" in Page(path.read_text(encoding="utf-8")).text


def test_each_board_is_read_once(make_boards, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    detections, labels = make_boards(7, 10, classes=6)
    pairs = [BoardPair(str(i), "g", "val", Path("t.png"), None, label, 640, 640) for i, label in enumerate(labels)]
    analysis = analyse_errors(detections, pairs, DEEPPCB, POINT)
    read: list[str] = []

    def images(pair: BoardPair) -> tuple[np.ndarray, np.ndarray | None]:
        read.append(pair.board_id)
        return grey(pair)

    write_error_report(tmp_path / "errors", analysis, detections, pairs, DEEPPCB, POINT, images)
    assert sorted(read) == sorted({case.board_id for case in analysis.cases})


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="something else"):
        write(tmp_path, ([Detections.empty()], [Detections.empty()]))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_report_is_replaced_whole(make_boards, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path, _ = write(tmp_path / "errors", make_boards(7, 3, classes=6))
    assert list(path.parent.glob("*.png"))
    write(tmp_path / "errors", ([], []))
    assert sorted(p.name for p in path.parent.iterdir()) == ["errors.html", "errors.json"]
